/**
 * LevelDB as the store uses it: synchronous reads, chained batches (an array batch blocks the event loop some ten times
 * longer), plain Uint8Arrays, values sealed (src/store/sealer.ts). After one failed write no further write is tried: LevelDB would append behind a torn
 * record, and could then lose what follows when it replays its log.
 */
import { Level } from 'level';
import { toHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { calmBackgroundThread } from './background-thread.ts';
import type { KeyRange } from './keys.ts';
import { KEY } from './keys.ts';
import type { Sealer } from './sealer.ts';
import { checksumSealer } from './sealer.ts';
import { errorCode, storageError } from './storage-error.ts';

export interface DatabaseOptions {
  /** Memory for uncompressed blocks of table files. */
  readonly cacheBytes?: number;
  /**
   * Size of the log, and of the table in memory, before a table file is written; by default 4 MiB, a quarter more or less.
   * Four files are merged at once: the smaller they are, the shorter are merges, and validators of a chain, which all write the
   * same, would begin them at the same time if their sizes were equal.
   */
  readonly writeBufferBytes?: number;
}

/** Operations that are written as one. Keys and values are copied when they are put. */
export interface WriteBatch {
  put(key: Uint8Array, value: Uint8Array): unknown;
  del(key: Uint8Array): unknown;
}

/** The types of `level` name what browsers have too; on Node it is LevelDB. */
type ByteLevel = Level<Uint8Array, Uint8Array> & {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
};

/** A fixed view of the database, to be closed. */
export type Snapshot = ReturnType<ByteLevel['snapshot']>;

const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
const WRITE_BUFFER_SPREAD = 0.25;

const ITERATOR_CHUNK = 1_000;

/** A range that holds nothing. */
const NO_KEYS = [Uint8Array.of(0xff, 0xfe), Uint8Array.of(0xff, 0xff)] as const;

/**
 * The binding reads a key before it returns. It moves a small array out of the heap for that, which takes twice as long as
 * the rest of a put, and again when that is freed: so keys are copied into one array of each length that stays.
 */
const LASTING_BYTES = 64;
const lastingKeys: (Uint8Array | undefined)[] = [];

function lasting(key: Uint8Array): Uint8Array {
  if (key.length > LASTING_BYTES) return key;
  const same = (lastingKeys[key.length] ??= new Uint8Array(key.length));
  same.set(key);
  return same;
}

export class Database {
  readonly folder: string;
  readonly #level: ByteLevel;
  /** Of all values but META, which must be readable before any key is known. */
  #sealer: Sealer = checksumSealer;
  #failure: NodeError | undefined;

  constructor(folder: string, level: ByteLevel) {
    this.folder = folder;
    this.#level = level;
  }

  /** Why writes are refused, once one failed. */
  get failure(): NodeError | undefined {
    return this.#failure;
  }

  /** From now on values are sealed so. Done once, before any value but META is read or written. */
  useSealer(sealer: Sealer): void {
    this.#sealer = sealer;
  }

  /** @throws NodeError CORRUPT | STORAGE */
  get(key: Uint8Array, snapshot?: Snapshot): Uint8Array | undefined {
    const sealed = this.getSealed(key, snapshot);
    return sealed === undefined ? undefined : this.#opened(key, sealed);
  }

  /** A value as it lies on disk. @throws NodeError CORRUPT | STORAGE */
  getSealed(key: Uint8Array, snapshot?: Snapshot): Uint8Array | undefined {
    let value: Uint8Array | undefined;
    try {
      value = this.#level.getSync(lasting(key), snapshot === undefined ? {} : { snapshot });
    } catch (error) {
      throw databaseError(error, 'read the database', this.folder);
    }
    return value === undefined ? undefined : plain(value);
  }

  /** Writes what `fill` puts into a batch, whole or not at all. @throws NodeError STORAGE, from then on at every call */
  async write(fill: (batch: WriteBatch) => void, options: { readonly sync: boolean }): Promise<void> {
    if (this.#failure) throw this.#failure;
    const batch = this.#level.batch();
    try {
      fill({
        put: (key, value) => batch.put(lasting(key), this.#sealerOf(key).seal(key, value)),
        del: (key) => batch.del(lasting(key)),
      });
    } catch (error) {
      await batch.close();
      throw error;
    }
    try {
      await batch.write(options);
    } catch (error) {
      this.#failure ??= databaseError(error, 'write the database', this.folder);
      throw this.#failure;
    }
  }

  snapshot(): Snapshot {
    return this.#level.snapshot();
  }

  /** Entries of a range in key order, as of the snapshot, or of the first step. @throws NodeError CORRUPT | STORAGE */
  async *entries(
    range: KeyRange,
    { snapshot, limit }: { readonly snapshot?: Snapshot | undefined; readonly limit?: number } = {},
  ): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, void> {
    const iterator = this.#level.iterator({
      ...range,
      ...(snapshot !== undefined && { snapshot }),
      ...(limit !== undefined && { limit }),
    });
    try {
      for (;;) {
        const chunk = await this.#nextv(iterator);
        if (chunk.length === 0) return;
        for (const [key, value] of chunk) yield [plain(key), this.#opened(key, plain(value))];
      }
    } finally {
      await iterator.close();
    }
  }

  /** Writes the files of a range anew, without what was deleted or overwritten. @throws NodeError CORRUPT | STORAGE */
  async compact({ gte, lt }: KeyRange): Promise<void> {
    try {
      await this.#level.compactRange(gte, lt);
    } catch (error) {
      throw databaseError(error, 'compact the database', this.folder);
    }
  }

  async close(): Promise<void> {
    await this.#level.close();
  }

  #sealerOf(key: Uint8Array): Sealer {
    return key[0] === KEY.META ? checksumSealer : this.#sealer;
  }

  #opened(key: Uint8Array, sealed: Uint8Array): Uint8Array {
    const value = this.#sealerOf(key).open(key, sealed);
    if (value === undefined)
      throw corruptDatabase(this.folder, `the value of key ${toHex(key)} is not what was written`);
    return value;
  }

  async #nextv(iterator: {
    nextv(size: number): Promise<[Uint8Array, Uint8Array][]>;
  }): Promise<[Uint8Array, Uint8Array][]> {
    try {
      return await iterator.nextv(ITERATOR_CHUNK);
    } catch (error) {
      throw databaseError(error, 'read the database', this.folder);
    }
  }
}

/** @throws NodeError CORRUPT | STORAGE | DATA_LOCKED */
export async function openDatabase(folder: string, options: DatabaseOptions = {}): Promise<Database> {
  const level = new Level<Uint8Array, Uint8Array>(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    cacheSize: options.cacheBytes ?? 16 * 1024 * 1024,
    writeBufferSize: options.writeBufferBytes ?? spreadBytes(Math.random()),
  }) as ByteLevel;
  try {
    await calmBackgroundThread(
      () => level.open(),
      () => level.compactRange(...NO_KEYS),
    );
  } catch (error) {
    throw databaseError(error, 'open the database', folder);
  }
  return new Database(folder, level);
}

/** @param chance in [0, 1) */
export function spreadBytes(chance: number): number {
  return Math.round(WRITE_BUFFER_BYTES * (1 + WRITE_BUFFER_SPREAD * (2 * chance - 1)));
}

export function corruptDatabase(folder: string, reason: string, cause?: unknown): NodeError {
  return new NodeError('CORRUPT', `the block database is damaged: ${reason}`, {
    data: { path: folder, reason },
    hint: 'stop the node, move that folder away and start again: the chain is synced anew from peers; keep the sign guard beside it',
    cause,
  });
}

function databaseError(error: unknown, what: string, folder: string): NodeError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = errorCode(cause);
  const message = cause instanceof Error ? cause.message : String(cause);
  if (code === 'LEVEL_CORRUPTION' || /^Corruption:/.test(message)) return corruptDatabase(folder, message, error);
  if (code === 'LEVEL_LOCKED') {
    return new NodeError('DATA_LOCKED', 'the block database is open in another process', {
      data: { path: folder },
      hint: 'stop the other node, or use another data folder',
      cause: error,
    });
  }
  return storageError(cause, what, folder);
}

/** The binding returns Buffers, whose methods differ from those of the Uint8Array they claim to be. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
