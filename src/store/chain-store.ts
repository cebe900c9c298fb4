/** A chain's blocks and state in LevelDB. Keys: src/store/keys.ts; rules of writing: README.md beside this file. */
import type { Hash, PublicKey } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import { blockId, decodeBlock, decodeTransactionOf } from '../chain/block.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import type { Receipt } from '../chain/receipt.ts';
import type { StateChanges, StateKey, StateReader } from '../chain/state.ts';
import type { Transaction } from '../chain/tx.ts';
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
import { clearState, disown, putAdoptedBlock, writeEntries } from './adoption.ts';
import { checkDatabaseFiles } from './database-check.ts';
import type { Database, DatabaseOptions, Snapshot, WriteBatch } from './db.ts';
import { corruptDatabase, openDatabase } from './db.ts';
import type { JournalOptions } from './journal.ts';
import { DiskJournal, memoryJournal } from './journal.ts';
import type { KeyPrefix } from './keys.ts';
import {
  BASE_KEY,
  bytesKeyOf,
  decodeU64,
  encodeU64,
  HEAD_KEY,
  heightKey,
  KEY,
  prefixRange,
  stateDbKey,
} from './keys.ts';
import { checkMeta, openSealing, putMeta } from './meta.ts';
import {
  decodeHead,
  decodeHeaderOfBlock,
  decodePlace,
  decodeReceiptOf,
  decodeReceipts,
  encodeHead,
  mergeChanges,
  putBlock,
  putGuardMarks,
  putState,
} from './records.ts';
import { StateCache } from './state-cache.ts';
import type {
  AdoptedState,
  ChainStore,
  CommittedBlock,
  MempoolJournal,
  StoredHead,
  StoredTransaction,
  SweepStep,
} from './types.ts';
import { Sweep } from './sweep.ts';

/** Blocks below the head whose presence and links are checked at every start. */
const CHECKED_BLOCKS = 64;

const CACHE_BYTES_PER_ENTRY = 512;

export interface ChainStoreOptions {
  /** Folder of the database alone; made when absent. */
  readonly folder: string;
  readonly chainId: string;
  readonly genesisHash: Hash;
  readonly hasher: Hasher;
  /** The store key, 32 bytes, when values are encrypted. Not needed any more once the store is open. */
  readonly storeKey?: Uint8Array;
  /** Told of the first damage that a read finds; the read itself throws CORRUPT. */
  readonly onDamage?: (error: NodeError) => void;
  readonly stateCacheEntries?: number;
  /** `memory`: pending transactions are not written to disk. */
  readonly journal?: JournalOptions & { readonly memory?: boolean };
  readonly database?: DatabaseOptions;
  readonly log?: Logger;
  readonly metrics?: MetricsRegister;
  readonly clock?: Clock;
}

/** @throws NodeError WRONG_GENESIS | DATA_FOLDER | DATA_TOO_NEW | DATA_LOCKED | KEY_FILE | CORRUPT | STORAGE */
export async function openChainStore(options: ChainStoreOptions): Promise<ChainStore> {
  const found = await checkDatabaseFiles(options.folder);
  const db = await openDatabase(options.folder, options.database);
  try {
    const initialised = checkMeta(db, options);
    await openSealing(db, options, initialised);
    const { memory = false, ...journalOptions } = options.journal ?? {};
    const { clock = systemClock, log = nopLogger, metrics = nopRegister } = options;
    const journal = memory ? null : new DiskJournal(db, clock, log, metrics, journalOptions);
    await journal?.open();
    const base = readBase(db);
    const head = readHead(db, options.hasher, base, found === 'lost' ? Number.MAX_SAFE_INTEGER : CHECKED_BLOCKS);
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
  #cache: StateCache;
  #initialised: boolean;
  #base: number;
  readonly #sweep: Sweep;
  #head: StoredHead | null;
  /** The block of the head, if it was committed here: what clients ask for most, the moment it is final. */
  #newest: CommittedBlock | null = null;
  #isDamaged = false;
  /** Set while a write is under way: reads must not see it in part, nor before it is acknowledged. */
  #before: Snapshot | undefined;
  #writing: Promise<void> | undefined;

  constructor(db: Database, options: ChainStoreOptions, { initialised, base, head }: Found, journal: MempoolJournal) {
    this.#db = db;
    this.#options = options;
    this.#initialised = initialised;
    this.#base = base;
    this.#sweep = new Sweep(db, options.hasher);
    this.#head = head;
    this.#cache = cacheOf(options);
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
    // What a state that came from peers left when it was cut off.
    await clearState(this.#db);
    await this.#write((batch) => {
      putMeta(batch, this.#options);
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
    changes.forEach((value, key) => {
      this.#cache.set(key, value);
    });
    const { block, blockId: id, certificate } = last;
    this.#newest = last;
    this.#head = { height: block.header.height, blockId: id, header: block.header, certificate };
  }

  async adopt(state: AdoptedState): Promise<void> {
    if (this.#head || !this.#initialised) {
      throw new NodeError('INTERNAL', 'a state is adopted in place of the genesis state alone');
    }
    await this.#exclusively(async () => {
      await disown(this.#db);
      this.#initialised = false;
      await clearState(this.#db);
      await writeEntries(this.#db, state);
      const sets = getSets({ get: (key) => this.#db.get(stateDbKey(key)) });
      await this.#db.write(
        (batch) => {
          putMeta(batch, this.#options);
          putAdoptedBlock(batch, state, sets);
        },
        { sync: true },
      );
    });
    const { block, blockId: id, certificate } = state;
    this.#initialised = true;
    this.#cache = cacheOf(this.#options);
    this.#base = block.header.height;
    this.#newest = null;
    this.#head = { height: block.header.height, blockId: id, header: block.header, certificate };
  }

  async prune(keepFrom: number): Promise<SweepStep> {
    const base = Math.min(keepFrom, this.#head?.height ?? 1);
    if (base > this.#base) {
      // On disk first, and at once for readers: what is deleted then is asked for no more.
      this.#base = base;
      await this.#db.write((batch) => batch.put(BASE_KEY, encodeU64(base)), { sync: false });
    }
    return this.#sweep.step(this.#base);
  }

  block(height: number): Block | undefined {
    return (
      this.#newestAt(height)?.block ?? this.#at(KEY.BLOCK, height, (bytes) => decodeBlock(this.#options.hasher, bytes))
    );
  }

  blockBytes(height: number): Uint8Array | undefined {
    return this.#at(KEY.BLOCK, height, (bytes) => bytes);
  }

  header(height: number): Header | undefined {
    if (this.#head?.height === height) return this.#head.header;
    return this.#at(KEY.BLOCK, height, decodeHeaderOfBlock);
  }

  heightOf(id: Hash): number | undefined {
    return this.#decode(bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, id), decodeU64);
  }

  certificate(height: number): Certificate | undefined {
    if (this.#head?.height === height) return this.#head.certificate;
    return this.#at(KEY.CERTIFICATE, height, decodeCertificate);
  }

  certificateBytes(height: number): Uint8Array | undefined {
    return this.#at(KEY.CERTIFICATE, height, (bytes) => bytes);
  }

  receipts(height: number): readonly Receipt[] | undefined {
    const newest = this.#newestAt(height);
    if (newest) return newest.receipts;
    // A base that came with the state of a snapshot has none.
    if (height === this.#base && height > 1) return this.#decode(heightKey(KEY.RECEIPTS, height), decodeReceipts);
    return this.#at(KEY.RECEIPTS, height, decodeReceipts);
  }

  transactionAt({ height, index }: StoredTransaction): Transaction | undefined {
    const newest = this.#newestAt(height);
    if (newest) return newest.block.txs[index];
    return this.#at(KEY.BLOCK, height, (bytes) => decodeTransactionOf(this.#options.hasher, bytes, index));
  }

  receiptAt({ height, index }: StoredTransaction): Receipt | undefined {
    const newest = this.#newestAt(height);
    if (newest) return newest.receipts[index];
    return this.#at(KEY.RECEIPTS, height, (bytes) => decodeReceiptOf(bytes, index));
  }

  transaction(id: Hash): StoredTransaction | undefined {
    return this.#decode(bytesKeyOf(KEY.TRANSACTION, id), decodePlace);
  }

  validatorSet(hash: Hash): ValidatorSet | undefined {
    return this.#decode(bytesKeyOf(KEY.VALIDATOR_SET, hash), decodeValidatorSet);
  }

  async *stateEntries(): AsyncGenerator<readonly [StateKey, Uint8Array], void, void> {
    for await (const [key, value] of this.#db.entries(prefixRange(KEY.STATE), { snapshot: this.#before })) {
      yield [latin1(key.subarray(1)), value];
    }
  }

  async close(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    // A failed journal was reported when it failed, and stops the node through the next commit.
    await this.journal.flush().catch(() => undefined);
    await this.#sweep.idle();
    await this.#db.close();
  }

  #newestAt(height: number): CommittedBlock | null {
    return this.#newest?.block.header.height === height ? this.#newest : null;
  }

  /** Every block from the base to the head has its records. @throws NodeError CORRUPT when one is gone */
  #at<T>(prefix: KeyPrefix, height: number, decode: (bytes: Uint8Array) => T): T | undefined {
    const found = this.#decode(heightKey(prefix, height), decode);
    if (found === undefined && height >= this.#base && height <= (this.#head?.height ?? 0)) {
      throw this.#damaged(corruptDatabase(this.#db.folder, `the record ${prefix} of height ${height} is missing`));
    }
    return found;
  }

  #decode<T>(key: Uint8Array, decode: (bytes: Uint8Array) => T): T | undefined {
    const bytes = this.#get(key);
    try {
      return bytes === undefined ? undefined : decodeStored(this.#db.folder, key, bytes, decode);
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  #get(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#db.get(key, this.#before);
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  #damaged(error: unknown): unknown {
    if (isNodeError(error) && error.code === 'CORRUPT' && !this.#isDamaged) {
      this.#isDamaged = true;
      this.#options.onDamage?.(error);
    }
    return error;
  }

  #write(fill: (batch: WriteBatch) => void): Promise<void> {
    return this.#exclusively(() => this.#db.write(fill, { sync: true }));
  }

  /** Meanwhile reads see what was there before. */
  async #exclusively(write: () => Promise<void>): Promise<void> {
    if (this.#writing) throw new NodeError('INTERNAL', 'the block store is being written already');
    const before = this.#db.snapshot();
    this.#before = before;
    this.#writing = write();
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

function cacheOf({ stateCacheEntries = 65_536 }: ChainStoreOptions): StateCache {
  return new StateCache(stateCacheEntries, stateCacheEntries * CACHE_BYTES_PER_ENTRY);
}

function readBase(db: Database): number {
  const bytes = db.get(BASE_KEY);
  return bytes ? decodeStored(db.folder, BASE_KEY, bytes, decodeU64) : 1;
}

/** The head, once the blocks below it, down to the base, prove to be there and linked. @throws NodeError CORRUPT */
function readHead(db: Database, hasher: Hasher, base: number, checkedBlocks: number): StoredHead | null {
  const record = db.get(HEAD_KEY);
  if (!record) return null;
  const { height, id } = decodeStored(db.folder, HEAD_KEY, record, decodeHead);
  if (base > height)
    throw corruptDatabase(db.folder, `the lowest block, of height ${base}, lies above the head, ${height}`);
  const header = checkedHeader(db, hasher, height, id);
  let parent = header.parent;
  for (let h = height - 1; h >= Math.max(base, height - checkedBlocks); h--) {
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
