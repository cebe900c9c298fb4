/**
 * SHA-256 and Ed25519 in plain JavaScript: what a browser uses, and the yardstick of the native back ends. Verification
 * is written on the curve's points because noble's own `verify` is cofactored and would accept more than the chain does.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import type { PublicKey } from '../../bytes.ts';
import { bytesKey } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { Crypto, Hasher, Signer, Verifier } from './types.ts';

const { Point } = ed25519;

/** Order of the base point: 2^252 + 27742317777372353535851937790883648493. */
const L = Point.Fn.ORDER;

export const pureHasher: Hasher = {
  hash: (bytes) => sha256(bytes),
  hashKey: (bytes) => bytesKey(sha256(bytes)),
  hashPairs: (input, out) => {
    for (let at = 0; at * 2 < input.length; at += 32) out.set(sha256(input.subarray(at * 2, at * 2 + 64)), at);
  },
};

export const pureVerifier: Verifier = { verify };

export const pureCrypto: Crypto = { ...pureHasher, ...pureVerifier };

/** Ed25519 public key of a 32-byte seed (RFC 8032, 5.1.5). @throws NodeError KEY_FILE on another length */
export function publicKeyOf(seed: Uint8Array): PublicKey {
  return ed25519.getPublicKey(checkSeed(seed));
}

/** @param seed 32 bytes, copied @throws NodeError KEY_FILE on another length */
export function createPureSigner(seed: Uint8Array): Signer {
  const secret = checkSeed(seed).slice();
  return { publicKey: ed25519.getPublicKey(secret), sign: (message) => ed25519.sign(message, secret) };
}

function checkSeed(seed: Uint8Array): Uint8Array {
  if (seed.length === 32) return seed;
  throw new NodeError('KEY_FILE', `an Ed25519 seed has 32 bytes, this one ${seed.length}`, {
    data: { bytes: seed.length },
    hint: 'use a key made by `aitbc wallet create` or `aitbc init`',
  });
}

function verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  const s = littleEndian(signature.subarray(32));
  if (s >= L) return false;
  const encodedR = signature.subarray(0, 32);
  const a = decodePoint(publicKey);
  const r = decodePoint(encodedR);
  if (!a || !r) return false;
  const k = littleEndian(sha512.create().update(encodedR).update(publicKey).update(message).digest()) % L;
  return Point.BASE.multiplyUnsafe(s).equals(a.multiplyUnsafe(k).add(r));
}

/** A canonically encoded point (RFC 8032 5.1.3: y < p, no sign on x = 0) outside the group of order 8. */
function decodePoint(bytes: Uint8Array): InstanceType<typeof Point> | undefined {
  try {
    const point = Point.fromBytes(bytes);
    return point.isSmallOrder() ? undefined : point;
  } catch {
    return;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return value;
}
