import assert from 'node:assert/strict';
import { chainRegister, createRegister, nopRegister } from '../../src/metrics.ts';

describe('metrics', () => {
  it('exposes what was counted', async () => {
    const register = await createRegister();
    const counter = register.counter({ name: 'aitbc_a_total', help: 'a', labelNames: ['kind'] });
    counter.inc({ kind: 'x' });
    counter.inc({ kind: 'x' }, 2);
    register.gauge({ name: 'aitbc_b', help: 'b' }).set(7);
    register.histogram({ name: 'aitbc_c_seconds', help: 'c', buckets: [0.1, 1] }).observe(0.5);
    const text = await register.text();
    assert.match(text, /aitbc_a_total\{kind="x"\} 3/);
    assert.match(text, /aitbc_b 7/);
    assert.match(text, /aitbc_c_seconds_bucket\{le="1"\} 1/);
    assert.match(register.contentType, /text\/plain/);
  });

  it('keeps chains apart by label, forgets one that is gone, and counts it anew', async () => {
    const register = await createRegister();
    const declare = (chain: string) => {
      const own = chainRegister(register, chain);
      return {
        total: own.counter({ name: 'aitbc_a_total', help: 'a', labelNames: ['kind'] }),
        height: own.gauge({ name: 'aitbc_b', help: 'b' }),
        seconds: own.histogram({ name: 'aitbc_c_seconds', help: 'c', buckets: [1] }),
      };
    };
    const whole = register.gauge({ name: 'aitbc_whole', help: 'of the node' });
    whole.set(1);
    for (const chain of ['one', 'two']) {
      const { total, height, seconds } = declare(chain);
      total.inc({ kind: 'x' }, 3);
      height.set(7);
      seconds.observe(0.5);
    }
    assert.match(await register.text(), /aitbc_a_total\{kind="x",chain="one"\} 3/);
    await register.forget('chain', 'one');
    const text = await register.text();
    assert.doesNotMatch(text, /chain="one"/);
    assert.match(text, /aitbc_b\{chain="two"\} 7/);
    assert.match(text, /aitbc_c_seconds_count\{chain="two"\} 1/);
    assert.match(text, /aitbc_whole 1/);
    declare('one').total.inc({ kind: 'x' });
    assert.match(await register.text(), /aitbc_a_total\{kind="x",chain="one"\} 1/);
  });

  it('exposes other names with the values of the time, and nothing of what is gone', async () => {
    const aliases = [
      { name: 'other_total', type: 'counter', of: 'aitbc_b' },
      { name: 'other', type: 'gauge', of: 'aitbc_b' },
      { name: 'none', type: 'gauge', of: 'aitbc_none' },
    ] as const;
    const register = await createRegister({ aliases });
    const height = chainRegister(register, 'one').gauge({ name: 'aitbc_b', help: 'b' });
    height.set(7);
    height.set(8);
    await register.text();
    const text = await register.text();
    assert.match(text, /# TYPE other_total counter\nother_total\{chain="one"\} 8/);
    assert.match(text, /other\{chain="one"\} 8/);
    await register.forget('chain', 'one');
    assert.doesNotMatch(await register.text(), /chain="one"/);
  });

  it('does nothing without a registry', () => {
    nopRegister.counter({ name: 'a', help: 'a' }).inc();
    nopRegister.gauge({ name: 'b', help: 'b' }).set(1);
    nopRegister.histogram({ name: 'c', help: 'c', buckets: [1] }).observe(1);
  });
});
