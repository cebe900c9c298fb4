/** Ed25519 verification by libsodium. It keeps the chain's rule as it is; test/vectors hold it to that. */
import { crypto_sign_verify_detached } from 'sodium-native';
import type { Verifier } from '../chain/crypto/types.ts';

export const nativeVerifier: Verifier = {
  verify: (message, signature, publicKey) =>
    signature.length === 64 && publicKey.length === 32 && crypto_sign_verify_detached(signature, message, publicKey),
};
