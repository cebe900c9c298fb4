import assert from 'node:assert/strict';
import type { Hash } from '../../../../src/bytes.ts';
import { equalBytes } from '../../../../src/bytes.ts';
import { closeAgreement } from '../../../../src/chain/modules/compute/agreement-client.ts';
import type { PendingSettlement } from '../../../../src/compute/miner/bids.ts';
import { bidsFor } from '../../../../src/compute/miner/bids.ts';
import { Books } from '../../../../src/compute/miner/books.ts';
import { createMinerMetrics } from '../../../../src/compute/miner/metrics.ts';
import { Outbox } from '../../../../src/compute/miner/outbox.ts';
import type { StoredTransaction } from '../../../../src/compute/miner/rows.ts';
import { readTransaction, TABLE } from '../../../../src/compute/miner/rows.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName, sessionKey } from '../../chain/modules/compute/market.ts';
import { CLIENT, MINER, World } from './world.ts';

const OTHER = 'account-3';

function pending(nonce: number, change: Partial<PendingSettlement> = {}): PendingSettlement {
  return { nonce, feeUait: 1_000, worthUait: 50_000, deadlineMs: null, isPassedBy: true, ...change };
}

describe('miner: what settlements pay as their time runs out', () => {
  it('is twice as much each time, and never more than they bring', () => {
    const one = pending(7, { deadlineMs: 60_000 });
    assert.deepEqual(bidsFor([one], 1e9), [{ of: 7, nonce: 7, feeUait: 2_000 }]);
    const fees: number[] = [];
    for (let feeUait = 1_000; ; ) {
      const [bid] = bidsFor([{ ...one, feeUait }], 1e9);
      if (!bid) break;
      fees.push((feeUait = bid.feeUait));
    }
    assert.deepEqual(fees, [2_000, 4_000, 8_000, 16_000, 32_000, 50_000]);
    assert.deepEqual(
      bidsFor([{ ...one, worthUait: 1_050 }], 1e9),
      [],
      'the pool takes no replacement for so little more',
    );
  });

  it('is the least while nothing presses, or no block has passed it by', () => {
    assert.deepEqual(bidsFor([pending(1), pending(2)], 1e9), []);
    assert.deepEqual(bidsFor([pending(1, { deadlineMs: 1, isPassedBy: false })], 1e9), []);
  });

  it('the most urgent comes first, and what makes room for it pays what that takes', () => {
    const bids = bidsFor([pending(1), pending(2, { deadlineMs: 9_000 }), pending(3, { deadlineMs: 5_000 })], 1e9);
    assert.deepEqual(bids, [
      { of: 3, nonce: 1, feeUait: 2_000 },
      { of: 2, nonce: 2, feeUait: 2_000 },
      { of: 1, nonce: 3, feeUait: 1_100 },
    ]);
    const dear = pending(1, { feeUait: 40_000, worthUait: 44_000, deadlineMs: 9_000 });
    const poor = pending(2, { worthUait: 9_000, deadlineMs: 5_000 });
    assert.deepEqual(bidsFor([dear, poor], 1e9), [
      { of: 1, nonce: 1, feeUait: 44_000 },
      { of: 2, nonce: 2, feeUait: 2_000 },
    ]);
  });

  it('stays within what the account has', () => {
    const two = [pending(1, { deadlineMs: 1 }), pending(2, { deadlineMs: 2 })];
    assert.deepEqual(bidsFor(two, 3_500), [{ of: 1, nonce: 1, feeUait: 2_000 }]);
    assert.deepEqual(bidsFor(two, 2_500), []);
  });

  describe('while dear transactions fill the blocks', () => {
    let world: World;
    let books: Books;
    let outbox: Outbox;

    function agreed(client: string, dueUait: number, termMs?: number): Hash {
      const { agreement } = world.open(client, 100_000, termMs);
      const { expiresAtMs } = world.agreement(agreement);
      books.set({
        ...{ agreement, client: addressOfName(client), signer: sessionKey(client), capUait: 100_000, paidUait: 0 },
        ...{ expiresAtMs, chainState: 'open', dueUait, active: null, isSingle: true, receipts: [] },
        ...{ voucher: world.market.voucher(client, agreement, dueUait), awaitedUntilMs: 0, lastUsedMs: 0 },
      });
      return agreement;
    }

    function open(): void {
      outbox = new Outbox({
        ...{ chain: world.chain(), books, rows: world.rows, signer: signer(MINER), address: addressOfName(MINER) },
        ...{ hasher: nativeCrypto, clock: world.clock, log: nopLogger, metrics: createMinerMetrics(nopRegister) },
      });
    }

    /** A block, three seconds of header time later. */
    async function block(): Promise<void> {
      world.mine(world.market.nowMs + 3_000);
      books.refresh(world.chain());
      world.clock.advance(3_000);
      await outbox.consider({ isDraining: false });
    }

    async function keptSettlements(): Promise<StoredTransaction[]> {
      const kept: StoredTransaction[] = [];
      for await (const { key, value } of world.rows.load()) {
        if (key[0] === TABLE.TRANSACTION) kept.push(readTransaction(key, value));
      }
      return kept;
    }

    beforeEach(() => {
      world = new World();
      books = new Books();
      open();
    });

    it('what closes is taken in time, before what has time', async () => {
      const early = agreed(OTHER, 90_000, 3_600_000);
      const closing = agreed(CLIENT, 80_000);
      world.floodUait = 60_000;
      books.set({ ...(books.get(closing) ?? assert.fail()), lastUsedMs: 0, active: { attempt: early, dueUait: 0 } });
      await outbox.consider({ isDraining: false });
      assert.equal(outbox.size, 1, 'one that has time');
      books.set({ ...(books.get(closing) ?? assert.fail()), active: null });
      assert.equal(world.market.send(closeAgreement, CLIENT, { agreement: closing }).code, 0);
      const blocks: string[] = [];
      while (world.agreement(closing).paidUait === 0 && blocks.length < 20) {
        await block();
        blocks.push(world.pool.map(({ feeUait }) => feeUait).join(' '));
      }
      assert.equal(world.agreement(closing).paidUait, 80_000, `paid before it closes: ${blocks.join(', ')}`);
      assert.equal(world.agreement(early).paidUait, 0, 'it waits for cheaper blocks');
      const [last] = world.receipts.filter(({ feeUait }) => feeUait >= 60_000);
      assert.ok(last && last.feeUait <= 80_000);
      world.floodUait = 0;
      await block();
      assert.equal(world.agreement(early).paidUait, 90_000);
      assert.equal(outbox.size, 0);
    });

    it('a fee is never above what it brings, and what it pays is kept before it is sent', async () => {
      const closing = agreed(CLIENT, 20_000);
      world.floodUait = 60_000;
      assert.equal(world.market.send(closeAgreement, CLIENT, { agreement: closing }).code, 0);
      for (let i = 0; i < 14; i++) {
        await block();
        for (const { feeUait, bytes } of world.pool) {
          assert.ok(feeUait <= 20_000);
          const kept = await keptSettlements();
          assert.ok(kept.some((each) => equalBytes(each.bytes, bytes)));
        }
      }
      const before = world.pool[0];
      assert.equal(before?.feeUait, 20_000);
      open();
      outbox.restore(await keptSettlements());
      await block();
      assert.deepEqual(world.pool[0]?.bytes, before.bytes, 'the same after a restart');
    });
  });
});
