/** What pins a database to its chain, to this program's schema, and to the key its values are encrypted with. */
import type { Hash } from '../bytes.ts';
import { equalBytes, toHex, utf8 } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import { NodeError } from '../errors.ts';
import { isWrappedBy, newDataKey, openDataKey, rewrapDataKey } from './data-key.ts';
import type { Database, WriteBatch } from './db.ts';
import { corruptDatabase, openDatabase } from './db.ts';
import { HEAD_KEY, META, metaKey, prefixRange, KEY } from './keys.ts';
import { CipherSealer } from './sealer.ts';

/** Version of the key table and of the values' forms. A database with another one is refused. */
const SCHEMA = 2;

/** Until schema 2 values had no tag. */
const UNTAGGED_SCHEMA_BYTES = 4;

export interface StoreIdentity {
  readonly chainId: string;
  readonly genesisHash: Hash;
}

export function putMeta(batch: WriteBatch, { chainId, genesisHash }: StoreIdentity): void {
  batch.put(metaKey(META.SCHEMA), new Writer(4).u32(SCHEMA).finish());
  batch.put(metaKey(META.CHAIN_ID), utf8(chainId));
  batch.put(metaKey(META.GENESIS_HASH), genesisHash);
}

/** @returns whether the database was used before. @throws NodeError DATA_FOLDER | DATA_TOO_NEW | WRONG_GENESIS | CORRUPT */
export function checkMeta(db: Database, { chainId, genesisHash }: StoreIdentity): boolean {
  const { folder } = db;
  if (!checkSchema(db)) return false;
  const stored = readIdentity(db);
  if (stored.chainId !== chainId || !equalBytes(stored.genesisHash, genesisHash)) {
    throw new NodeError('WRONG_GENESIS', 'the block database belongs to another chain or genesis', {
      data: {
        path: folder,
        chainId,
        genesisHash: toHex(genesisHash),
        storedChain: stored.chainId,
        storedGenesis: toHex(stored.genesisHash),
      },
      hint: 'use the genesis file this folder was made with, or another data folder',
    });
  }
  return true;
}

/**
 * Decides how the values of a database are sealed: a new one is encrypted when there is a store key, and one that was
 * used stays as it was made.
 *
 * @throws NodeError KEY_FILE when it is encrypted and no key or another one is given, CONFIG when it is not encrypted and
 * a key is given, CORRUPT
 */
export async function openSealing(
  db: Database,
  { chainId, genesisHash, storeKey }: StoreIdentity & { readonly storeKey?: Uint8Array },
  initialised: boolean,
): Promise<void> {
  const owner = { folder: db.folder, chainId, genesisHash };
  let record = db.get(metaKey(META.DATA_KEY));
  if (storeKey === undefined) {
    if (record === undefined) return;
    throw new NodeError('KEY_FILE', 'the block database is encrypted, and store.encrypt is off', {
      data: { path: db.folder },
      hint: 'set store.encrypt = "on" and give its key; or move that folder away and start again: the chain is synced anew, not encrypted; keep the sign guard beside it',
    });
  }
  if (record === undefined) {
    if (initialised) {
      throw new NodeError('CONFIG', 'the block database is not encrypted, and store.encrypt is on', {
        data: { path: db.folder },
        hint: 'move that folder away and start again: the chain is synced anew, encrypted; keep the sign guard beside it; or set store.encrypt = "off"',
      });
    }
    record = newDataKey(storeKey, owner);
    const made = record;
    await db.write((batch) => batch.put(metaKey(META.DATA_KEY), made), { sync: true });
  }
  db.useSealer(new CipherSealer(openDataKey(record, storeKey, owner)));
}

/**
 * Wraps the data key of an encrypted database that nobody has open with another store key. Values stay as they are.
 * Doing it again does nothing, so that it can be repeated after a crash.
 *
 * @param schema of the database: that of the chain's when absent
 * @returns false when the database is not encrypted
 * @throws NodeError KEY_FILE when neither key is the one it was wrapped with; DATA_LOCKED | CORRUPT | STORAGE
 */
export async function rotateStoreKey(
  folder: string,
  from: Uint8Array,
  to: Uint8Array,
  schema = SCHEMA,
): Promise<boolean> {
  const db = await openDatabase(folder);
  try {
    if (!checkSchema(db, schema)) return false;
    const record = db.get(metaKey(META.DATA_KEY));
    if (record === undefined) return false;
    const owner = { folder, ...readIdentity(db) };
    if (isWrappedBy(record, to)) {
      openDataKey(record, to, owner);
      return true;
    }
    const rewrapped = rewrapDataKey(record, from, to, owner);
    await db.write((batch) => batch.put(metaKey(META.DATA_KEY), rewrapped), { sync: true });
    // The old record must not stay behind in LevelDB's files: with the old key it would still tell the data key.
    await db.compact(prefixRange(KEY.META));
    return true;
  } finally {
    await db.close();
  }
}

/** @returns whether there is one */
function checkSchema(db: Database, known: number = SCHEMA): boolean {
  const { folder } = db;
  const key = metaKey(META.SCHEMA);
  const stored = db.getSealed(key);
  if (!stored) {
    if (db.getSealed(HEAD_KEY)) throw corruptDatabase(folder, 'it has a head, and nothing says of which chain');
    return false;
  }
  const value = stored.length === UNTAGGED_SCHEMA_BYTES ? stored : db.get(key);
  const version = new Reader(value ?? stored, 'schema version').u32();
  const data = { path: folder, version, known };
  if (version > known) {
    throw new NodeError('DATA_TOO_NEW', `the block database has schema ${version}, this program knows ${known}`, {
      data,
      hint: 'start the newer program, or use another data folder',
    });
  }
  if (version < known) {
    throw new NodeError('DATA_FOLDER', `the block database has schema ${version}, this program needs ${known}`, {
      data,
      hint: 'move that folder away and start again: the chain is synced anew from peers; keep the sign guard beside it',
    });
  }
  return true;
}

function readIdentity(db: Database): StoreIdentity {
  const chainId = db.get(metaKey(META.CHAIN_ID));
  const genesisHash = db.get(metaKey(META.GENESIS_HASH));
  if (!chainId || !genesisHash) throw corruptDatabase(db.folder, 'nothing says of which chain it is');
  return { chainId: Buffer.from(chainId).toString('latin1'), genesisHash };
}
