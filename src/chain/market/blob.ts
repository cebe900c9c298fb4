/**
 * Input too large to travel with a job: sealed by the client under a key of its own, cut into leaves, and named by the root of
 * the hashes of what is sealed. Who stores or passes it on learns its size, and can check every leaf against the name.
 */
import type { Hash } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher } from '../crypto/types.ts';

/** What is sealed, of each leaf but the last one, which is shorter or as long. */
export const LEAF_BYTES = 256 * 1024;
/** Of AES-256-GCM, at the end of each leaf. */
const LEAF_TAG_BYTES = 16;
/** What a whole leaf holds, opened. */
export const LEAF_TEXT_BYTES = LEAF_BYTES - LEAF_TAG_BYTES;
/** Opened, of one blob, and of all blobs of a job together. */
export const MAX_BLOB_BYTES = 64 * 1024 * 1024;
export const MAX_LEAVES = Math.ceil(MAX_BLOB_BYTES / LEAF_TEXT_BYTES);
export const MAX_LEAF_LIST_BYTES = 4 + MAX_LEAVES * 32;
const MAX_SEALED_BYTES = MAX_BLOB_BYTES + MAX_LEAVES * LEAF_TAG_BYTES;
const LEAST_SEALED_BYTES = LEAF_TAG_BYTES + 1;

/** What the leaves of a blob are: with it each one is checked when it comes. */
export interface LeafList {
  /** Of all leaves together. */
  readonly sealedBytes: number;
  /** SHA-256 of each leaf. */
  readonly leaves: readonly Hash[];
}

/** A blob as the content of a job names it. Sealed to the miner like all content: whoever has it can read the blob. */
export interface BlobRef {
  readonly root: Hash;
  /** Opened, which is what is paid for. */
  readonly bytes: number;
  /** 32 bytes, of this blob alone. */
  readonly key: Uint8Array;
  /** SHA-256 of what it holds, opened. */
  readonly textHash: Hash;
}

export const BLOB_REF_BYTES = 32 + 4 + 32 + 32;

/** How many leaves hold so much. */
export function leavesOf(bytes: number): number {
  return Math.ceil(bytes / LEAF_TEXT_BYTES);
}

export function sealedBytesOf(bytes: number): number {
  return bytes + leavesOf(bytes) * LEAF_TAG_BYTES;
}

/** Of a leaf by its place. */
export function leafBytesAt(sealedBytes: number, leaf: number): number {
  return Math.min(LEAF_BYTES, sealedBytes - leaf * LEAF_BYTES);
}

/** Each leaf's own, under a key that seals nothing else: the number, and whether nothing follows. */
export function leafNonce(leaf: number, isLast: boolean): Uint8Array {
  return new Writer(12)
    .u32(0)
    .u32(isLast ? 1 : 0)
    .u32(leaf)
    .finish();
}

/** The number of leaves follows from their size. */
export function encodeLeafList({ sealedBytes, leaves }: LeafList): Uint8Array {
  const writer = new Writer(4 + leaves.length * 32).u32(sealedBytes);
  for (const leaf of leaves) writer.fixed(leaf, 32);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeLeafList(bytes: Uint8Array): LeafList {
  const reader = new Reader(bytes, 'list of leaves');
  const sealedBytes = reader.u32();
  const count = Math.ceil(sealedBytes / LEAF_BYTES);
  const lastBytes = leafBytesAt(sealedBytes, count - 1);
  if (sealedBytes === 0 || sealedBytes > MAX_SEALED_BYTES || lastBytes < LEAST_SEALED_BYTES)
    throw reader.reject('out-of-range');
  const leaves = Array.from({ length: count }, () => reader.fixed(32));
  reader.end();
  return { sealedBytes, leaves };
}

/** The name of a blob. */
export function blobRoot(hasher: Hasher, list: LeafList): Hash {
  return hasher.hash(new Writer(MAX_LEAF_LIST_BYTES).ascii8('AIT/blob').raw(encodeLeafList(list)).finish());
}

export function writeBlobRef(writer: Writer, { root, bytes, key, textHash }: BlobRef): Writer {
  return writer.fixed(root, 32).u32(bytes).fixed(key, 32).fixed(textHash, 32);
}

/** @throws NodeError CODEC */
export function readBlobRef(reader: Reader): BlobRef {
  const ref = { root: reader.fixed(32), bytes: reader.u32(), key: reader.fixed(32), textHash: reader.fixed(32) };
  if (ref.bytes === 0 || ref.bytes > MAX_BLOB_BYTES) throw reader.reject('out-of-range');
  return ref;
}
