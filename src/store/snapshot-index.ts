/**
 * The index of a snapshot's files, written last: the manifest, and where in the file of chunks each one lies. What was
 * changed on the disk is found by the hashes and never served.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { StateManifest } from '../chain/state-chunks.ts';
import {
  decodeManifest,
  encodeManifest,
  MAX_CHUNK_BYTES,
  MAX_CHUNKS,
  MAX_MANIFEST_BYTES,
} from '../chain/state-chunks.ts';

export const CHUNKS_FILE = 'chunks';
export const INDEX_FILE = 'index';

const VERSION = 1;

export interface StoredChunk {
  readonly offset: number;
  readonly length: number;
  /** SHA-256 of the chunk. */
  readonly hash: Hash;
}

export interface SnapshotIndex {
  readonly manifest: StateManifest;
  /** SHA-256 of the encoded manifest, by which peers name it. */
  readonly manifestHash: Hash;
  readonly chunks: readonly StoredChunk[];
}

/** u16 version, manifest bytes32, u32 count of {u32 length, SHA-256}, SHA-256 of all before. */
export function encodeIndex(hasher: Hasher, manifest: StateManifest, chunks: readonly StoredChunk[]): Uint8Array {
  const writer = new Writer(64 + chunks.length * 80).u16(VERSION).bytes32(encodeManifest(manifest)).u32(chunks.length);
  for (const { length, hash } of chunks) writer.u32(length).fixed(hash, 32);
  const body = writer.finish();
  return new Writer(body.length + 32).raw(body).raw(hasher.hash(body)).finish();
}

/** @throws NodeError CODEC */
export function decodeIndex(hasher: Hasher, bytes: Uint8Array): SnapshotIndex {
  const reader = new Reader(bytes, 'snapshot index');
  if (bytes.length < 32 || !equalBytes(hasher.hash(bytes.subarray(0, -32)), bytes.subarray(-32))) {
    throw reader.reject('non-canonical');
  }
  if (reader.u16() !== VERSION) throw reader.reject('out-of-range');
  const encoded = reader.bytes32(MAX_MANIFEST_BYTES);
  const manifest = decodeManifest(hasher, encoded);
  const count = reader.count32(MAX_CHUNKS, 36);
  if (count !== manifest.chunks.length) throw reader.reject('non-canonical');
  const chunks: StoredChunk[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const length = reader.u32();
    if (length > MAX_CHUNK_BYTES) throw reader.reject('over-cap');
    chunks.push({ offset, length, hash: reader.fixed(32) });
    offset += length;
  }
  reader.fixed(32);
  reader.end();
  return { manifest, manifestHash: hasher.hash(encoded), chunks };
}
