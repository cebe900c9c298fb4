/**
 * What the chain needs of cryptography, as interfaces: pure defaults live beside this file, native and worker-thread
 * versions in src/native, and all of them are held to the same vectors.
 */
import type { Hash, PublicKey, Signature } from '../../bytes.ts';

export interface Hasher {
  /** SHA-256. */
  hash(bytes: Uint8Array): Hash;
  /** The same as a string of one character a byte, which keys maps, at a part of the memory. */
  hashKey(bytes: Uint8Array): string;
  /**
   * Level hashing for trees: for each i, out[32i..] = SHA-256(input[64i .. 64i+64]).
   * `input.length` is a multiple of 64 and `out.length` is half of it.
   */
  hashPairs(input: Uint8Array, out: Uint8Array): void;
}

export interface Verifier {
  /**
   * Ed25519 by the chain's one rule: A, R and S canonical, A and R not of small order, and the cofactorless equation
   * [S]B = R + [k]A. Wrong lengths give false, never an exception.
   */
  verify(message: Uint8Array, signature: Signature, publicKey: PublicKey): boolean;
}

export interface Signer {
  readonly publicKey: PublicKey;
  sign(message: Uint8Array): Signature;
}

export interface Crypto extends Hasher, Verifier {}

/** One signature to check. */
export interface SignatureCheck {
  readonly message: Uint8Array;
  readonly signature: Signature;
  readonly publicKey: PublicKey;
}

export interface VerifyBatchOptions {
  /** For what consensus waits for: overtakes batches that are not urgent, which transactions should never be. */
  readonly urgent?: boolean;
  /**
   * For blocks that are fetched or read again, thousands of signatures at a time: may use more of the machine than the rest
   * of the node leaves, in turn with transactions. Not together with `urgent`.
   */
  readonly background?: boolean;
}

/**
 * Batch verification off the calling thread; answers in the order asked. The bytes of the checks must not change until
 * then.
 */
export interface BatchVerifier {
  /** @throws NodeError POOL_FULL when too much waits already: the same batch may be offered again later */
  // eslint-disable-next-line no-restricted-syntax -- a type for those above; nothing in this folder waits for it
  verifyBatch(checks: readonly SignatureCheck[], options?: VerifyBatchOptions): Promise<boolean[]>;
}

/** What the connections between nodes are encrypted with: X25519 (RFC 7748) and ChaCha20-Poly1305 (RFC 8439). */
export interface LinkCrypto {
  /** Both keys 32 bytes. @param seed 32 bytes, the private key; random when absent */
  keyPair(seed?: Uint8Array): { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array };
  /** 32 bytes. @throws Error when the public key is of small order */
  sharedKey(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /** Ciphertext and tag of 16 bytes. @param key 32 bytes @param nonce 12 bytes */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): Uint8Array;
  /** @throws Error when it does not open */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array;
}
