/** A chain's blocks and state in LevelDB. Keys: src/store/keys.ts; rules of writing: README.md beside this file. */
import type { Hash, PublicKey } from '../bytes.ts';
import { equalBytes, toHex, utf8 } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import { blockId, decodeBlock } from '../chain/block.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { Receipt } from '../chain/receipt.ts';
import type { StateChanges, StateKey, StateReader } from '../chain/state.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { decodeValidatorSet } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { decodeCertificate } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { nopLogger } from '../log.ts';
import type { MetricsRegister } from '../metrics.ts';
import { nopRegister } from '../metrics.ts';
import type { Database, DatabaseOptions, Snapshot, WriteBatch } from './db.ts';
import { corruptDatabase, openDatabase } from './db.ts';
import type { JournalOptions } from './journal.ts';
import { DiskJournal, memoryJournal } from './journal.ts';
import {
  BASE_KEY,
  bytesKeyOf,
  decodeU64,
  HEAD_KEY,
  heightKey,
  KEY,
  META,
  metaKey,
  prefixRange,
  stateDbKey,
} from './keys.ts';
import {
  decodeHead,
  decodeHeaderOfBlock,
  decodePlace,
  decodeReceipts,
  encodeHead,
  mergeChanges,
  putBlock,
  putGuardMarks,
  putState,
} from './records.ts';
import { StateCache } from './state-cache.ts';
import type { ChainStore, CommittedBlock, MempoolJournal, StoredHead, StoredTransaction } from './types.ts';

/** Version of the key table and of the values' forms. A database with a higher one is refused. */
const SCHEMA = 1;

/** Blocks below the head whose presence and links are checked at every start. */
const CHECKED_BLOCKS = 64;

const CACHE_BYTES_PER_ENTRY = 512;

export interface ChainStoreOptions {
  /** Folder of the database alone; made when absent. */
  readonly folder: string;
  readonly chainId: string;
  readonly genesisHash: Hash;
  readonly hasher: Hasher;
  readonly stateCacheEntries?: number;
  /** `memory`: pending transactions are not written to disk. */
  readonly journal?: JournalOptions & { readonly memory?: boolean };
  readonly database?: DatabaseOptions;
  readonly log?: Logger;
  readonly metrics?: MetricsRegister;
  readonly clock?: Clock;
}

/** @throws NodeError WRONG_GENESIS | DATA_TOO_NEW | DATA_LOCKED | CORRUPT | STORAGE */
export async function openChainStore(options: ChainStoreOptions): Promise<ChainStore> {
  const db = await openDatabase(options.folder, options.database);
  try {
    const initialised = checkMeta(db, options);
    const { memory = false, ...journalOptions } = options.journal ?? {};
    const { clock = systemClock, log = nopLogger, metrics = nopRegister } = options;
    const journal = memory ? null : new DiskJournal(db, clock, log, metrics, journalOptions);
    await journal?.open();
    const base = readBase(db);
    const head = readHead(db, options.hasher, base);
    return new LevelChainStore(db, options, { initialised, base, head }, journal ?? memoryJournal);
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** What opening found. */
interface Found {
  readonly initialised: boolean;
  readonly base: number;
  readonly head: StoredHead | null;
}

class LevelChainStore implements ChainStore {
  readonly state: StateReader;
  readonly journal: MempoolJournal;
  readonly #db: Database;
  readonly #options: ChainStoreOptions;
  readonly #cache: StateCache;
  #initialised: boolean;
  readonly #base: number;
  #head: StoredHead | null;
  /** Set while a write is under way: reads must not see it in part, nor before it is acknowledged. */
  #before: Snapshot | undefined;
  #writing: Promise<void> | undefined;

  constructor(db: Database, options: ChainStoreOptions, { initialised, base, head }: Found, journal: MempoolJournal) {
    const entries = options.stateCacheEntries ?? 65_536;
    this.#db = db;
    this.#options = options;
    this.#initialised = initialised;
    this.#base = base;
    this.#head = head;
    this.#cache = new StateCache(entries, entries * CACHE_BYTES_PER_ENTRY);
    const load = (key: StateKey): Uint8Array | undefined => this.#get(stateDbKey(key));
    this.state = { get: (key) => this.#cache.get(key, load) };
    this.journal = journal;
  }

  head(): StoredHead | null {
    return this.#head;
  }

  base(): number {
    return this.#base;
  }

  guardSequence(publicKey: PublicKey): number {
    return this.#decode(bytesKeyOf(KEY.GUARD, publicKey), decodeU64) ?? 0;
  }

  async initialise(genesisState: StateChanges): Promise<void> {
    if (this.#initialised) return;
    await this.#write((batch) => {
      batch.put(metaKey(META.SCHEMA), new Writer(4).u32(SCHEMA).finish());
      batch.put(metaKey(META.CHAIN_ID), utf8(this.#options.chainId));
      batch.put(metaKey(META.GENESIS_HASH), this.#options.genesisHash);
      putState(batch, genesisState);
    });
    for (const [key, value] of genesisState) this.#cache.set(key, value);
    this.#initialised = true;
  }

  async commit(blocks: readonly CommittedBlock[]): Promise<void> {
    const last = blocks.at(-1);
    if (!last) return;
    this.#checkFollows(blocks);
    const changes = mergeChanges(blocks);
    await this.#write((batch) => {
      for (const committed of blocks) putBlock(batch, committed);
      putGuardMarks(batch, blocks, (key) => this.guardSequence(key));
      putState(batch, changes);
      batch.put(HEAD_KEY, encodeHead(last.block.header.height, last.blockId));
    });
    for (const [key, value] of changes) this.#cache.set(key, value);
    const { block, blockId: id, certificate } = last;
    this.#head = { height: block.header.height, blockId: id, header: block.header, certificate };
  }

  block(height: number): Block | undefined {
    return this.#decode(heightKey(KEY.BLOCK, height), (bytes) => decodeBlock(this.#options.hasher, bytes));
  }

  blockBytes(height: number): Uint8Array | undefined {
    return this.#get(heightKey(KEY.BLOCK, height));
  }

  header(height: number): Header | undefined {
    if (this.#head?.height === height) return this.#head.header;
    return this.#decode(heightKey(KEY.BLOCK, height), decodeHeaderOfBlock);
  }

  heightOf(id: Hash): number | undefined {
    return this.#decode(bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, id), decodeU64);
  }

  certificate(height: number): Certificate | undefined {
    if (this.#head?.height === height) return this.#head.certificate;
    return this.#decode(heightKey(KEY.CERTIFICATE, height), decodeCertificate);
  }

  receipts(height: number): Receipt[] | undefined {
    return this.#decode(heightKey(KEY.RECEIPTS, height), decodeReceipts);
  }

  transaction(id: Hash): StoredTransaction | undefined {
    return this.#decode(bytesKeyOf(KEY.TRANSACTION, id), decodePlace);
  }

  validatorSet(hash: Hash): ValidatorSet | undefined {
    return this.#decode(bytesKeyOf(KEY.VALIDATOR_SET, hash), decodeValidatorSet);
  }

  async *stateEntries(): AsyncGenerator<readonly [StateKey, Uint8Array], void, void> {
    for await (const [key, value] of this.#db.entries(prefixRange(KEY.STATE), this.#before)) {
      yield [latin1(key.subarray(1)), value];
    }
  }

  async close(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    // A failed journal was reported when it failed, and stops the node through the next commit.
    await this.journal.flush().catch(() => undefined);
    await this.#db.close();
  }

  #get(key: Uint8Array): Uint8Array | undefined {
    return this.#db.get(key, this.#before);
  }

  #decode<T>(key: Uint8Array, decode: (bytes: Uint8Array) => T): T | undefined {
    const bytes = this.#get(key);
    return bytes === undefined ? undefined : decodeStored(this.#db.folder, key, bytes, decode);
  }

  async #write(fill: (batch: WriteBatch) => void): Promise<void> {
    if (this.#writing) throw new NodeError('INTERNAL', 'the block store is being written already');
    const before = this.#db.snapshot();
    this.#before = before;
    this.#writing = this.#db.write(fill, { sync: true });
    try {
      await this.#writing;
    } finally {
      this.#writing = undefined;
      this.#before = undefined;
      await before.close();
    }
  }

  #checkFollows(blocks: readonly CommittedBlock[]): void {
    if (!this.#initialised) throw new NodeError('INTERNAL', 'the block store holds no genesis state yet');
    let height = this.#head?.height ?? 0;
    let parent = this.#head?.blockId ?? this.#options.genesisHash;
    for (const { block, blockId: id, certificate } of blocks) {
      const follows = block.header.height === height + 1 && equalBytes(block.header.parent, parent);
      if (!follows || !equalBytes(certificate.blockId, id)) {
        throw new NodeError('INTERNAL', 'the block does not follow the head of the store', {
          data: { height: block.header.height, expected: height + 1, blockId: toHex(id) },
        });
      }
      height += 1;
      parent = id;
    }
  }
}

/** @returns whether the database was used before */
function checkMeta(db: Database, { chainId, genesisHash, folder }: ChainStoreOptions): boolean {
  const schema = db.get(metaKey(META.SCHEMA));
  if (!schema) return false;
  const version = new Reader(schema, 'schema version').u32();
  if (version > SCHEMA) {
    throw new NodeError('DATA_TOO_NEW', `the block database has schema ${version}, this program knows ${SCHEMA}`, {
      data: { path: folder, version, known: SCHEMA },
      hint: 'start the newer program, or use another data folder',
    });
  }
  const storedChain = latin1(db.get(metaKey(META.CHAIN_ID)) ?? new Uint8Array());
  const storedGenesis = db.get(metaKey(META.GENESIS_HASH)) ?? new Uint8Array();
  if (storedChain !== chainId || !equalBytes(storedGenesis, genesisHash)) {
    throw new NodeError('WRONG_GENESIS', 'the block database belongs to another chain or genesis', {
      data: {
        path: folder,
        chainId,
        genesisHash: toHex(genesisHash),
        storedChain,
        storedGenesis: toHex(storedGenesis),
      },
      hint: 'use the genesis file this folder was made with, or another data folder',
    });
  }
  return true;
}

function readBase(db: Database): number {
  const bytes = db.get(BASE_KEY);
  return bytes ? decodeStored(db.folder, BASE_KEY, bytes, decodeU64) : 1;
}

/** The head, once the blocks below it, down to the base, prove to be there and linked. @throws NodeError CORRUPT */
function readHead(db: Database, hasher: Hasher, base: number): StoredHead | null {
  const record = db.get(HEAD_KEY);
  if (!record) return null;
  const { height, id } = decodeStored(db.folder, HEAD_KEY, record, decodeHead);
  if (base > height)
    throw corruptDatabase(db.folder, `the lowest block, of height ${base}, lies above the head, ${height}`);
  const header = checkedHeader(db, hasher, height, id);
  let parent = header.parent;
  for (let h = height - 1; h >= Math.max(base, height - CHECKED_BLOCKS); h--) {
    parent = checkedHeader(db, hasher, h, parent).parent;
  }
  const key = heightKey(KEY.CERTIFICATE, height);
  const bytes = db.get(key);
  const certificate = bytes && decodeStored(db.folder, key, bytes, decodeCertificate);
  if (!certificate || !equalBytes(certificate.blockId, id)) {
    throw corruptDatabase(db.folder, `no certificate of the head, height ${height}`);
  }
  return { height, blockId: id, header, certificate };
}

function checkedHeader(db: Database, hasher: Hasher, height: number, id: Hash): Header {
  const key = heightKey(KEY.BLOCK, height);
  const bytes = db.get(key);
  const header = bytes && decodeStored(db.folder, key, bytes, decodeHeaderOfBlock);
  if (!header || !equalBytes(blockId(hasher, header), id)) {
    throw corruptDatabase(db.folder, `the block of height ${height} is missing or another one`);
  }
  return header;
}

function decodeStored<T>(folder: string, key: Uint8Array, bytes: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  try {
    return decode(bytes);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'CODEC') throw error;
    throw corruptDatabase(folder, `the value of key ${toHex(key)} does not decode`, error);
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
