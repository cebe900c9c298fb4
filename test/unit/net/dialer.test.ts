import assert from 'node:assert/strict';
import { FIRST_DELAY_MS, MAX_DELAY_MS, PersistentDialer } from '../../../src/net/dialer.ts';
import { createLogLimit } from '../../../src/net/log-limit.ts';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import { recordingLogger } from '../../net/fixtures.ts';
import { manualClock } from '../../net/manual-clock.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(options: { random?: number; banRemainingMs?: () => number } = {}) {
  const clock = manualClock();
  const log = recordingLogger();
  const dials: number[] = [];
  const state = { reachable: false, connected: false };
  const dialer = new PersistentDialer({
    peers: [{ peer: 'p', addresses: ['/ip4/127.0.0.1/tcp/1/p2p/p'] }],
    dial: () => {
      dials.push(clock.monotonic());
      if (!state.reachable) return Promise.reject(new Error('ECONNREFUSED'));
      state.connected = true;
      dialer.onConnect('p');
      return Promise.resolve();
    },
    connected: () => state.connected,
    banRemainingMs: options.banRemainingMs ?? (() => 0),
    clock,
    log,
    metrics: createNetMetrics(),
    random: () => options.random ?? 0.999_999,
  });
  const step = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(Math.min(50, ms - at));
      await settle();
    }
  };
  return { clock, log, dials, state, dialer, step };
}

describe('net/dialer', () => {
  it('doubles the delay from 0.25 s up to 2.5 s', async () => {
    const { dials, dialer, step } = setUp();
    dialer.start();
    await step(60_000);
    const gaps = dials.slice(1).map((at, i) => at - (dials[i] ?? 0));
    const near = (gap: number | undefined, ms: number) => gap !== undefined && gap > ms - 100 && gap <= ms + 50;
    assert.ok(near(gaps[0], FIRST_DELAY_MS), `${gaps[0]}`);
    assert.ok(near(gaps[2], 4 * FIRST_DELAY_MS), `${gaps[2]}`);
    assert.ok(near(gaps.at(-1), MAX_DELAY_MS), `${gaps.at(-1)}`);
    dialer.stop();
  });

  it('spreads its delays by up to a half', async () => {
    const { dials, dialer, step } = setUp({ random: 0 });
    dialer.start();
    await step(400);
    const gap = (dials[1] ?? 0) - (dials[0] ?? 0);
    assert.ok(gap >= FIRST_DELAY_MS / 2 && gap < FIRST_DELAY_MS, `${gap}`);
    dialer.stop();
  });

  it('redials within 0.25 s when a stable connection breaks, slower when it never lasts', async () => {
    const { dials, dialer, state, step, clock } = setUp();
    state.reachable = true;
    dialer.start();
    await settle();
    await step(10_000);
    assert.equal(dials.length, 1);
    const lost = (): void => {
      state.connected = false;
      dialer.onDisconnect('p');
    };
    lost();
    await step(FIRST_DELAY_MS);
    assert.equal(dials.length, 2);
    for (let i = 0; i < 8; i++) {
      lost();
      const count = dials.length;
      while (dials.length === count) await step(50);
    }
    const before = dials.length;
    lost();
    clock.advance(1_000);
    await settle();
    assert.equal(dials.length, before, 'a peer that hangs up at once is not dialled in a loop');
    dialer.stop();
  });

  it('waits out a ban, and stops for good', async () => {
    let banMs = 0;
    const { dials, dialer, state, step, clock } = setUp({ banRemainingMs: () => banMs });
    state.reachable = true;
    dialer.start();
    await settle();
    banMs = 60_000;
    state.connected = false;
    dialer.onDisconnect('p');
    await step(59_000);
    assert.equal(dials.length, 1);
    await step(2_000);
    assert.equal(dials.length, 2);
    state.connected = false;
    dialer.onDisconnect('p');
    dialer.stop();
    assert.equal(clock.pending, 0);
  });

  it('logs an unreachable peer once a minute', async () => {
    const { log, dialer, step } = setUp();
    dialer.start();
    await settle();
    await step(58_000);
    assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1);
    await step(20_000);
    const warnings = log.lines.filter(({ level }) => level === 'warn');
    assert.equal(warnings.length, 2);
    assert.ok(Number(warnings[1]?.context['suppressed']) > 3);
    dialer.stop();
  });
});

describe('net/log-limit', () => {
  it('forgets keys beyond its bound', () => {
    const log = recordingLogger();
    const limit = createLogLimit(log, manualClock());
    for (let i = 0; i < 2_000; i++) limit.log('warn', `peer-${i}`, 'text', {});
    limit.log('warn', 'peer-1999', 'text', {});
    limit.log('warn', 'peer-0', 'text', {});
    const warnings = log.lines.filter(({ level }) => level === 'warn');
    assert.equal(warnings.length, 2_001);
  });
});
