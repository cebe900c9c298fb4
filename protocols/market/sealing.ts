/**
 * Sealing of what travels over work streams: HPKE (RFC 9180) in auth mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
 * AES-256-GCM. One context seals one direction of one stream, in its order; README.md is normative.
 */
import type { RecipientContext, SenderContext } from '@hpke/core';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { Writer } from '../../src/chain/codec.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { NodeError } from '../../src/errors.ts';

export interface SealKeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
}

/** One direction of one stream. */
export interface Seal {
  /** 32 bytes, for the hello. */
  readonly encapsulation: Uint8Array;
  /**
   * The bytes and 16 more. Calls count: they are opened in the order in which they were made.
   *
   * @param bound what it is good for only: it opens with the same bytes alone
   */
  seal(bytes: Uint8Array, bound: Uint8Array): Promise<Uint8Array>;
}

export interface Opener {
  /** In the order in which they were sealed. @throws NodeError BAD_PROOF, after which nothing opens any more */
  open(sealed: Uint8Array, bound: Uint8Array): Promise<Uint8Array>;
}

export interface SealTo {
  readonly chain: ChainContext;
  /** Of who seals: what does not come from it does not open. */
  readonly keys: SealKeyPair;
  /** Public key of who opens. */
  readonly recipientKey: Uint8Array;
  /** For vectors, which need the same bytes each time; otherwise it is made anew. */
  readonly ephemeralSecret?: Uint8Array;
}

export interface OpenFrom {
  readonly chain: ChainContext;
  readonly keys: SealKeyPair;
  /** Public key of who seals. */
  readonly senderKey: Uint8Array;
  /** From the other side's hello. */
  readonly encapsulation: Uint8Array;
}

/** What seals, as a part that a test replaces by one that it can look into. */
export interface Sealing {
  /** The pair that a secret of 32 bytes stands for, by DeriveKeyPair of RFC 9180. */
  deriveSealKeys(secret: Uint8Array): Promise<SealKeyPair>;
  /** @throws NodeError BAD_PROOF when the key is none that can be sealed to */
  createSeal(to: SealTo): Promise<Seal>;
  /** @throws NodeError BAD_PROOF when key or encapsulation are none */
  createOpener(from: OpenFrom): Promise<Opener>;
}

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** By WebCrypto, which browsers and Node have. */
export const hpke: Sealing = {
  deriveSealKeys: async (secret) => {
    const { publicKey, privateKey } = await suite.kem.deriveKeyPair(secret.slice());
    return {
      publicKey: new Uint8Array(await suite.kem.serializePublicKey(publicKey)),
      privateKey: new Uint8Array(await suite.kem.serializePrivateKey(privateKey)),
    };
  },
  createSeal: async ({ chain, keys, recipientKey, ephemeralSecret }) => {
    const context = await proven('not keys to seal with', async () =>
      suite.createSenderContext({
        recipientPublicKey: await suite.kem.deserializePublicKey(recipientKey.slice()),
        senderKey: await importPair(keys),
        info: sealingInfo(chain),
        ...(ephemeralSecret && { ekm: ephemeralSecret.slice() }),
      }),
    );
    return sealOf(context);
  },
  createOpener: async ({ chain, keys, senderKey, encapsulation }) => {
    const context = await proven('not an encapsulation for these keys', async () =>
      suite.createRecipientContext({
        recipientKey: await importPair(keys),
        senderPublicKey: await suite.kem.deserializePublicKey(senderKey.slice()),
        enc: encapsulation.slice(),
        info: sealingInfo(chain),
      }),
    );
    return openerOf(context);
  },
};

/** What the contexts of both directions are for. */
export function sealingInfo({ chainId, genesisHash }: ChainContext): Uint8Array {
  return new Writer(96).ascii8('AIT/work').ascii8(chainId).fixed(genesisHash, 32).finish();
}

async function importPair({ publicKey, privateKey }: SealKeyPair): Promise<CryptoKeyPair> {
  return {
    publicKey: await suite.kem.deserializePublicKey(publicKey.slice()),
    privateKey: await suite.kem.deserializePrivateKey(privateKey.slice()),
  };
}

function sealOf(context: SenderContext): Seal {
  const inOrder = createQueue();
  return {
    encapsulation: new Uint8Array(context.enc),
    seal: (bytes, bound) => inOrder(async () => new Uint8Array(await context.seal(bytes, bound))),
  };
}

function openerOf(context: RecipientContext): Opener {
  const inOrder = createQueue();
  let isBroken = false;
  return {
    open: (sealed, bound) =>
      inOrder(() =>
        proven('sealed bytes do not open: they were forged, changed, moved or left out on the way', async () => {
          if (isBroken) throw new NodeError('BAD_PROOF', 'an earlier record did not open');
          isBroken = true;
          const bytes = new Uint8Array(await context.open(sealed, bound));
          isBroken = false;
          return bytes;
        }),
      ),
  };
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
