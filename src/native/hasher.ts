/** SHA-256 by OpenSSL for messages and by hashtree (one SIMD pass a level) for trees. */
import { hash as hashWith } from 'node:crypto';
import { keyBytes } from '../bytes.ts';
import { pureHasher } from '../chain/crypto/pure.ts';
import type { Hasher } from '../chain/crypto/types.ts';

/** A string of one character a byte costs half of what a Buffer does: 2.2 against 1.1 million hashes/s of 200 bytes. */
function hashKey(bytes: Uint8Array): string {
  return hashWith('sha256', bytes, 'binary');
}

function hash(bytes: Uint8Array): Uint8Array {
  return keyBytes(hashKey(bytes));
}

type HashPairs = (input: Uint8Array, out: Uint8Array) => void;

/** hashtree comes as one binary a platform; where none fits, trees are hashed without it. */
async function loadHashPairs(): Promise<HashPairs | undefined> {
  try {
    const { hashInto } = await import('@chainsafe/hashtree');
    hashInto(new Uint8Array(64), new Uint8Array(32));
    return hashInto;
  } catch {
    return;
  }
}

const loaded = await loadHashPairs();

/** Whether tree levels are hashed by the binary; shown by diagnostics, as trees are some 15 times slower without. */
export const hashtreeLoaded = loaded !== undefined;

export const nativeHasher: Hasher = {
  hash,
  hashKey,
  hashPairs:
    loaded ??
    ((input, out) => {
      pureHasher.hashPairs(input, out);
    }),
};
