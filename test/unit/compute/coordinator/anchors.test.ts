import assert from 'node:assert/strict';
import { listRoot, verifyListProof } from '../../../../src/chain/list-root.ts';
import { Anchors } from '../../../../src/compute/coordinator/anchors.ts';
import { TABLE } from '../../../../src/compute/coordinator/rows.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { TestMiner } from './test-miner.ts';
import { World } from './world.ts';

const hashOf = (number: number): Uint8Array => nativeCrypto.hash(Uint8Array.of(number));

describe('coordinator: where receipts stand under the root of their agreement', () => {
  it('is told for each of a session, for the latest root and for earlier ones, after a restart too', async () => {
    const world = new World();
    const miner = world.add(new TestMiner(1));
    await world.start();
    const ids: Uint8Array[] = [];
    for (let i = 0; i < 5; i++) {
      const { receiptId } = await world.run();
      assert.ok(receiptId);
      ids.push(receiptId);
    }
    assert.equal(miner.accounts.size, 1, 'under one agreement');
    const settled = listRoot(nativeCrypto, ids.slice(0, 3));
    for (let restarts = 0; restarts < 2; restarts++) {
      const receipts = ids.map((id) => world.coordinator.receipt(id));
      for (const [i, receipt] of receipts.entries()) {
        assert.ok(receipt);
        const latest = listRoot(nativeCrypto, ids);
        const place = world.coordinator.placeOf(receipt, latest);
        assert.ok(place && verifyListProof(nativeCrypto, latest, receipt.id, place));
        const earlier = world.coordinator.placeOf(receipt, settled);
        assert.equal(earlier !== null && verifyListProof(nativeCrypto, settled, receipt.id, earlier), i < 3);
        assert.equal(world.coordinator.placeOf(receipt, hashOf(1)), null, 'of receipts that never came here');
      }
      await world.crash();
    }
    assert.equal(world.rows.ofTable(TABLE.receiptPlace).length, 5);
    await world.coordinator.close();
  });

  it('bound: receipts whose place is known', () => {
    const anchors = new Anchors(nativeCrypto, 4);
    const rows = [1, 1, 1, 2, 2, 3].flatMap((agreement, i) => anchors.add(hashOf(agreement), hashOf(10 + i)));
    assert.equal(anchors.size, 3);
    assert.equal(rows.filter(({ value }) => value === null).length, 3, 'those of the agreement used first are gone');
    assert.equal(anchors.placeOf(hashOf(1), hashOf(10), listRoot(nativeCrypto, [hashOf(10)])), null);
    assert.ok(anchors.placeOf(hashOf(3), hashOf(15), listRoot(nativeCrypto, [hashOf(15)])));
  });
});
