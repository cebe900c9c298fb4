/**
 * Durable rows of the market, a database of its own beside the chain's: what a miner or a coordinator must not forget once
 * it has sent something. Unlike the chain's, nobody else has them.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes, utf8 } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { checkDatabaseFiles } from './database-check.ts';
import type { Database } from './db.ts';
import { openDatabase } from './db.ts';
import { ensurePrivateFolder } from './files.ts';
import { bytesKeyOf, KEY, META, metaKey, prefixRange } from './keys.ts';
import { openSealing } from './meta.ts';
import { storageError } from './storage-error.ts';

/** Version of the table numbers and forms of rows. A database with another one is refused. */
export const ROWS_SCHEMA = 1;

const CACHE_BYTES = 2 * 1024 * 1024;
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;

/** A value of null removes the key. */
export interface RowChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

export interface RowsOptions {
  /** Of the database alone; made when absent. */
  readonly folder: string;
  readonly chainId: string;
  readonly genesisHash: Hash;
  /** The store key, 32 bytes, when values are encrypted. Not needed any more once the rows are open. */
  readonly storeKey?: Uint8Array;
  /** For tests of crashes: called before and after what is given to each call of `persist` is on the disk, counted from 1. */
  readonly onPersist?: (call: number, when: 'before' | 'after') => void;
}

interface Waiting {
  readonly rows: readonly RowChange[];
  readonly call: number;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class DiskRows {
  readonly #db: Database;
  readonly #onPersist: NonNullable<RowsOptions['onPersist']>;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #calls = 0;

  constructor(db: Database, onPersist: RowsOptions['onPersist']) {
    this.#db = db;
    this.#onPersist = onPersist ?? ((): void => undefined);
  }

  /** All rows, ordered by key. @throws NodeError CORRUPT | STORAGE */
  async *load(): AsyncGenerator<{ readonly key: Uint8Array; readonly value: Uint8Array }, void, void> {
    for await (const [key, value] of this.#db.entries(prefixRange(KEY.ROW))) yield { key: key.slice(1), value };
  }

  /** Atomic and on the disk when it resolves. Calls that come while one is written share the next sync. @throws NodeError STORAGE */
  persist(rows: readonly RowChange[]): Promise<void> {
    const call = ++this.#calls;
    return new Promise((done, failed) => {
      this.#waiting.push({ rows, call, done, failed });
      this.#writing ??= this.#writeAll();
    });
  }

  /** After what was given to `persist` is written. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing;
    await this.#db.close();
  }

  async #writeAll(): Promise<void> {
    // What else is decided in this turn goes with it.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      for (const { call } of group) this.#onPersist(call, 'before');
      try {
        await this.#write(group);
      } catch (error) {
        for (const { failed } of group) failed(error);
        continue;
      }
      for (const { call, done } of group) {
        this.#onPersist(call, 'after');
        done();
      }
    }
    this.#writing = null;
  }

  #write(group: readonly Waiting[]): Promise<void> {
    return this.#db.write(
      (batch) => {
        for (const { rows } of group) {
          for (const { key, value } of rows) {
            const at = bytesKeyOf(KEY.ROW, key);
            if (value === null) batch.del(at);
            else batch.put(at, value);
          }
        }
      },
      { sync: true },
    );
  }
}

/** @throws NodeError WRONG_GENESIS | DATA_FOLDER | DATA_TOO_NEW | DATA_LOCKED | KEY_FILE | CORRUPT | STORAGE */
export async function openRows(options: RowsOptions): Promise<DiskRows> {
  const { folder } = options;
  try {
    await ensureFolder(folder);
    const found = await checkDatabaseFiles(folder);
    if (found === 'lost') throw new NodeError('CORRUPT', 'a record is missing from the middle of its log');
    const db = await openDatabase(folder, { cacheBytes: CACHE_BYTES, writeBufferBytes: WRITE_BUFFER_BYTES });
    try {
      const isUsed = checkIdentity(db, options);
      await openSealing(db, options, isUsed);
      if (!isUsed) await putIdentity(db, options);
      return new DiskRows(db, options.onPersist);
    } catch (error) {
      await db.close();
      throw error;
    }
  } catch (error) {
    throw marketError(error, folder);
  }
}

async function ensureFolder(folder: string): Promise<void> {
  try {
    await ensurePrivateFolder(folder);
  } catch (error) {
    throw storageError(error, 'make the folder of the market', folder);
  }
}

/** @returns whether the database was used before */
function checkIdentity(db: Database, { chainId, genesisHash }: RowsOptions): boolean {
  const stored = db.get(metaKey(META.SCHEMA));
  if (!stored) return false;
  const version = new Reader(stored, 'schema version').u32();
  if (version !== ROWS_SCHEMA) {
    const code = version > ROWS_SCHEMA ? 'DATA_TOO_NEW' : 'DATA_FOLDER';
    throw new NodeError(code, `it has schema ${version}, this program knows ${ROWS_SCHEMA}`);
  }
  const ownChain = db.get(metaKey(META.CHAIN_ID));
  const ownGenesis = db.get(metaKey(META.GENESIS_HASH));
  if (ownChain && ownGenesis && equalBytes(ownChain, utf8(chainId)) && equalBytes(ownGenesis, genesisHash)) return true;
  throw new NodeError('WRONG_GENESIS', 'it belongs to another chain or genesis');
}

async function putIdentity(db: Database, { chainId, genesisHash }: RowsOptions): Promise<void> {
  await db.write(
    (batch) => {
      batch.put(metaKey(META.SCHEMA), new Writer(4).u32(ROWS_SCHEMA).finish());
      batch.put(metaKey(META.CHAIN_ID), utf8(chainId));
      batch.put(metaKey(META.GENESIS_HASH), genesisHash);
    },
    { sync: true },
  );
}

const HINTS = {
  CORRUPT: 'restore it from a backup; or move it away and start again: vouchers in it that were not settled are lost',
  DATA_TOO_NEW: 'start the newer program, or use another data folder',
  DATA_FOLDER: 'settle with the version that made it, then move it away and start again',
  WRONG_GENESIS: 'use the genesis file this folder was made with, or another data folder',
  KEY_FILE: 'set store.encrypt and the store key to what they were when it was made',
  CONFIG: 'set store.encrypt to what it was when it was made',
} as const;

/** The chain's database can be fetched anew from peers: advice that would be wrong for this one. */
function marketError(error: unknown, folder: string): unknown {
  if (!isNodeError(error) || !Object.hasOwn(HINTS, error.code)) return error;
  const hint = HINTS[error.code as keyof typeof HINTS];
  const message = `the market's database cannot be used: ${error.message}`;
  return new NodeError(error.code, message, { data: { ...error.data, path: folder }, hint, cause: error });
}
