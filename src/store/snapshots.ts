/**
 * Snapshots of the state that this node holds for others: made every so many blocks beside the running chain, the
 * newest kept, read a chunk at a time.
 *
 *     snapshots/<height>/index     manifest and places, written last
 *     snapshots/<height>/chunks    the chunks in order
 *     snapshots/making-<height>/   what a crash leaves is removed at the next start
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hash } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import type { Header } from '../chain/block.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { StateManifest } from '../chain/state-chunks.ts';
import type { Clock } from '../clock.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Counter, Gauge, MetricsRegister } from '../metrics.ts';
import { ensurePrivateFolder, readBytes, syncFolder } from './files.ts';
import type { SnapshotIndex } from './snapshot-index.ts';
import { CHUNKS_FILE, decodeIndex, INDEX_FILE } from './snapshot-index.ts';
import { writeSnapshot } from './snapshot-writer.ts';
import type { ChainStore } from './types.ts';

export interface SnapshotOptions {
  /** Of snapshots alone; made when needed. */
  readonly folder: string;
  /** Blocks between two snapshots; 0 makes none. */
  readonly interval: number;
  /** The newest so many are kept. */
  readonly keep: number;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
}

export interface HeldSnapshot {
  readonly height: number;
  readonly chunks: number;
  readonly bytes: number;
  /** SHA-256 of the encoded manifest. */
  readonly manifestHash: Hash;
}

interface SnapshotMetrics {
  readonly height: Gauge;
  readonly seconds: Gauge;
  readonly bytes: Gauge;
  readonly failures: Counter;
  readonly served: Counter;
}

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #metrics: SnapshotMetrics;
  readonly #abort = new AbortController();
  /** By height, ascending. */
  #held: SnapshotIndex[] = [];
  #making: Promise<void> | null = null;

  private constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#metrics = createSnapshotMetrics(options.metrics);
  }

  /** Finds what is held; removes what was not finished and what is damaged. @throws what the file system throws */
  static async open(options: SnapshotOptions): Promise<Snapshots> {
    const snapshots = new Snapshots(options);
    await snapshots.#find();
    return snapshots;
  }

  /** Ascending by height. */
  get held(): readonly HeldSnapshot[] {
    return this.#held.map(({ manifest, manifestHash, chunks }) => ({
      height: manifest.height,
      chunks: chunks.length,
      bytes: sizeOf(chunks),
      manifestHash,
    }));
  }

  /** Of the highest one below a height; null when there is none. */
  manifestBelow(height: number): StateManifest | null {
    return this.#held.findLast(({ manifest }) => manifest.height < height)?.manifest ?? null;
  }

  /** @throws NodeError NOT_FOUND when it is not held, or not as it was written */
  async chunk(manifestHash: Hash, index: number): Promise<Uint8Array> {
    const found = this.#held.find((held) => equalBytes(held.manifestHash, manifestHash));
    const place = found?.chunks[index];
    if (!found || !place) {
      throw new NodeError('NOT_FOUND', 'this node holds no such chunk', {
        data: { manifest: toHex(manifestHash), index },
        hint: 'ask for the snapshots it holds: older ones make room for newer ones',
      });
    }
    const bytes = await this.#read(found.manifest.height, place.offset, place.length);
    if (bytes && equalBytes(this.#options.hasher.hash(bytes), place.hash)) {
      this.#metrics.served.inc();
      return bytes;
    }
    await this.#drop(found, 'a chunk is not as it was written');
    throw new NodeError('NOT_FOUND', 'the snapshot was found to be damaged', { data: { index } });
  }

  /** To be called when a block is on the disk and nothing after it: its state is read from here on. */
  onCommit({ height, stateRoot }: Header, size: number, store: Pick<ChainStore, 'stateEntries'>): void {
    const { interval, log } = this.#options;
    if (interval === 0 || height % interval !== 0 || this.#abort.signal.aborted) return;
    if (this.#making) {
      log.warn('no snapshot of this height: the one before is still being made', { height });
      return;
    }
    const entries = begun(store.stateEntries());
    this.#making = this.#make({ height, stateRoot, size, entries }).finally(() => {
      this.#making = null;
    });
  }

  /** Resolves when nothing is being made. */
  async idle(): Promise<void> {
    await this.#making;
  }

  async stop(): Promise<void> {
    this.#abort.abort(new NodeError('INTERNAL', 'the node is stopping'));
    await this.idle();
  }

  async #make(source: Parameters<typeof writeSnapshot>[1]): Promise<void> {
    const { folder, hasher, clock, log, keep } = this.#options;
    const { height } = source;
    const startMs = clock.monotonic();
    const making = join(folder, `making-${height}`);
    try {
      await ensurePrivateFolder(folder);
      await rm(making, { recursive: true, force: true });
      await mkdir(making, { mode: 0o700 });
      await writeSnapshot(making, source, { hasher, clock, signal: this.#abort.signal });
      const final = join(folder, String(height));
      await rm(final, { recursive: true, force: true });
      await rename(making, final);
      await syncFolder(folder);
      const index = await this.#load(height);
      if (!index) throw new NodeError('CORRUPT', 'the snapshot is not on the disk as it was written');
      this.#held = [...this.#held.filter(({ manifest }) => manifest.height !== height), index].sort(byHeight);
      for (const old of this.#held.slice(0, -keep)) await this.#remove(old);
      const seconds = (clock.monotonic() - startMs) / 1000;
      const bytes = sizeOf(index.chunks);
      this.#metrics.height.set(height);
      this.#metrics.seconds.set(seconds);
      this.#metrics.bytes.set(bytes);
      log.info('snapshot made', { height, chunks: index.chunks.length, bytes, seconds: Math.round(seconds) });
    } catch (error) {
      await rm(making, { recursive: true, force: true }).catch(() => undefined);
      if (this.#abort.signal.aborted) return;
      this.#metrics.failures.inc();
      // The chain goes on without: whoever joins asks another node.
      log.error('a snapshot could not be made', { height, error: toNodeError(error) });
    } finally {
      await source.entries[Symbol.asyncIterator]().return?.(undefined);
    }
  }

  async #find(): Promise<void> {
    const { folder, log } = this.#options;
    const names = await readdir(folder).catch((): string[] => []);
    for (const name of names) {
      const isFinished = /^[1-9]\d{0,15}$/.test(name);
      const index = isFinished ? await this.#load(Number(name)) : null;
      if (index) {
        this.#held.push(index);
        continue;
      }
      if (isFinished) log.warn('a snapshot is damaged and removed', { height: Number(name) });
      else log.info('an unfinished snapshot is removed', { name });
      await rm(join(folder, name), { recursive: true, force: true });
    }
    this.#held.sort(byHeight);
  }

  /** Null when its index is damaged, or its chunks are not as long as they were; their hashes are checked when served. */
  async #load(height: number): Promise<SnapshotIndex | null> {
    const { folder, hasher } = this.#options;
    const path = join(folder, String(height));
    try {
      const index = decodeIndex(hasher, await readBytes(join(path, INDEX_FILE)));
      const { size } = await stat(join(path, CHUNKS_FILE));
      return index.manifest.height === height && size === sizeOf(index.chunks) ? index : null;
    } catch {
      return null;
    }
  }

  async #read(height: number, offset: number, length: number): Promise<Uint8Array | null> {
    try {
      const file = await open(join(this.#options.folder, String(height), CHUNKS_FILE));
      try {
        const bytes = new Uint8Array(length);
        const { bytesRead } = await file.read(bytes, 0, length, offset);
        return bytesRead === length ? bytes : null;
      } finally {
        await file.close();
      }
    } catch {
      return null;
    }
  }

  async #drop(index: SnapshotIndex, reason: string): Promise<void> {
    this.#options.log.warn('a snapshot is damaged and no longer offered', { height: index.manifest.height, reason });
    await this.#remove(index).catch((error: unknown) => {
      this.#options.log.warn('a damaged snapshot could not be removed', { error: toNodeError(error) });
    });
  }

  async #remove(index: SnapshotIndex): Promise<void> {
    this.#held = this.#held.filter((held) => held !== index);
    await rm(join(this.#options.folder, String(index.manifest.height)), { recursive: true, force: true });
  }
}

/** Starts reading now, so that what is read is the state of now. */
function begun<T>(entries: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = entries[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<T>> | null = iterator.next();
  // Whoever takes it hears of a failure.
  first.catch(() => undefined);
  const rest: AsyncIterator<T> = {
    next: () => {
      const next = first ?? iterator.next();
      first = null;
      return next;
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => rest };
}

function byHeight(a: SnapshotIndex, b: SnapshotIndex): number {
  return a.manifest.height - b.manifest.height;
}

function sizeOf(chunks: readonly { readonly length: number }[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

function createSnapshotMetrics(register: MetricsRegister): SnapshotMetrics {
  return {
    height: register.gauge({ name: 'aitbc_snapshot_height', help: 'Height of the last snapshot made' }),
    seconds: register.gauge({ name: 'aitbc_snapshot_seconds', help: 'How long making the last snapshot took' }),
    bytes: register.gauge({ name: 'aitbc_snapshot_bytes', help: 'Size of the last snapshot made' }),
    failures: register.counter({ name: 'aitbc_snapshot_failures_total', help: 'Snapshots that could not be made' }),
    served: register.counter({ name: 'aitbc_snapshot_chunks_served_total', help: 'Chunks given to other nodes' }),
  };
}
