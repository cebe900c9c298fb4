/**
 * Pending transactions on disk, so that they survive a restart. Additions and removals are queued and written together,
 * unsynced: a killed process loses what it queued in the last moments, a power cut somewhat more, and never more than
 * pending transactions, which their senders can send again.
 */
import { bytesKey } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { toNodeError } from '../errors.ts';
import type { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Counter, MetricsRegister } from '../metrics.ts';
import type { Database } from './db.ts';
import { KEY, prefixRange, textKeyOf } from './keys.ts';
import type { MempoolJournal } from './types.ts';

export interface JournalOptions {
  /** Longest time an entry waits to be written. */
  readonly flushMs?: number;
  /** Entries that others hold too wait at least so long, and at most twice as long: most are final by then. */
  readonly patienceMs?: number;
  /** So many queued entries are written at once. */
  readonly flushEntries?: number;
  readonly maxEntries?: number;
  readonly maxBytes?: number;
}

/** One write holds no more, so that filling its batch never holds up the event loop. */
const MAX_BATCH_ENTRIES = 1_024;

interface Entry {
  readonly size: number;
  /** Part of a write that was started: removing it needs a deletion on disk. */
  written: boolean;
}

/** Keeps nothing: pending transactions live in memory only. */
export const memoryJournal: MempoolJournal = {
  add: () => undefined,
  remove: () => undefined,
  load: () => Promise.resolve([]),
  flush: () => Promise.resolve(),
};

export class DiskJournal implements MempoolJournal {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: Required<JournalOptions>;
  readonly #dropped: Counter;
  /** Everything on disk or queued to be; its sizes are the bound. */
  readonly #entries = new Map<string, Entry>();
  /** Bytes to put, undefined to delete. At most two operations for each entry that ever fitted. */
  readonly #queue = new Map<string, Uint8Array | undefined>();
  /** Not queued yet, of this span of patience and of the one before. */
  #young = new Map<string, Uint8Array>();
  #old = new Map<string, Uint8Array>();
  #cancelPatience: (() => void) | undefined;
  #bytes = 0;
  #cancelTimer: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #failure: NodeError | undefined;

  constructor(db: Database, clock: Clock, log: Logger, metrics: MetricsRegister, options: JournalOptions) {
    this.#db = db;
    this.#clock = clock;
    this.#log = log;
    this.#limits = {
      flushMs: 50,
      patienceMs: 2_000,
      flushEntries: 256,
      maxEntries: 65_536,
      maxBytes: 64 * 1024 * 1024,
      ...options,
    };
    this.#dropped = metrics.counter({
      name: 'aitbc_journal_dropped_total',
      help: 'Pending transactions not written to disk because the journal was full',
    });
  }

  /** Learns what is on disk; called once, before anything else. What exceeds the bounds is deleted. */
  async open(): Promise<void> {
    for await (const [key, value] of this.#db.entries(prefixRange(KEY.PENDING))) {
      const name = bytesKey(key.subarray(1));
      if (!this.#admit(name, value.length, true)) this.#enqueue(name, undefined);
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get queued(): number {
    return this.#queue.size + this.#young.size + this.#old.size;
  }

  add(name: string, bytes: Uint8Array, heldElsewhere = false): void {
    if (this.#failure || this.#entries.has(name)) return;
    // An id is the hash of its bytes: what waits for its deletion is on disk already, as it should be.
    const onDisk = this.#queue.has(name);
    if (!this.#admit(name, bytes.length, onDisk)) this.#dropped.inc();
    else if (onDisk) this.#queue.delete(name);
    else if (heldElsewhere) this.#enqueueLater(name, bytes);
    else this.#enqueue(name, bytes);
  }

  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (this.#failure || !entry) return;
    this.#entries.delete(name);
    this.#bytes -= entry.size;
    if (entry.written) this.#enqueue(name, undefined);
    else if (!this.#young.delete(name) && !this.#old.delete(name)) this.#queue.delete(name);
  }

  async load(): Promise<Uint8Array[]> {
    await this.flush();
    const all: Uint8Array[] = [];
    for await (const [, value] of this.#db.entries(prefixRange(KEY.PENDING))) all.push(value);
    return all;
  }

  async flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    for (const waiting of [this.#old, this.#young]) for (const [name, bytes] of waiting) this.#queue.set(name, bytes);
    this.#old = new Map();
    this.#young = new Map();
    while (this.#queue.size > 0 || this.#writing) await this.#drain();
    if (this.#failure) throw this.#failure;
  }

  #admit(name: string, size: number, written: boolean): boolean {
    const { maxEntries, maxBytes } = this.#limits;
    if (this.#entries.size >= maxEntries || this.#bytes + size > maxBytes) return false;
    this.#entries.set(name, { size, written });
    this.#bytes += size;
    return true;
  }

  #enqueue(name: string, bytes: Uint8Array | undefined): void {
    this.#queue.set(name, bytes);
    if (this.#queue.size >= this.#limits.flushEntries) void this.#drain();
    else
      this.#cancelTimer ??= this.#clock.after(this.#limits.flushMs, () => {
        this.#cancelTimer = undefined;
        void this.#drain();
      });
  }

  #enqueueLater(name: string, bytes: Uint8Array): void {
    this.#young.set(name, bytes);
    this.#armPatience();
  }

  #armPatience(): void {
    if (this.#young.size + this.#old.size === 0) return;
    this.#cancelPatience ??= this.#clock.after(this.#limits.patienceMs, () => {
      this.#cancelPatience = undefined;
      const due = this.#old;
      this.#old = this.#young;
      this.#young = new Map();
      this.#armPatience();
      for (const [name, bytes] of due) this.#queue.set(name, bytes);
      if (due.size > 0) void this.#drain();
    });
  }

  /** One writer at a time; resolves when it has emptied the queue, and never rejects. */
  #drain(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    // Lets the caller finish its loop of additions first.
    await Promise.resolve();
    while (this.#queue.size > 0) {
      try {
        await this.#db.write(
          (batch) => {
            this.#takeBatch(batch);
          },
          { sync: false },
        );
      } catch (error) {
        this.#fail(toNodeError(error));
      }
    }
  }

  #takeBatch(batch: { put(key: Uint8Array, value: Uint8Array): unknown; del(key: Uint8Array): unknown }): void {
    let count = 0;
    for (const [name, bytes] of this.#queue) {
      if (count++ === MAX_BATCH_ENTRIES) return;
      const key = textKeyOf(KEY.PENDING, name);
      if (bytes) batch.put(key, bytes);
      else batch.del(key);
      this.#queue.delete(name);
      const entry = this.#entries.get(name);
      if (entry) entry.written = true;
    }
  }

  /** The database takes no more writes: keep nothing for it. The next commit stops the node. */
  #fail(failure: NodeError): void {
    if (!this.#failure) this.#log.error('pending transactions can no longer be written', { error: failure });
    this.#failure ??= failure;
    this.#cancelPatience?.();
    for (const waiting of [this.#queue, this.#young, this.#old]) waiting.clear();
  }
}
