/** Byte helpers that every layer shares. Hex is lower-case and without prefix everywhere. */
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { compare } from 'uint8arrays/compare';
import { concat } from 'uint8arrays/concat';
import { equals } from 'uint8arrays/equals';
import { NodeError } from './errors.ts';

export { compare as compareBytes, concat as concatBytes, equals as equalBytes };

/** 32 bytes of SHA-256. Aliases document intent; the codec enforces the length. */
export type Hash = Uint8Array;
/** 20 bytes: the head of SHA-256 of an account's public key. */
export type Address = Uint8Array;
/** 32 bytes, Ed25519. */
export type PublicKey = Uint8Array;
/** 64 bytes, Ed25519. */
export type Signature = Uint8Array;

/** 32 zero bytes: the hash of nothing (empty tree, no parent of a proof). Never written to. */
export const ZERO_HASH: Hash = new Uint8Array(32);

/** Node's own, 60 times faster at hex than plain JavaScript; a page has none. */
const NodeBuffer = (globalThis as { readonly Buffer?: typeof Buffer }).Buffer;

/** Hashes, keys and signatures: a small array that native code looks at is moved out of the heap, unless it is copied. */
const SMALL_BYTES = 64;
const small = NodeBuffer?.alloc(SMALL_BYTES);

export function toHex(bytes: Uint8Array): string {
  if (!NodeBuffer || !small) return bytesToHex(bytes);
  if (bytes.length <= SMALL_BYTES) {
    small.set(bytes);
    return small.toString('hex', 0, bytes.length);
  }
  return NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/**
 * @param length exact number of bytes expected; omit for any
 * @throws NodeError PARSE_ERROR
 */
export function fromHex(hex: string, length?: number): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/.test(hex) || (length !== undefined && hex.length !== length * 2)) {
    throw new NodeError('PARSE_ERROR', 'not lower-case hex of the expected length', {
      data: { expectedBytes: length, characters: hex.length },
    });
  }
  if (!NodeBuffer) return hexToBytes(hex);
  const bytes = new Uint8Array(hex.length / 2);
  NodeBuffer.from(bytes.buffer).write(hex, 'hex');
  return bytes;
}

/** Bytes a single call may take as arguments, far below what engines allow. */
const KEY_CHUNK = 4096;

/** A string usable as a Map key that holds each byte as one character; half the memory and time of hex. */
export function bytesKey(bytes: Uint8Array): string {
  // `apply` on the array itself: spreading it costs five times as much.
  if (bytes.length <= KEY_CHUNK) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let key = '';
  for (let i = 0; i < bytes.length; i += KEY_CHUNK) key += bytesKey(bytes.subarray(i, i + KEY_CHUNK));
  return key;
}

/** What {@link toHex} makes of the bytes of a {@link bytesKey}. */
export function keyHex(key: string): string {
  return NodeBuffer ? NodeBuffer.from(key, 'latin1').toString('hex') : bytesToHex(keyBytes(key));
}

/** Inverse of {@link bytesKey}. */
export function keyBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) bytes[i] = key.charCodeAt(i);
  return bytes;
}

export function utf8(text: string): Uint8Array {
  return utf8ToBytes(text);
}
