import assert from 'node:assert/strict';
import type { Clock } from '../../../src/clock.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { Sync } from '../../../src/sync.ts';
import { HEDGE_MS } from '../../../src/sync/pipeline.ts';
import type { ChainNetwork } from '../../../protocols/network.ts';
import { noMiners } from '../../util/no-miners.ts';

/** Far above what a wait costs, far below what spinning does. */
const MANY = 1_000;

describe('catching up from a peer that still owes answers', () => {
  it('waits for it instead of spinning', async () => {
    let height = 0;
    let looks = 0;
    let nowMs = 0;
    const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
    const owed: ((error: NodeError) => void)[] = [];
    const pay = (): void => {
      for (const reject of owed.splice(0)) reject(new NodeError('UNREACHABLE', 'gone'));
    };
    const clock: Clock = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after: (ms, run) => {
        const timer = { atMs: nowMs + ms, run };
        timers.add(timer);
        return () => timers.delete(timer);
      },
    };
    const pass = async (ms: number): Promise<void> => {
      nowMs += ms;
      for (const timer of [...timers]) {
        if (timer.atMs > nowMs) continue;
        timers.delete(timer);
        timer.run();
      }
      await new Promise((resolve) => setImmediate(resolve));
    };
    const sync = new Sync({
      chain: {
        genesisHash: new Uint8Array(32),
        base: () => 1,
        head: () => ({ height, blockId: new Uint8Array(32), certificate: null }),
        link: (blocks) => LinkedRange.of(nativeCrypto, blocks),
        check: () => Promise.resolve(),
        import: () => Promise.resolve({ fault: null }),
        catchingUp: false,
      },
      clock,
      log: nopLogger,
      onCaughtUp: () => undefined,
    });
    const network: ChainNetwork = {
      ...noMiners,
      self: 'self',
      peers: () => {
        // Ends the spin that this test is about, so that the test fails instead of hanging.
        if (++looks > MANY) pay();
        return ['ahead'];
      },
      publish: () => undefined,
      request: () => new Promise((_, reject) => owed.push(reject)),
      report: () => undefined,
      close: () => Promise.resolve(),
    };
    sync.connect(network);
    sync.hint('ahead', { baseHeight: 1, height: 128 });
    await pass(0);
    assert.equal(owed.length, 2);
    // Agreement brings the blocks meanwhile, and catching up ends with its questions open.
    height = 128;
    await pass(HEDGE_MS);
    looks = 0;
    sync.hint('ahead', { baseHeight: 1, height: 200 });
    await pass(0);
    assert.ok(looks < MANY, 'it spins');
    assert.equal(owed.length, 2);
    pay();
    await pass(10_000);
    await sync.stop();
  });
});
