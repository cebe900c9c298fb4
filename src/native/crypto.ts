/** The chain's cryptography on native code, on the calling thread. */
import { crypto_sign_detached, crypto_sign_seed_keypair } from 'sodium-native';
import type { Crypto, Signer } from '../chain/crypto/types.ts';
import { NodeError } from '../errors.ts';
import { nativeHasher } from './hasher.ts';
import { nativeVerifier } from './verifier.ts';

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
  crypto_sign_seed_keypair(publicKey, secretKey, seed);
  return {
    publicKey,
    sign: (message) => {
      const signature = new Uint8Array(64);
      crypto_sign_detached(signature, message, secretKey);
      return signature;
    },
  };
}
