/** Pruning on a real database: what goes, what stays, and what a crash at any step leaves. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { openDatabase } from '../../../src/store/db.ts';
import { heightKey, KEY, prefixRange } from '../../../src/store/keys.ts';
import { MAX_STEP_DELETIONS } from '../../../src/store/sweep.ts';
import type { ChainStore, CommittedBlock } from '../../../src/store/types.ts';
import { CHAIN_ID, committed, filled, GENESIS_HASH, inFolder, transaction } from './fixtures.ts';

function open(folder: string): Promise<ChainStore> {
  return openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher });
}

/** @param txs of each block */
function chainOf(count: number, txs: number): CommittedBlock[] {
  const blocks: CommittedBlock[] = [];
  for (let height = 1; height <= count; height++) {
    const parent = blocks.at(-1)?.blockId ?? GENESIS_HASH;
    blocks.push(committed(height, parent, { txs: Array.from({ length: txs }, (_, i) => transaction(height, i)) }));
  }
  return blocks;
}

async function makeChain(folder: string, blocks: readonly CommittedBlock[]): Promise<void> {
  const store = await open(folder);
  await store.initialise(new Map());
  await store.commit(blocks);
  await store.close();
}

async function pruneAll(store: ChainStore, keepFrom: number): Promise<number> {
  for (let pruned = 0; ; ) {
    const { blocks, done } = await store.prune(keepFrom);
    pruned += blocks;
    if (done) return pruned;
  }
}

async function countKeys(folder: string, prefix: (typeof KEY)[keyof typeof KEY]): Promise<number> {
  const db = await openDatabase(folder);
  let count = 0;
  for await (const [key] of db.entries(prefixRange(prefix))) count += key.length > 0 ? 1 : 0;
  await db.close();
  return count;
}

describe('pruning', () => {
  it('deletes blocks with all that names them, and keeps the rest', () =>
    inFolder(async (folder) => {
      const chain = chainOf(10, 3);
      await makeChain(folder, chain);
      const store = await open(folder);
      assert.equal(await pruneAll(store, 7), 6);
      assert.equal(store.base(), 7);
      for (const { block, blockId } of chain) {
        const { height } = block.header;
        const kept = height >= 7;
        assert.equal(store.block(height) !== undefined, kept, `block ${height}`);
        assert.equal(store.certificate(height) !== undefined, kept);
        assert.equal(store.receipts(height) !== undefined, kept);
        assert.equal(store.heightOf(blockId), kept ? height : undefined);
        for (const tx of block.txs) assert.equal(store.transaction(tx.id)?.height, kept ? height : undefined);
      }
      assert.equal(await pruneAll(store, 3), 0);
      assert.equal(store.base(), 7);
      await store.commit([committed(11, chain.at(-1)?.blockId ?? GENESIS_HASH)]);
      assert.equal(await pruneAll(store, 100), 4);
      assert.equal(store.base(), 11);
      assert.ok(store.block(11));
      await store.close();
      const again = await open(folder);
      assert.equal(again.base(), 11);
      assert.equal(again.head()?.height, 11);
      await again.close();
      for (const prefix of [KEY.BLOCK, KEY.CERTIFICATE, KEY.RECEIPTS, KEY.HEIGHT_BY_BLOCK_ID] as const) {
        assert.equal(await countKeys(folder, prefix), 1);
      }
      assert.equal(await countKeys(folder, KEY.TRANSACTION), 0);
    }));

  it(`deletes about ${MAX_STEP_DELETIONS} entries a step, however large a block is`, () =>
    inFolder(async (folder) => {
      await makeChain(folder, chainOf(3, MAX_STEP_DELETIONS * 2));
      const store = await open(folder);
      assert.deepEqual(await store.prune(3), { blocks: 0, done: false });
      // Readers see nothing half deleted.
      assert.equal(store.base(), 3);
      assert.deepEqual(await store.prune(3), { blocks: 0, done: false });
      let steps = 2;
      while (!(await store.prune(3)).done) steps++;
      assert.ok(steps >= 4 && steps <= 6, String(steps));
      await store.close();
    }));

  it('goes on after the process was killed in the middle', () =>
    inFolder(async (folder) => {
      await makeChain(folder, chainOf(8, MAX_STEP_DELETIONS));
      for (let kills = 0; kills < 3; kills++) {
        const store = await open(folder);
        await store.prune(6);
        await store.close();
      }
      const store = await open(folder);
      assert.equal(store.base(), 6);
      await pruneAll(store, 6);
      await store.close();
      assert.equal(await countKeys(folder, KEY.BLOCK), 3);
      assert.equal(await countKeys(folder, KEY.TRANSACTION), 3 * MAX_STEP_DELETIONS);
    }));

  it('is not held up by damaged blocks', () =>
    inFolder(async (folder) => {
      await makeChain(folder, chainOf(80, 1));
      const db = await openDatabase(folder);
      await db.write(
        (batch) => {
          batch.put(heightKey(KEY.BLOCK, 2), filled(255, 9));
          batch.put(heightKey(KEY.RECEIPTS, 2), filled(255, 9));
        },
        { sync: true },
      );
      await db.close();
      const store = await open(folder);
      assert.equal(await pruneAll(store, 5), 4);
      await store.close();
    }));

  it('survives kill -9 at any moment', async function () {
    this.timeout(60_000);
    await inFolder(async (folder) => {
      await makeChain(folder, chainOf(400, 20));
      for (let round = 0; round < 5; round++) {
        const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('./prune-loop.ts')), folder], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const ended = once(child, 'exit');
        // Let a few steps go by, another number in each round.
        let lines = 0;
        for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
          lines += chunk.toString().split('\n').length - 1;
          if (lines > round * 3) break;
        }
        child.kill('SIGKILL');
        await ended;
        const store = await open(folder);
        const base = store.base();
        for (const height of [base, base + 1, 400]) {
          assert.ok(store.block(height) && store.certificate(height) && store.receipts(height), String(height));
          for (const tx of store.block(height)?.txs ?? []) assert.equal(store.transaction(tx.id)?.height, height);
        }
        await store.close();
      }
      const store = await open(folder);
      await pruneAll(store, 400);
      await store.close();
      assert.equal(await countKeys(folder, KEY.BLOCK), 1);
      assert.equal(await countKeys(folder, KEY.TRANSACTION), 20);
      assert.equal(await countKeys(folder, KEY.HEIGHT_BY_BLOCK_ID), 1);
    });
  });
});
