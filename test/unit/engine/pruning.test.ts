/** Pruning beside snapshots: who joins by the oldest one finds every block after it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { Snapshots } from '../../../src/store/snapshots.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

const KEPT = 3;

describe('a node that prunes and makes snapshots', () => {
  it('keeps every block from its oldest snapshot on, and lets go of the others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aitbc-pruning-'));
    const snapshots = await Snapshots.open({
      ...{ folder: join(folder, 'snapshots'), interval: 10, keep: 2, hasher: nativeCrypto, clock: systemClock },
      ...{ log: nopLogger, metrics: nopRegister },
    });
    const node = new NodeUnderTest({ self: null, snapshots, retainedBlocks: KEPT });
    const growTo = async (height: number): Promise<void> => {
      while (node.driver.tip.height < height) {
        const nonce = node.driver.tip.height;
        const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, validUntilHeight: 10_000 });
        // Its signature is verified here.
        assert.equal(await node.chain.handlers.gossip.tx({ attempt: 0, origin: 'other', txs: [tx] }, 'peer'), 'OK');
        const { block } = node.driver.commit([tx]);
        const { certificate } = node.driver;
        assert.ok(certificate);
        const imported = await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate }]));
        assert.equal(imported.count, 1, imported.fault?.message);
        await snapshots.idle();
        await node.advance(1_000);
      }
      await settle();
    };
    const held = (): number[] => snapshots.held.map(({ height }) => height);
    try {
      await node.start();
      await growTo(9);
      assert.equal(node.store.base(), 9 - KEPT + 1);
      await growTo(29);
      assert.deepEqual(held(), [10, 20]);
      assert.equal(node.store.base(), 10);
      await growTo(31);
      assert.deepEqual(held(), [20, 30]);
      assert.equal(node.store.base(), 20);
    } finally {
      await node.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
