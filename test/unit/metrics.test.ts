import assert from 'node:assert/strict';
import { createRegister, nopRegister } from '../../src/metrics.ts';

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

  it('does nothing without a registry', () => {
    nopRegister.counter({ name: 'a', help: 'a' }).inc();
    nopRegister.gauge({ name: 'b', help: 'b' }).set(1);
    nopRegister.histogram({ name: 'c', help: 'c', buckets: [1] }).observe(1);
  });
});
