/**
 * Real Ed25519 keys and signatures for all that certificates and evidence hold; keyed hashes of the same size stand for
 * those of transactions, vouchers and statuses, at a tenth of the cost. What an own key signed is known to be good; all else is
 * verified, each once.
 */
import { hash } from 'node:crypto';
import { equalBytes } from '../../src/bytes.ts';
import type { BatchVerifier, Crypto, SignatureCheck, Signer } from '../../src/chain/crypto/types.ts';
import { NodeError } from '../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { seed } from '../util/chain-fixture.ts';

/** Entries of each memory of signatures; emptied when full, and by every run. */
const MAX_KNOWN = 200_000;

const LIGHT_KINDS = ['tx', 'status', 'voucher'].map((kind) =>
  Buffer.from(`${String.fromCharCode(kind.length + 4)}AIT/${kind}`),
);

const signers = new Map<string, Signer>();
const namesByKey = new Map<string, string>();
const verdicts = new Map<string, boolean>();
const signed = new Map<string, Uint8Array>();

function keyOf(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): string {
  return text(publicKey) + text(signature) + text(message);
}

/** One character a byte, as `bytesKey`, at a third of its cost. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function remember<T>(memory: Map<string, T>, key: string, value: T): T {
  if (memory.size >= MAX_KNOWN) memory.clear();
  memory.set(key, value);
  return value;
}

/** Forgets what earlier runs signed, which no later one says again. */
export function forgetSignatures(): void {
  verdicts.clear();
  signed.clear();
}

function isLight(message: Uint8Array): boolean {
  return LIGHT_KINDS.some((kind) => kind.compare(message, 0, kind.length) === 0);
}

function lightSignature(name: string, message: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha512', Buffer.concat([Buffer.from(`${name}/`), message]), 'buffer'));
}

/** The key of a name; the same one in every run. */
export function simSigner(name: string): Signer {
  const known = signers.get(name);
  if (known) return known;
  const native = createNativeSigner(seed(name));
  const { publicKey } = native;
  const signer: Signer = {
    publicKey,
    sign: (message) => {
      const key = `${name} ${text(message)}`;
      const signature =
        signed.get(key) ??
        remember(signed, key, isLight(message) ? lightSignature(name, message) : native.sign(message));
      remember(verdicts, keyOf(message, signature, publicKey), true);
      return signature;
    },
  };
  signers.set(name, signer);
  namesByKey.set(text(publicKey), name);
  return signer;
}

function verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  const key = keyOf(message, signature, publicKey);
  return verdicts.get(key) ?? remember(verdicts, key, isGood(message, signature, publicKey));
}

function isGood(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (!isLight(message)) return nativeCrypto.verify(message, signature, publicKey);
  const name = namesByKey.get(text(publicKey));
  return name !== undefined && equalBytes(lightSignature(name, message), signature);
}

export const simCrypto: Crypto = { ...nativeCrypto, verify };

export interface VerifierFaults {
  /** Virtual ms until an answer; 0 answers at once. */
  delayMs(): number;
  /** The pool refuses for want of room. */
  isFull(): boolean;
  after(ms: number, run: () => void): void;
}

/** Answers in the order asked, as the pool of threads does. */
export function simVerifier(faults: VerifierFaults): BatchVerifier {
  let last: Promise<void> = Promise.resolve();
  return {
    verifyBatch: async (checks: readonly SignatureCheck[]) => {
      if (faults.isFull()) throw new NodeError('POOL_FULL', 'too many signatures wait');
      const results = checks.map(({ message, signature, publicKey }) => verify(message, signature, publicKey));
      const ms = faults.delayMs();
      const before = last;
      if (ms > 0) {
        last = new Promise<void>((resolve) => {
          faults.after(ms, resolve);
        }).then(() => before);
      }
      await last;
      return results;
    },
  };
}
