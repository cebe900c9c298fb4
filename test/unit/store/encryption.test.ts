import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex, utf8 } from '../../../src/bytes.ts';
import { encodeBlock } from '../../../src/chain/block.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { NodeError } from '../../../src/errors.ts';
import type { ChainStoreOptions } from '../../../src/store/chain-store.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { openDatabase } from '../../../src/store/db.ts';
import { heightKey, KEY, META, metaKey } from '../../../src/store/keys.ts';
import { rotateStoreKey } from '../../../src/store/meta.ts';
import type { ChainStore } from '../../../src/store/types.ts';
import { CHAIN_ID, coded, committed, filled, GENESIS_HASH, inFolder, key, transaction } from './fixtures.ts';

const KEY_ONE = filled(0x11);
const KEY_TWO = filled(0x22);
const SECRET = utf8('a value that must not be found in any file');

function open(folder: string, options: Partial<ChainStoreOptions> = {}): Promise<ChainStore> {
  return openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher, ...options });
}

const pending = transaction(9, 9);
const first = committed(1, GENESIS_HASH, { changes: new Map([[key('a'), SECRET]]), txs: [transaction(1, 0)] });
const second = committed(2, first.blockId, { changes: new Map([[key('b'), filled(3, 64)]]) });

async function make(folder: string, options: Partial<ChainStoreOptions>): Promise<void> {
  const store = await open(folder, options);
  await store.initialise(new Map([[key('genesis'), SECRET]]));
  await store.commit([first]);
  await store.commit([second]);
  store.journal.add(pending.key, pending.bytes);
  await store.close();
}

async function check(folder: string, options: Partial<ChainStoreOptions>): Promise<void> {
  const store = await open(folder, options);
  try {
    assert.deepEqual(store.block(1), first.block);
    assert.deepEqual(store.certificate(1), first.certificate);
    assert.deepEqual(store.receipts(1), first.receipts);
    assert.deepEqual(store.state.get(key('a')), SECRET);
    assert.deepEqual(await store.journal.load(), [pending.bytes]);
    const entries: string[] = [];
    for await (const [name] of store.stateEntries()) entries.push(name);
    assert.equal(entries.length, 3);
  } finally {
    await store.close();
  }
}

async function filesHold(folder: string, needle: Uint8Array): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if ((await readFile(join(folder, name))).includes(Buffer.from(needle))) return true;
  }
  return false;
}

describe('an encrypted block store', () => {
  it('reads what it wrote after reopening, and its files show none of it', () =>
    inFolder(async (folder) => {
      const plain = join(folder, 'plain');
      const encrypted = join(folder, 'encrypted');
      await make(plain, {});
      await make(encrypted, { storeKey: KEY_ONE });
      for (const needle of [SECRET, pending.bytes, encodeBlock(first.block)]) {
        assert.equal(await filesHold(plain, needle), true);
        assert.equal(await filesHold(encrypted, needle), false);
      }
      await check(plain, {});
      await check(encrypted, { storeKey: KEY_ONE });
      assert.equal(await filesHold(plain, SECRET), true);
      assert.equal(await filesHold(encrypted, SECRET), false);
    }));

  it('refuses another key, no key, and a key where nothing is encrypted, in words that name no key', () =>
    inFolder(async (folder) => {
      const plain = join(folder, 'plain');
      const encrypted = join(folder, 'encrypted');
      await make(plain, {});
      await make(encrypted, { storeKey: KEY_ONE });
      const words = (code: NodeError['code'], message: RegExp) => (error: NodeError) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.ok(error.hint);
        const text = `${error.message} ${error.hint} ${JSON.stringify(error.data)}`;
        for (const secret of [KEY_ONE, KEY_TWO]) assert.equal(text.includes(toHex(secret).slice(0, 16)), false);
        return true;
      };
      await assert.rejects(open(encrypted, { storeKey: KEY_TWO }), words('KEY_FILE', /another store key/));
      await assert.rejects(open(encrypted), words('KEY_FILE', /is encrypted/));
      await assert.rejects(open(plain, { storeKey: KEY_ONE }), words('CONFIG', /is not encrypted/));
      await check(encrypted, { storeKey: KEY_ONE });
    }));

  it('is bound to its chain: the record of the data key does not open under another one', () =>
    inFolder(async (folder) => {
      const [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')];
      const other = { storeKey: KEY_ONE, chainId: 'ait-testnet' };
      await make(ours, { storeKey: KEY_ONE });
      const store = await open(theirs, other);
      await store.initialise(new Map());
      await store.close();
      const db = await openDatabase(ours);
      const record = db.get(metaKey(META.DATA_KEY));
      await db.close();
      const target = await openDatabase(theirs);
      await target.write((batch) => batch.put(metaKey(META.DATA_KEY), record ?? filled(0)), { sync: true });
      await target.close();
      await assert.rejects(open(theirs, other), coded('CORRUPT', /another chain/));
    }));

  it('refuses values moved to another key or changed, and tells of the damage once', () =>
    inFolder(async (folder) => {
      for (const storeKey of [undefined, KEY_ONE]) {
        const at = join(folder, storeKey ? 'encrypted' : 'plain');
        await make(at, storeKey ? { storeKey } : {});
        const options = storeKey ? { storeKey } : {};
        await tamper(at);
        const damages: NodeError[] = [];
        const store = await open(at, { ...options, onDamage: (error) => damages.push(error) });
        assert.throws(() => store.receipts(1), coded('CORRUPT', /not what was written/));
        assert.throws(() => store.receipts(1), coded('CORRUPT'));
        assert.throws(() => store.certificate(1), coded('CORRUPT', /not what was written/));
        assert.deepEqual(store.block(1), first.block);
        assert.deepEqual(
          damages.map(({ code }) => code),
          ['CORRUPT'],
        );
        await store.close();
      }
    }));

  it('takes a new key without writing values anew; the old one opens nothing then, and no file keeps its record', () =>
    inFolder(async (folder) => {
      await make(folder, { storeKey: KEY_ONE });
      const db = await openDatabase(folder);
      const old = db.get(metaKey(META.DATA_KEY));
      await db.close();
      assert.ok(old);
      await assert.rejects(rotateStoreKey(folder, KEY_TWO, filled(0x33)), coded('KEY_FILE'));
      assert.equal(await rotateStoreKey(folder, KEY_ONE, KEY_TWO), true);
      assert.equal(await rotateStoreKey(folder, KEY_ONE, KEY_TWO), true);
      await assert.rejects(open(folder, { storeKey: KEY_ONE }), coded('KEY_FILE'));
      await check(folder, { storeKey: KEY_TWO });
      assert.equal(await filesHold(folder, old.subarray(21, 53)), false);
    }));

  it('has nothing to rotate where nothing is encrypted', () =>
    inFolder(async (folder) => {
      await make(folder, {});
      assert.equal(await rotateStoreKey(folder, KEY_ONE, KEY_TWO), false);
      await check(folder, {});
    }));

  it('can be opened again after a crash before the genesis state was written', () =>
    inFolder(async (folder) => {
      await (await open(folder, { storeKey: KEY_ONE })).close();
      await assert.rejects(open(folder), coded('KEY_FILE'));
      await make(folder, { storeKey: KEY_ONE });
      await check(folder, { storeKey: KEY_ONE });
    }));

  it('of schema 1, whose values had no tag, is refused with what to do', () =>
    inFolder(async (folder) => {
      // A sealed value whose whole, tag included, reads as the number 1.
      const { Level } = await import('level');
      const level = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view' });
      await level.put(metaKey(META.SCHEMA), Uint8Array.of(0, 0, 0, 1));
      await level.close();
      await assert.rejects(open(folder), coded('DATA_FOLDER', /schema 1/));
    }));
});

/** Swaps two sealed values, and flips a bit in a third, under what seals them. */
async function tamper(folder: string): Promise<void> {
  const { Level } = await import('level');
  const level = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view' });
  const other = await level.get(heightKey(KEY.RECEIPTS, 2));
  const certificate = await level.get(heightKey(KEY.CERTIFICATE, 1));
  assert.ok(other && certificate);
  const changed = Uint8Array.from(certificate);
  changed[20] = (changed[20] ?? 0) ^ 1;
  await level.put(heightKey(KEY.RECEIPTS, 1), other);
  await level.put(heightKey(KEY.CERTIFICATE, 1), changed);
  await level.close();
}
