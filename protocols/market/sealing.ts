/**
 * Sealing of what travels over work streams: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
 * AES-256-GCM. One context seals one direction of one stream; README.md is normative.
 */
import type { Hash } from '../../src/bytes.ts';
import type { ChainContext } from '../../src/chain/signing.ts';

export interface SealKeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
}

/** Where a piece belongs: nothing sealed for one place opens at another one. */
export interface SealPlace {
  /** Of the attempt. */
  readonly attempt: Hash;
  readonly direction: 'input' | 'output';
  /** From 0 on within the attempt. */
  readonly piece: number;
}

export interface Seal {
  /** 32 bytes, for the hello. */
  readonly encapsulation: Uint8Array;
  /** The bytes and SEAL_BYTES more. Calls count: they are opened in the order in which they were made. */
  seal(piece: Uint8Array, place: SealPlace): Promise<Uint8Array>;
}

export interface Opener {
  /** In the order in which they were sealed. @throws NodeError BAD_PROOF, after which nothing opens any more */
  open(sealed: Uint8Array, place: SealPlace): Promise<Uint8Array>;
}

export interface SealTo {
  readonly chain: ChainContext;
  /** Public key of who opens. */
  readonly recipientKey: Uint8Array;
}

export interface OpenFrom {
  readonly chain: ChainContext;
  readonly privateKey: Uint8Array;
  /** From the other side's hello. */
  readonly encapsulation: Uint8Array;
}
