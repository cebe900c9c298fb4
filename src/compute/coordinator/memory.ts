/** What a client remembers of miners, in memory and in rows: a bounded number of them, those met last. */
import { bytesKey, keyBytes } from '../../bytes.ts';
import type { Experience, MinerRecord } from './miner-record.ts';
import { decodeRecord, encodeRecord, fade, learn, NO_RECORD } from './miner-record.ts';
import type { Row } from './ports.ts';
import { drop, put, TABLE } from './rows.ts';

/** In which next to nothing fades: each match looks at many miners. */
const MOMENT_MS = 10_000;

export class Memory {
  readonly #max: number;
  readonly #records = new Map<string, MinerRecord>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#records.size;
  }

  /** It fades: as of now, or of a moment ago. */
  of(minerKey: string, atMs: number): MinerRecord {
    const record = this.#records.get(minerKey);
    if (!record) return NO_RECORD;
    if (atMs - record.atMs < MOMENT_MS) return record;
    const faded = fade(record, atMs);
    this.#records.set(minerKey, faded);
    return faded;
  }

  restore(miner: Uint8Array, value: Uint8Array): void {
    this.#records.set(bytesKey(miner), decodeRecord(value));
  }

  /** @returns rows to keep */
  learn(minerKey: string, experience: Experience, atMs: number): Row[] {
    const record = learn(this.of(minerKey, atMs), experience, atMs);
    this.#records.delete(minerKey);
    this.#records.set(minerKey, record);
    const rows = [put(TABLE.record, keyBytes(minerKey), encodeRecord(record))];
    const [oldest] = this.#records.keys();
    if (this.#records.size <= this.#max || oldest === undefined) return rows;
    this.#records.delete(oldest);
    return [...rows, drop(TABLE.record, keyBytes(oldest))];
  }
}
