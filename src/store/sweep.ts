/**
 * Deletes what a chain's database holds of heights below its base, in bounded steps. A block goes last, after its indexes:
 * what a crash leaves half deleted is found again by its block, and nothing below the base is ever served.
 */
import { blockId } from '../chain/block.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import { isNodeError } from '../errors.ts';
import type { Database } from './db.ts';
import { bytesKeyOf, decodeU64, heightKey, KEY, prefixRange } from './keys.ts';
import { decodeHeaderOfBlock, decodeReceipts } from './records.ts';
import type { SweepStep } from './types.ts';

/** Of one step: bounds the time that it keeps the calling thread. */
export const MAX_STEP_DELETIONS = 256;

/** Blocks deleted until the space of the last ones is given back. */
const COMPACT_EVERY_BLOCKS = 4_096;

const RECORDS = [KEY.BLOCK, KEY.CERTIFICATE, KEY.RECEIPTS] as const;

export class Sweep {
  readonly #db: Database;
  readonly #hasher: Hasher;
  /** Lowest height that may be there; unknown until the database was asked. */
  #next: number | undefined;
  /** What is yet to be deleted of the indexes of that height; null when that was not looked up. */
  #indexes: Uint8Array[] | null = null;
  #compactedTo = 0;
  #compacting: Promise<void> | null = null;

  constructor(db: Database, hasher: Hasher) {
    this.#db = db;
    this.#hasher = hasher;
  }

  /** Not synced: what a crash undoes is done again. @throws NodeError STORAGE */
  async step(base: number): Promise<SweepStep> {
    let next = (this.#next ??= (await this.#lowest()) ?? base);
    const dead: Uint8Array[] = [];
    let blocks = 0;
    for (let looked = 0; next < base && dead.length < MAX_STEP_DELETIONS && looked < MAX_STEP_DELETIONS; looked++) {
      const indexes = (this.#indexes ??= this.#indexesOf(next));
      dead.push(...indexes.splice(0, MAX_STEP_DELETIONS - dead.length));
      if (indexes.length > 0) break;
      for (const prefix of RECORDS) dead.push(heightKey(prefix, next));
      blocks += 1;
      this.#indexes = null;
      next += 1;
    }
    this.#next = next;
    if (dead.length > 0) {
      await this.#db.write(
        (batch) => {
          for (const key of dead) batch.del(key);
        },
        { sync: false },
      );
    }
    if (next - this.#compactedTo >= COMPACT_EVERY_BLOCKS) this.#compact(next);
    return { blocks, done: next >= base };
  }

  /** Resolves when no space is being given back any more. */
  async idle(): Promise<void> {
    await this.#compacting;
  }

  /** Deleting leaves marks; the space comes back when LevelDB merges them with what they delete, on its own thread. */
  #compact(upTo: number): void {
    if (this.#compacting) return;
    this.#compactedTo = upTo;
    const work = async (): Promise<void> => {
      for (const prefix of RECORDS) await this.#db.compact({ gte: Uint8Array.of(prefix), lt: heightKey(prefix, upTo) });
    };
    this.#compacting = work()
      // The next write says what is wrong with the disk.
      .catch(() => undefined)
      .finally(() => {
        this.#compacting = null;
      });
  }

  async #lowest(): Promise<number | undefined> {
    for await (const [key] of this.#db.entries(prefixRange(KEY.BLOCK), { limit: 1 })) return decodeU64(key.subarray(1));
    return undefined;
  }

  /** Keys of the indexes that name a block. A damaged one leaves its entries behind, which no reader follows. */
  #indexesOf(height: number): Uint8Array[] {
    const id = this.#read(heightKey(KEY.BLOCK, height), (bytes) => blockId(this.#hasher, decodeHeaderOfBlock(bytes)));
    const receipts = this.#read(heightKey(KEY.RECEIPTS, height), decodeReceipts) ?? [];
    return [
      ...receipts.map(({ txId }) => bytesKeyOf(KEY.TRANSACTION, txId)),
      ...(id ? [bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, id)] : []),
    ];
  }

  /** @returns undefined also for what is damaged */
  #read<T>(key: Uint8Array, decode: (bytes: Uint8Array) => T): T | undefined {
    try {
      const bytes = this.#db.get(key);
      return bytes && decode(bytes);
    } catch (error) {
      if (isNodeError(error) && (error.code === 'CODEC' || error.code === 'CORRUPT')) return undefined;
      throw error;
    }
  }
}
