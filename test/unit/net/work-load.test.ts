import assert from 'node:assert/strict';
import { PING_RECORD } from '../../../protocols/market/work-channel.ts';
import { WORK } from '../../../protocols/registry.ts';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import type { NodeError } from '../../../src/errors.ts';
import type { LoadedStream, Side } from '../../../src/net/work-load.ts';
import { WorkLoad } from '../../../src/net/work-load.ts';
import { manualClock } from '../../net/manual-clock.ts';

interface Fake extends LoadedStream {
  readonly failures: NodeError[];
  readonly written: Uint8Array[];
  heldBytes: number;
  isPaused: boolean;
}

function world() {
  const clock = manualClock();
  const load = new WorkLoad(clock, createNetMetrics());
  const add = (peer: string, side: Side = 'client'): Fake => {
    const nowMs = clock.monotonic();
    const failures: NodeError[] = [];
    const written: Uint8Array[] = [];
    const fake: Fake = {
      ...{ peer, side, failures, written, heldBytes: 0, isPaused: false },
      ...{ heardMs: nowMs, sentMs: nowMs, sendingMs: null },
      paced: {
        read: () => Promise.resolve(null),
        write: async (frame) => void written.push(frame),
        close: () => undefined,
        abort: (error) => failures.push(error),
        isOpen: true,
        get heldBytes() {
          return fake.heldBytes;
        },
        get isPaused() {
          return fake.isPaused;
        },
      },
    };
    load.add(fake);
    return fake;
  };
  return { clock, load, add };
}

describe('net/work-load', () => {
  it('bound: streams in all; each peer as many as are left, so that there is always room for another one', () => {
    const { load } = world();
    const fill = (peer: string): number => {
      let count = 0;
      while (load.enter('miner', peer)) count++;
      return count;
    };
    assert.equal(fill('a'), WORK.maxStreams / 2);
    assert.equal(fill('b'), WORK.maxStreams / 4);
    assert.equal(fill('c'), WORK.maxStreams / 8);
    assert.ok(load.enter('client', 'a'), 'each side for itself');
    for (let i = 0; i < 10; i++) load.leave('miner', 'a');
    assert.equal(fill('d'), WORK.maxStreams / 16 + 5);
  });

  it('bound: what all hold; the streams of the peer that holds most go', () => {
    const { clock, add } = world();
    const [big, bigToo, small] = [add('big'), add('big'), add('small')];
    big.heldBytes = WORK.maxHeldBytes / 2;
    bigToo.heldBytes = WORK.maxHeldBytes / 4;
    small.heldBytes = WORK.maxHeldBytes / 4;
    clock.advance(1_000);
    assert.deepEqual([big.failures, bigToo.failures], [[], []]);
    small.heldBytes += 1;
    clock.advance(1_000);
    assert.equal(big.failures[0]?.data['reason'], 'memory');
    assert.equal(bigToo.failures.length, 1);
    assert.deepEqual(small.failures, []);
  });

  it('bound: silence and standstill; what is not read here is no silence', () => {
    const { clock, add } = world();
    const [silent, paused, stalled] = [add('silent'), add('paused'), add('stalled')];
    paused.isPaused = true;
    stalled.isPaused = true;
    stalled.sendingMs = clock.monotonic();
    clock.advance(WORK.leaseMs + 1_000);
    assert.equal(silent.failures[0]?.data['reason'], 'silent');
    assert.equal(stalled.failures.length, 0);
    clock.advance(WORK.stallMs);
    assert.equal(stalled.failures[0]?.data['reason'], 'stalled');
    assert.deepEqual(paused.failures, []);
  });

  it('pings where nothing else was sent, and stops looking when no stream is left', () => {
    const { clock, load, add } = world();
    const [idle, busy] = [add('idle'), add('busy', 'miner')];
    clock.advance(WORK.pingMs - 1_000);
    busy.sentMs = clock.monotonic();
    clock.advance(1_000);
    assert.deepEqual(idle.written, [PING_RECORD]);
    assert.deepEqual(busy.written, []);
    load.remove(idle);
    load.remove(busy);
    assert.equal(clock.pending, 0);
  });
});
