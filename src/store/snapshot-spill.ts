/**
 * Entries of a state sorted by path with bounded memory: they come in key order, are dealt to buckets by the first bits
 * of their paths, and full buffers go to one file, which is read back a bucket at a time and compared by hash: an entry
 * that changed there would be served under the hashes of the right one.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import type { Hash } from '../bytes.ts';
import { compareBytes, equalBytes } from '../bytes.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { SizedLeaf } from '../chain/state-chunks.ts';
import { entryBytes } from '../chain/state-chunks.ts';
import { NodeError } from '../errors.ts';
import { writeAll } from './files.ts';

/** So that sorting and hashing one bucket stays within a few milliseconds. */
const ENTRIES_A_BUCKET = 2_048;
const MAX_BUCKET_BITS = 16;
/** Over the buffers of all buckets. */
const BUFFER_BYTES = 32 * 1024 * 1024;
const MAX_BUFFER_BYTES = 64 * 1024;
const HASHES_BYTES = 64;

/** `entry`: as it stands in a chunk. */
export interface SpilledLeaf extends SizedLeaf {
  readonly entry: Uint8Array;
}

interface Bucket {
  buffer: Uint8Array | null;
  used: number;
  count: number;
  /** As chunks count them. */
  bytes: number;
  readonly extents: Extent[];
}

/** A buffer that went to the file. */
interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly hash: Hash;
}

export class Spill {
  /** Buckets are told apart by so many first bits of a path. */
  readonly bits: number;
  readonly #file: FileHandle;
  readonly #hasher: Hasher;
  readonly #buckets: readonly Bucket[];
  readonly #bufferBytes: number;
  #pending: Uint8Array[] = [];
  #written = 0;
  #end = 0;

  private constructor(file: FileHandle, bits: number, hasher: Hasher) {
    this.bits = bits;
    this.#file = file;
    this.#hasher = hasher;
    this.#buckets = Array.from({ length: 2 ** bits }, () => ({
      buffer: null,
      used: 0,
      count: 0,
      bytes: 0,
      extents: [],
    }));
    this.#bufferBytes = Math.min(MAX_BUFFER_BYTES, BUFFER_BYTES / 2 ** bits);
  }

  /** @param expectedEntries of the whole state, roughly */
  static async create(path: string, expectedEntries: number, hasher: Hasher): Promise<Spill> {
    const bits = Math.max(0, Math.ceil(Math.log2(expectedEntries / ENTRIES_A_BUCKET)));
    return new Spill(await open(path, 'wx+', 0o600), Math.min(bits, MAX_BUCKET_BITS), hasher);
  }

  /** What waits to be written; the caller flushes when it is much. */
  get pendingBytes(): number {
    return this.#end - this.#written;
  }

  add(path: Uint8Array, valueHash: Uint8Array, key: Uint8Array, value: Uint8Array): void {
    const bucket = this.#bucket(path);
    const bytes = entryBytes(key.length, value.length);
    const size = HASHES_BYTES + bytes;
    if (bucket.buffer && bucket.used + size > bucket.buffer.length) this.#spill(bucket);
    bucket.buffer ??= new Uint8Array(Math.max(this.#bufferBytes, size));
    const { buffer } = bucket;
    let at = bucket.used;
    buffer.set(path, at);
    buffer.set(valueHash, at + 32);
    at += HASHES_BYTES;
    buffer[at] = key.length >>> 8;
    buffer[at + 1] = key.length;
    buffer.set(key, at + 2);
    at += 2 + key.length;
    buffer[at] = value.length >>> 24;
    buffer[at + 1] = value.length >>> 16;
    buffer[at + 2] = value.length >>> 8;
    buffer[at + 3] = value.length;
    buffer.set(value, at + 4);
    bucket.used += size;
    bucket.count += 1;
    bucket.bytes += bytes;
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    for (const bytes of pending) {
      await writeAll(this.#file, bytes, this.#written);
      this.#written += bytes.length;
    }
  }

  /** Of buckets [low, high). */
  totals(low: number, high: number): { readonly count: number; readonly bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const bucket of this.#buckets.slice(low, high)) {
      count += bucket.count;
      bytes += bucket.bytes;
    }
    return { count, bytes };
  }

  /** Leaves of buckets [low, high), by path. Once for each bucket. @throws NodeError CORRUPT when the file was damaged */
  async take(low: number, high: number, between: () => Promise<void>): Promise<SpilledLeaf[]> {
    const leaves: SpilledLeaf[] = [];
    for (const bucket of this.#buckets.slice(low, high)) {
      const own = leavesOf(await this.#read(bucket)).sort((a, b) => compareBytes(a.path, b.path));
      bucket.buffer = null;
      leaves.push(...own);
      await between();
    }
    return leaves;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #bucket(path: Uint8Array): Bucket {
    const first = ((path[0] ?? 0) << 16) | ((path[1] ?? 0) << 8) | (path[2] ?? 0);
    return this.#buckets[first >>> (24 - this.bits)] as Bucket;
  }

  #spill(bucket: Bucket): void {
    if (!bucket.buffer) return;
    const bytes = bucket.buffer.subarray(0, bucket.used);
    this.#pending.push(bytes);
    bucket.extents.push({ offset: this.#end, length: bucket.used, hash: this.#hasher.hash(bytes) });
    this.#end += bucket.used;
    bucket.buffer = null;
    bucket.used = 0;
  }

  async #read({ buffer, used, extents }: Bucket): Promise<Uint8Array> {
    const bytes = new Uint8Array(extents.reduce((sum, { length }) => sum + length, used));
    let at = 0;
    for (const { offset, length, hash } of extents) {
      const { bytesRead } = await this.#file.read(bytes, at, length, offset);
      if (bytesRead !== length || !equalBytes(this.#hasher.hash(bytes.subarray(at, at + length)), hash)) {
        throw new NodeError('CORRUPT', 'a file of a snapshot in the making is not as it was written', {
          data: { offset, length, bytesRead },
          hint: 'check the disk: the snapshot is given up, the next one is made at the next interval',
        });
      }
      at += length;
    }
    if (buffer) bytes.set(buffer.subarray(0, used), at);
    return bytes;
  }
}

/** Views of the bytes. */
function leavesOf(bytes: Uint8Array): SpilledLeaf[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const leaves: SpilledLeaf[] = [];
  for (let at = 0; at < bytes.length; ) {
    const from = at + HASHES_BYTES;
    const keyLength = view.getUint16(from);
    const size = entryBytes(keyLength, view.getUint32(from + 2 + keyLength));
    leaves.push({
      path: bytes.subarray(at, at + 32),
      valueHash: bytes.subarray(at + 32, from),
      entry: bytes.subarray(from, from + size),
      bytes: size,
    });
    at = from + size;
  }
  return leaves;
}
