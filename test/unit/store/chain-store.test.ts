import assert from 'node:assert/strict';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { utf8 } from '../../../src/bytes.ts';
import { encodeBlock } from '../../../src/chain/block.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { StateKey } from '../../../src/chain/state.ts';
import type { ChainStoreOptions } from '../../../src/store/chain-store.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { openDatabase } from '../../../src/store/db.ts';
import { BASE_KEY, encodeU64, heightKey, KEY, META, metaKey } from '../../../src/store/keys.ts';
import type { ChainStore } from '../../../src/store/types.ts';
import { CHAIN_ID, chainOf, coded, committed, filled, GENESIS_HASH, inFolder, key, transaction } from './fixtures.ts';

function open(folder: string, options: Partial<ChainStoreOptions> = {}): Promise<ChainStore> {
  return openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher, ...options });
}

async function withStore(folder: string, use: (store: ChainStore) => Promise<void>): Promise<void> {
  const store = await open(folder);
  try {
    await store.initialise(new Map());
    await use(store);
  } finally {
    await store.close();
  }
}

async function entriesOf(store: ChainStore): Promise<[StateKey, Uint8Array][]> {
  const entries: [StateKey, Uint8Array][] = [];
  for await (const [name, value] of store.stateEntries()) entries.push([name, value]);
  return entries;
}

describe('chain store', () => {
  it('starts empty, takes the genesis state once, and keeps it', () =>
    inFolder(async (folder) => {
      const store = await open(folder);
      assert.equal(store.head(), null);
      await store.initialise(new Map([[key('a'), utf8('1')]]));
      await store.initialise(new Map([[key('a'), utf8('2')]]));
      await store.close();
      const again = await open(folder);
      assert.equal(again.head(), null);
      assert.deepEqual(again.state.get(key('a')), utf8('1'));
      assert.equal(again.state.get(key('b')), undefined);
      await again.close();
    }));

  it('answers every question about a committed block, also after reopening', () =>
    inFolder(async (folder) => {
      const tx = transaction(2, 0);
      const first = committed(1, GENESIS_HASH, { changes: new Map([[key('gone'), utf8('x')]]) });
      const second = committed(2, first.blockId, {
        txs: [transaction(2, 7), tx],
        changes: new Map([
          [key('gone'), undefined],
          [key('kept'), filled(8, 3)],
        ]),
      });
      const check = async (store: ChainStore): Promise<void> => {
        assert.equal(store.head()?.height, 2);
        assert.deepEqual(store.head()?.blockId, second.blockId);
        assert.deepEqual(store.head()?.header, second.block.header);
        assert.deepEqual(store.head()?.certificate, second.certificate);
        assert.deepEqual(store.block(2), second.block);
        assert.deepEqual(store.blockBytes(2), encodeBlock(second.block));
        assert.deepEqual(store.header(1), first.block.header);
        assert.equal(store.heightOf(first.blockId), 1);
        assert.deepEqual(store.certificate(1), first.certificate);
        assert.deepEqual(store.receipts(2), second.receipts);
        assert.deepEqual(store.receipts(1), []);
        assert.deepEqual(store.transaction(tx.id), { height: 2, index: 1 });
        assert.deepEqual(await entriesOf(store), [[key('kept'), filled(8, 3)]]);
        assert.equal(store.state.get(key('gone')), undefined);
        assert.equal(store.block(3), undefined);
        assert.equal(store.heightOf(filled(4)), undefined);
        assert.equal(store.transaction(filled(4)), undefined);
        const { constructor } = store.blockBytes(1) ?? {};
        assert.equal(constructor, Uint8Array);
      };
      await withStore(folder, async (store) => {
        await store.commit([first]);
        await store.commit([second]);
        await check(store);
      });
      await withStore(folder, check);
    }));

  it('reads one transaction or receipt of a block like all of them', () =>
    inFolder(async (folder) => {
      const txs = Array.from({ length: 20 }, (_, i) => transaction(2, i));
      const block = committed(1, GENESIS_HASH, { txs });
      const receipts = block.receipts.map((receipt, i) => ({
        ...receipt,
        code: i % 3,
        events: Array.from({ length: i % 4 }, (_, n) => ({ module: 1, kind: n, data: filled(i, 5) })),
      }));
      await withStore(folder, async (store) => {
        await store.commit([{ ...block, receipts }]);
        for (let index = 0; index < txs.length; index++) {
          const place = { height: 1, index };
          assert.deepEqual(store.transactionAt(place), store.block(1)?.txs[index]);
          assert.deepEqual(store.receiptAt(place), store.receipts(1)?.[index]);
        }
        assert.equal(store.transactionAt({ height: 2, index: 0 }), undefined);
        assert.equal(store.receiptAt({ height: 2, index: 0 }), undefined);
      });
    }));

  it('refuses blocks that do not follow the head, and then goes on', () =>
    inFolder(async (folder) => {
      const [one, two, three] = chainOf(3) as [ReturnType<typeof committed>, ...ReturnType<typeof chainOf>];
      assert.ok(two && three);
      const store = await open(folder);
      await assert.rejects(store.commit([one]), coded('INTERNAL', /genesis state/));
      await store.initialise(new Map());
      await assert.rejects(store.commit([two]), coded('INTERNAL'));
      await assert.rejects(store.commit([committed(1, filled(1))]), coded('INTERNAL'));
      await assert.rejects(store.commit([one, three]), coded('INTERNAL'));
      await assert.rejects(store.commit([{ ...one, blockId: two.blockId }]), coded('INTERNAL'));
      await store.commit([]);
      await store.commit([one, two]);
      await assert.rejects(store.commit([two]), coded('INTERNAL'));
      const pending = store.commit([three]);
      await assert.rejects(store.commit([three]), coded('INTERNAL', /already/));
      await pending;
      assert.equal(store.head()?.height, 3);
      await store.close();
    }));

  it('shows nothing of a commit before it is acknowledged', () =>
    inFolder((folder) =>
      withStore(folder, async (store) => {
        const changes = new Map(Array.from({ length: 2_000 }, (_, i) => [key(`k${i}`), filled(1, 100)]));
        const block = committed(1, GENESIS_HASH, { changes, txs: [transaction(1, 0)] });
        let done = false;
        const pending = store.commit([block]).then(() => {
          done = true;
        });
        for (let i = 0; !done; i++) {
          assert.equal(store.state.get(key(`k${i % 2_000}`)), undefined);
          assert.equal(store.heightOf(block.blockId), undefined);
          assert.equal(store.head(), null);
          await setImmediate();
        }
        await pending;
        assert.deepEqual(store.state.get(key('k0')), filled(1, 100));
        assert.equal(store.heightOf(block.blockId), 1);
      }),
    ));

  it('keeps the highest guard sequence of each key', () =>
    inFolder(async (folder) => {
      const marks = [
        { publicKey: filled(1), sequence: 5 },
        { publicKey: filled(2), sequence: 9 },
        { publicKey: filled(1), sequence: 3 },
      ];
      await withStore(folder, async (store) => {
        assert.equal(store.guardSequence(filled(1)), 0);
        let parent = GENESIS_HASH;
        for (const [i, guard] of marks.entries()) {
          const block = committed(i + 1, parent, { guard });
          await store.commit([block]);
          parent = block.blockId;
        }
        await store.commit([committed(4, parent)]);
      });
      await withStore(folder, async (store) => {
        assert.deepEqual(
          [1, 2, 3].map((byte) => store.guardSequence(filled(byte))),
          [5, 9, 0],
        );
        await Promise.resolve();
      });
    }));

  it('refuses a database of another chain or genesis, a newer one, and one in use', () =>
    inFolder(async (folder) => {
      await withStore(folder, async () => {
        await assert.rejects(open(folder), coded('DATA_LOCKED'));
      });
      await assert.rejects(open(folder, { genesisHash: filled(1) }), coded('WRONG_GENESIS'));
      await assert.rejects(open(folder, { chainId: 'ait-testnet' }), coded('WRONG_GENESIS'));
      const db = await openDatabase(folder);
      await db.write((batch) => batch.put(metaKey(META.SCHEMA), Uint8Array.of(0, 0, 0, 3)), { sync: true });
      await db.close();
      await assert.rejects(open(folder), coded('DATA_TOO_NEW'));
    }));

  it('reports damage instead of serving it', () =>
    inFolder(async (folder) => {
      const blocks = chainOf(5);
      await withStore(folder, (store) => store.commit(blocks));
      const edit = async (fill: Parameters<Awaited<ReturnType<typeof openDatabase>>['write']>[0]): Promise<void> => {
        const db = await openDatabase(folder);
        await db.write(fill, { sync: true });
        await db.close();
      };
      await edit((batch) => batch.put(heightKey(KEY.RECEIPTS, 2), filled(255, 9)));
      await withStore(folder, async (store) => {
        assert.throws(() => store.receipts(2), coded('CORRUPT'));
        await Promise.resolve();
      });
      await edit((batch) => batch.del(heightKey(KEY.BLOCK, 3)));
      await assert.rejects(open(folder), coded('CORRUPT', /height 3/));
      await truncate(join(folder, 'CURRENT'), 0);
      await assert.rejects(open(folder), coded('CORRUPT'));
    }));

  it('begins at its base: nothing below is needed, and the base itself is', () =>
    inFolder(async (folder) => {
      await withStore(folder, async (store) => {
        assert.equal(store.base(), 1);
        await store.commit(chainOf(5));
        assert.equal(store.base(), 1);
      });
      const edit = async (base: number, missing: number): Promise<void> => {
        const db = await openDatabase(folder);
        await db.write(
          (batch) => {
            batch.put(BASE_KEY, encodeU64(base));
            batch.del(heightKey(KEY.BLOCK, missing));
          },
          { sync: true },
        );
        await db.close();
      };
      await edit(3, 2);
      await withStore(folder, async (store) => {
        assert.equal(store.base(), 3);
        assert.equal(store.head()?.height, 5);
        const next = committed(6, store.head()?.blockId ?? GENESIS_HASH);
        await store.commit([next]);
      });
      await edit(7, 1);
      await assert.rejects(open(folder), coded('CORRUPT', /above the head/));
      await edit(3, 3);
      await assert.rejects(open(folder), coded('CORRUPT', /height 3/));
    }));

  it('equals a map, whatever is committed, in whatever groups, with restarts between', async function () {
    this.timeout(120_000);
    const change = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.option(fc.uint8Array({ maxLength: 40 })));
    const step = fc.record({
      blocks: fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 4 }),
      reopen: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), (steps) =>
        inFolder(async (folder) => {
          const model = new Map<StateKey, Uint8Array>();
          const options = { stateCacheEntries: 6 };
          let store = await open(folder, options);
          await store.initialise(new Map());
          for (const { blocks, reopen } of steps) {
            const group: ReturnType<typeof committed>[] = [];
            let height = store.head()?.height ?? 0;
            for (const changes of blocks) {
              const parent = group.at(-1)?.blockId ?? store.head()?.blockId ?? GENESIS_HASH;
              const map = new Map(changes.map(([n, value]) => [key(`${n}`), value ?? undefined]));
              group.push(committed(++height, parent, { changes: map }));
              for (const [name, value] of map) value ? model.set(name, value) : model.delete(name);
            }
            await store.commit(group);
            if (reopen) {
              await store.close();
              store = await open(folder, options);
            }
            assert.equal(store.head()?.height ?? 0, height);
            for (let n = 0; n <= 12; n++) assert.deepEqual(store.state.get(key(`${n}`)), model.get(key(`${n}`)));
          }
          assert.deepEqual(
            await entriesOf(store),
            [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
          );
          await store.close();
        }),
      ),
      { numRuns: 100 },
    );
  });
});
