/**
 * Entries of a state sorted by path with bounded memory: they come in key order, are dealt to buckets by the first bits
 * of their paths, and full buffers go to one file, which is read back a bucket at a time.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { compareBytes } from '../bytes.ts';
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
  /** Of what is in the file: offset, length, and so on. */
  readonly extents: number[];
}

export class Spill {
  /** Buckets are told apart by so many first bits of a path. */
  readonly bits: number;
  readonly #file: FileHandle;
  readonly #buckets: readonly Bucket[];
  readonly #bufferBytes: number;
  #pending: Uint8Array[] = [];
  #written = 0;
  #end = 0;

  private constructor(file: FileHandle, bits: number) {
    this.bits = bits;
    this.#file = file;
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
  static async create(path: string, expectedEntries: number): Promise<Spill> {
    const bits = Math.max(0, Math.ceil(Math.log2(expectedEntries / ENTRIES_A_BUCKET)));
    return new Spill(await open(path, 'wx+', 0o600), Math.min(bits, MAX_BUCKET_BITS));
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

  /** Leaves of buckets [low, high), by path. Once for each bucket. */
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
    this.#pending.push(bucket.buffer.subarray(0, bucket.used));
    bucket.extents.push(this.#end, bucket.used);
    this.#end += bucket.used;
    bucket.buffer = null;
    bucket.used = 0;
  }

  async #read({ buffer, used, extents }: Bucket): Promise<Uint8Array> {
    let size = used;
    for (let i = 1; i < extents.length; i += 2) size += extents[i] ?? 0;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < extents.length; i += 2) {
      const length = extents[i + 1] ?? 0;
      const { bytesRead } = await this.#file.read(bytes, at, length, extents[i]);
      if (bytesRead !== length) {
        throw new NodeError('CORRUPT', 'a file of a snapshot in the making is shorter than what was written to it');
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
