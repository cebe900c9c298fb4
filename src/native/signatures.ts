/** Ed25519 by libsodium, on the calling thread. It keeps the chain's rule; test/vectors hold it to that. */
import sodium from 'sodium-native';
import type { Crypto, Signer, Verifier } from '../chain/crypto/types.ts';
import { NodeError } from '../errors.ts';
import { nativeHasher } from './hasher.ts';

export const nativeVerifier: Verifier = {
  verify: (message, signature, publicKey) =>
    signature.length === 64 &&
    publicKey.length === 32 &&
    sodium.crypto_sign_verify_detached(signature, message, publicKey),
};

export const nativeCrypto: Crypto = { ...nativeHasher, ...nativeVerifier };

/** @param seed 32 bytes, not kept @throws NodeError KEY_FILE on another length */
export function createNativeSigner(seed: Uint8Array): Signer {
  if (seed.length !== 32) {
    throw new NodeError('KEY_FILE', `an Ed25519 seed has 32 bytes, this one ${seed.length}`, {
      data: { bytes: seed.length },
      hint: 'use a key made by `aitbc wallet create` or `aitbc init`',
    });
  }
  const publicKey = new Uint8Array(32);
  const secretKey = new Uint8Array(64);
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed);
  return {
    publicKey,
    sign: (message) => {
      const signature = new Uint8Array(64);
      sodium.crypto_sign_detached(signature, message, secretKey);
      return signature;
    },
  };
}
