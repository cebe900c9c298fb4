/**
 * Sealing of what travels over work streams: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
 * AES-256-GCM. One context seals one direction of one stream; README.md is normative.
 */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import type { Hash } from '../../src/bytes.ts';
import { Writer } from '../../src/chain/codec.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { NodeError } from '../../src/errors.ts';

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

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

export async function createSealKeys(): Promise<SealKeyPair> {
  return bytesOf(await suite.kem.generateKeyPair());
}

/** The pair that a secret of 32 bytes stands for, by DeriveKeyPair of RFC 9180. */
export async function deriveSealKeys(secret: Uint8Array): Promise<SealKeyPair> {
  return bytesOf(await suite.kem.deriveKeyPair(secret.slice()));
}

/** @throws NodeError BAD_PROOF when the key is none that can be sealed to */
export async function createSeal({ chain, recipientKey }: SealTo): Promise<Seal> {
  const context = await proven('not a key to seal to', async () =>
    suite.createSenderContext({
      recipientPublicKey: await suite.kem.deserializePublicKey(recipientKey.slice()),
      info: infoOf(chain),
    }),
  );
  const inOrder = createQueue();
  return {
    encapsulation: new Uint8Array(context.enc),
    seal: (piece, place) => inOrder(async () => new Uint8Array(await context.seal(piece, placeBytes(place)))),
  };
}

/** @throws NodeError BAD_PROOF when the encapsulation is none */
export async function createOpener({ chain, privateKey, encapsulation }: OpenFrom): Promise<Opener> {
  const context = await proven('not an encapsulation for this key', async () =>
    suite.createRecipientContext({
      recipientKey: await suite.kem.deserializePrivateKey(privateKey.slice()),
      enc: encapsulation.slice(),
      info: infoOf(chain),
    }),
  );
  const inOrder = createQueue();
  let isBroken = false;
  return {
    open: (sealed, place) =>
      inOrder(() =>
        proven('sealed bytes do not open at this place', async () => {
          if (isBroken) throw new NodeError('BAD_PROOF', 'an earlier piece did not open');
          isBroken = true;
          const piece = new Uint8Array(await context.open(sealed, placeBytes(place)));
          isBroken = false;
          return piece;
        }),
      ),
  };
}

async function bytesOf({ publicKey, privateKey }: CryptoKeyPair): Promise<SealKeyPair> {
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(privateKey)),
  };
}

function infoOf({ chainId, genesisHash }: ChainContext): Uint8Array {
  return new Writer(96).ascii8('AIT/seal').ascii8(chainId).fixed(genesisHash, 32).finish();
}

function placeBytes({ attempt, direction, piece }: SealPlace): Uint8Array {
  return new Writer(37)
    .fixed(attempt, 32)
    .u8(direction === 'input' ? 1 : 2)
    .u32(piece)
    .finish();
}

async function proven<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new NodeError('BAD_PROOF', message, { cause });
  }
}

/** One after the other, in the order of the calls, whatever became of those before. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
}
