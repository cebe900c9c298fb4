/**
 * Sealing blobs and opening them, leaf by leaf, with AES-256-GCM by WebCrypto: in browsers and in Node, there on other
 * threads. A key seals one blob; each leaf has its number, and whether it is the last one, in its nonce.
 */
import { equalBytes } from '../../bytes.ts';
import type { Hash } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { BlobRef, LeafList } from '../../chain/market/blob.ts';
import {
  blobRoot,
  leafNonce,
  leavesOf,
  LEAF_TEXT_BYTES,
  MAX_BLOB_BYTES,
  sealedBytesOf,
} from '../../chain/market/blob.ts';
import { NodeError } from '../../errors.ts';

export interface SealedBlob {
  readonly ref: BlobRef;
  readonly list: LeafList;
  /** Sealed anew each time, to the same bytes: nobody holds all of them. */
  readonly leaf: (index: number) => Promise<Uint8Array>;
}

/** @param key 32 random bytes, of this blob alone @throws NodeError TOO_LARGE | BAD_JOB when there is nothing */
export async function sealBlob(hasher: Hasher, text: Uint8Array, key: Uint8Array): Promise<SealedBlob> {
  if (text.length === 0) throw new NodeError('BAD_JOB', 'a blob holds a byte at least');
  if (text.length > MAX_BLOB_BYTES) throw tooLarge(text.length);
  const cipher = await cipherOf(key);
  const count = leavesOf(text.length);
  const leaf = async (index: number): Promise<Uint8Array> => {
    const part = text.subarray(index * LEAF_TEXT_BYTES, (index + 1) * LEAF_TEXT_BYTES);
    return new Uint8Array(await crypto.subtle.encrypt(algorithm(index, count), cipher, plain(part)));
  };
  const leaves: Hash[] = [];
  for (let index = 0; index < count; index++) leaves.push(hasher.hash(await leaf(index)));
  const list = { sealedBytes: sealedBytesOf(text.length), leaves };
  const ref = { root: blobRoot(hasher, list), bytes: text.length, key, textHash: await digest(text) };
  return { ref, list, leaf };
}

/**
 * All that a blob holds, in one piece of memory.
 *
 * @param leaf sealed, as it was named by the root
 * @throws NodeError BAD_JOB when whoever made the blob did not seal what it names
 */
export async function openBlob(
  { bytes, key, textHash }: BlobRef,
  leaf: (index: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const cipher = await cipherOf(key);
  const count = leavesOf(bytes);
  const text = new Uint8Array(bytes);
  for (let index = 0; index < count; index++) {
    const at = index * LEAF_TEXT_BYTES;
    const opened = await openLeaf(cipher, await leaf(index), index, count);
    if (opened.length !== Math.min(LEAF_TEXT_BYTES, bytes - at)) throw notWhatItNames();
    text.set(opened, at);
  }
  if (!equalBytes(await digest(text), textHash)) throw notWhatItNames();
  return text;
}

async function openLeaf(cipher: CryptoKey, leaf: Uint8Array, index: number, count: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm(index, count), cipher, plain(leaf)));
  } catch {
    throw notWhatItNames();
  }
}

/** SHA-256, for Node on another thread: what it is of may be large. */
async function digest(text: Uint8Array): Promise<Hash> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', plain(text)));
}

/** WebCrypto takes no shared memory; nobody here has any. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

function cipherOf(key: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', plain(key), 'AES-GCM', false, ['encrypt', 'decrypt']);
}

function algorithm(index: number, count: number): AesGcmParams {
  return { name: 'AES-GCM', iv: plain(leafNonce(index, index === count - 1)) };
}

function notWhatItNames(): NodeError {
  return new NodeError('BAD_JOB', 'a blob does not hold what the job says of it');
}

export function tooLarge(bytes: number): NodeError {
  return new NodeError('TOO_LARGE', `the input has ${bytes} bytes, a job takes ${MAX_BLOB_BYTES}`, {
    data: { bytes, limit: MAX_BLOB_BYTES },
    hint: 'send less input, or split the job',
  });
}
