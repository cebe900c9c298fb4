/**
 * Blobs that one side keeps: a client those of its jobs, its node those of its clients, a miner what it works on. All of it is
 * sealed. Each leaf is checked against the list before it is kept, and again when it is read.
 */
import type { Hash } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { LeafList } from '../../chain/market/blob.ts';
import { blobRoot, LEAF_BYTES, leafBytesAt, MAX_BLOB_BYTES } from '../../chain/market/blob.ts';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';

const MEMORY_IDLE_MS = 10 * 60_000;

/** Where the bytes lie: on a disk, or in memory. What is written is there, whole, when it resolves. */
export interface BlobBytes {
  /** What was there before this start. What is broken is left out, and removed. */
  load(): Promise<readonly StoredBlob[]>;
  begin(root: Hash, owner: string, list: LeafList): Promise<void>;
  write(root: Hash, leaf: number, bytes: Uint8Array): Promise<void>;
  /** Null where there is none. */
  read(root: Hash, leaf: number): Promise<Uint8Array | null>;
  remove(root: Hash): Promise<void>;
}

export interface StoredBlob {
  readonly root: Hash;
  readonly owner: string;
  readonly list: LeafList;
  /** Leaves that are there. */
  readonly leaves: readonly number[];
}

export interface ShelfLimits {
  /** Of all blobs. One owner has no more than is left over. */
  readonly maxBytes: number;
  /** A blob that no job needs, and to which nothing is added, is removed then. */
  readonly idleMs: number;
}

export interface ShelfModules {
  readonly bytes: BlobBytes;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly limits: ShelfLimits;
}

interface Entry {
  readonly root: Hash;
  readonly owner: string;
  readonly list: LeafList;
  readonly missing: Set<number>;
  holds: number;
  usedMs: number;
}

/** @throws NodeError STORAGE */
export async function openShelf(modules: ShelfModules): Promise<BlobShelf> {
  return new BlobShelf(modules, await modules.bytes.load());
}

export class BlobShelf {
  readonly #modules: ShelfModules;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  /** One after the other: what two begin at once takes room once, and nobody begins what is being removed. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(modules: ShelfModules, stored: readonly StoredBlob[]) {
    this.#modules = modules;
    for (const { root, owner, list, leaves } of stored) {
      const there = new Set(leaves);
      this.#add({ root, owner, list }, (leaf) => !there.has(leaf));
    }
  }

  /** Room taken, whether filled or not. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Takes room for a blob, whose leaves may then come. One that is there already stays. @throws NodeError BUSY | STORAGE */
  begin(list: LeafList, owner: string): Promise<Hash> {
    return this.#inTurn(() => this.#begin(list, owner));
  }

  async #begin(list: LeafList, owner: string): Promise<Hash> {
    const root = blobRoot(this.#modules.hasher, list);
    const known = this.#entries.get(bytesKey(root));
    if (known) {
      this.#use(known);
      return root;
    }
    await this.#sweep();
    this.#checkRoom(roomOf(list), owner);
    const entry = this.#add({ root, owner, list }, () => true);
    try {
      await this.#modules.bytes.begin(root, owner, list);
    } catch (error) {
      this.#drop(entry);
      throw error;
    }
    return root;
  }

  list(root: Hash): LeafList | null {
    return this.#entries.get(bytesKey(root))?.list ?? null;
  }

  /** Leaves that have not come, in their order; null where nothing is known of the blob. */
  missing(root: Hash): readonly number[] | null {
    const entry = this.#entries.get(bytesKey(root));
    return entry ? [...entry.missing].sort((a, b) => a - b) : null;
  }

  isWhole(root: Hash): boolean {
    return this.#entries.get(bytesKey(root))?.missing.size === 0;
  }

  /** @throws NodeError NOT_FOUND without its list | BAD_PROOF when it is not that leaf | STORAGE */
  async put(root: Hash, leaf: number, bytes: Uint8Array): Promise<void> {
    const entry = this.#entries.get(bytesKey(root));
    const named = entry?.list.leaves[leaf];
    if (!entry || !named) throw notHere();
    const isIt = bytes.length === leafBytesAt(entry.list.sealedBytes, leaf);
    if (!isIt || !equalBytes(this.#modules.hasher.hash(bytes), named)) {
      throw new NodeError('BAD_PROOF', `what was given for leaf ${leaf} is not that leaf of the blob`, {
        data: { leaf, bytes: bytes.length },
        hint: 'send the leaf of that number, sealed, as it is in the list',
      });
    }
    this.#use(entry);
    if (!entry.missing.has(leaf)) return;
    await this.#modules.bytes.write(root, leaf, bytes);
    entry.missing.delete(leaf);
  }

  /** @throws NodeError NOT_FOUND | STORAGE */
  async leaf(root: Hash, leaf: number): Promise<Uint8Array> {
    const entry = this.#entries.get(bytesKey(root));
    const named = entry?.list.leaves[leaf];
    if (!entry || !named || entry.missing.has(leaf)) throw notHere();
    this.#use(entry);
    const bytes = await this.#modules.bytes.read(root, leaf);
    if (bytes && equalBytes(this.#modules.hasher.hash(bytes), named)) return bytes;
    // A disk that lost it: it may come again.
    entry.missing.add(leaf);
    throw notHere();
  }

  /** Somebody still means to use it. */
  touch(root: Hash): void {
    const entry = this.#entries.get(bytesKey(root));
    if (entry) this.#use(entry);
  }

  /** A job of this side needs it. */
  isHeld(root: Hash): boolean {
    return (this.#entries.get(bytesKey(root))?.holds ?? 0) > 0;
  }

  /** Keeps it, if it is there, for a job. @returns ends that */
  hold(root: Hash): () => void {
    const entry = this.#entries.get(bytesKey(root));
    if (!entry) return () => undefined;
    entry.holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      entry.holds--;
      this.#use(entry);
    };
  }

  /** Removes what nobody needs any more. @throws NodeError STORAGE */
  sweep(): Promise<void> {
    return this.#inTurn(() => this.#sweep());
  }

  async #sweep(): Promise<void> {
    const beforeMs = this.#modules.clock.monotonic() - this.#modules.limits.idleMs;
    for (const entry of [...this.#entries.values()]) {
      if (entry.holds > 0 || entry.usedMs > beforeMs) continue;
      this.#drop(entry);
      await this.#modules.bytes.remove(entry.root);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #use(entry: Entry): void {
    entry.usedMs = this.#modules.clock.monotonic();
  }

  #add(blob: Pick<Entry, 'root' | 'owner' | 'list'>, lacks: (leaf: number) => boolean): Entry {
    const missing = new Set([...blob.list.leaves.keys()].filter(lacks));
    const entry: Entry = { ...blob, missing, holds: 0, usedMs: this.#modules.clock.monotonic() };
    this.#entries.set(bytesKey(blob.root), entry);
    this.#bytes += roomOf(blob.list);
    return entry;
  }

  #drop(entry: Entry): void {
    if (this.#entries.delete(bytesKey(entry.root))) this.#bytes -= roomOf(entry.list);
  }

  /** Nobody fills all of it alone. @throws NodeError BUSY */
  #checkRoom(bytes: number, owner: string): void {
    const leftBytes = this.#modules.limits.maxBytes - this.#bytes;
    let ofOwner = 0;
    for (const entry of this.#entries.values()) if (entry.owner === owner) ofOwner += roomOf(entry.list);
    if (bytes <= leftBytes && (ofOwner === 0 || ofOwner + bytes <= leftBytes)) return;
    throw new NodeError('BUSY', 'there is no room for this blob now', {
      data: { bytes, ofOwner, leftBytes },
      hint: 'wait for jobs with large inputs to end, or use another node',
    });
  }
}

/** Small ones cost a whole leaf, so that their number is bounded too. */
function roomOf({ sealedBytes }: LeafList): number {
  return Math.max(LEAF_BYTES, sealedBytes);
}

function notHere(): NodeError {
  return new NodeError('NOT_FOUND', 'no such blob, or not that part of it, is here', {
    hint: 'upload its list and all of its leaves first',
  });
}

/** In memory: gone with the process or the page. What is let go is gone at the next look. */
export function memoryShelf(hasher: Hasher, clock: Clock, maxBytes = 2 * MAX_BLOB_BYTES): BlobShelf {
  return new BlobShelf({ bytes: memoryBytes(), hasher, clock, limits: { maxBytes, idleMs: MEMORY_IDLE_MS } }, []);
}

function memoryBytes(): BlobBytes {
  const blobs = new Map<string, Map<number, Uint8Array>>();
  return {
    load: () => Promise.resolve([]),
    begin: (root) => {
      blobs.set(bytesKey(root), new Map());
      return Promise.resolve();
    },
    write: (root, leaf, bytes) => {
      blobs.get(bytesKey(root))?.set(leaf, bytes.slice());
      return Promise.resolve();
    },
    read: (root, leaf) => Promise.resolve(blobs.get(bytesKey(root))?.get(leaf) ?? null),
    remove: (root) => {
      blobs.delete(bytesKey(root));
      return Promise.resolve();
    },
  };
}
