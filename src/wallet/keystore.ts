/**
 * Wallet files: an Ed25519 seed under a password, in the form of EIP-2335 (version 4) with scrypt. `pubkey` is the
 * account's public key, `path` says how the seed was derived from words and is empty otherwise, `description` is the
 * wallet's name. A field of ours, `devnet_only`, marks keys that others may know. Where files lie is the caller's matter:
 * this part also runs in a browser.
 */
import type { IKeystore } from '@chainsafe/bls-keystore';
import type { Signer } from '../chain/crypto/types.ts';
import { createPureSigner, publicKeyOf } from '../chain/crypto/pure.ts';
import type { PublicKey } from '../bytes.ts';
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';

export interface Keystore extends IKeystore {
  /** Signs for development chains only. */
  readonly devnet_only?: true;
}

/** 128 MiB and 0.35 s a guess on the machine this was measured on; EIP-2335's own example is twice that. */
export const SCRYPT_N = 2 ** 17;
const SCRYPT_R = 8;
const SCRYPT_P = 1;
/** Files of others may cost up to this much: 512 MiB, and twice the time of that. */
const MAX_SCRYPT_N_R = 2 ** 19 * 8;
const MAX_SCRYPT_COST = 2 * MAX_SCRYPT_N_R;
const MAX_SCRYPT_R = 32;
const MAX_SCRYPT_P = 16;
const MAX_PBKDF2_ROUNDS = 10_000_000;
/** A file has some 600 bytes. */
export const MAX_KEYSTORE_CHARACTERS = 16 * 1024;

const MIN_PASSWORD_CHARACTERS = 8;

const NAME = /^[a-z0-9_-]{1,32}$/;

export interface KeystoreOptions {
  readonly name: string;
  /** 32 bytes; drawn when absent. */
  readonly seed?: Uint8Array;
  readonly password: string;
  /** How the seed was derived; empty when it was not. */
  readonly path?: string;
  readonly devnetOnly?: boolean;
  /** scrypt's N, a power of two; for tests. */
  readonly scryptN?: number;
}

/** @throws NodeError INVALID_PARAMS | KEY_FILE */
export async function createKeystore({
  name,
  seed = randomSeed(),
  password,
  path = '',
  devnetOnly = false,
  scryptN = SCRYPT_N,
}: KeystoreOptions): Promise<Keystore> {
  checkWalletName(name);
  checkPassword(password);
  const library = await loadLibrary();
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const kdf = {
    function: 'scrypt' as const,
    params: { dklen: 32, n: scryptN, r: SCRYPT_R, p: SCRYPT_P, salt: toHex(salt) },
  };
  const keystore = await library.create(password, seed, publicKeyOf(seed), path, name, kdf);
  return devnetOnly ? { ...keystore, devnet_only: true } : keystore;
}

/** The same under another name; needs no password. @throws NodeError INVALID_PARAMS */
export function renameKeystore(keystore: Keystore, name: string): Keystore {
  checkWalletName(name);
  return { ...keystore, description: name };
}

/** @throws NodeError KEY_FILE when it is no such file, WRONG_PASSWORD */
export async function openKeystore(keystore: Keystore, password: string): Promise<Uint8Array> {
  checkCost(keystore);
  const library = await loadLibrary();
  const seed = await library.decrypt(keystore, password).catch((error: unknown) => {
    if (!(error instanceof Error && error.message === 'Invalid password')) throw notKeystore('its cipher is malformed');
    throw new NodeError('WRONG_PASSWORD', 'the password does not open this wallet', {
      data: { name: keystore.description ?? '' },
      hint: 'try again; without it the words rebuild the wallet under another name: aitbc wallet import NAME',
    });
  });
  if (seed.length !== 32) throw notKeystore('what it holds is not a 32-byte seed');
  if (!equalBytes(publicKeyOf(seed), publicKeyOfKeystore(keystore))) {
    throw notKeystore('its public key does not belong to its secret key');
  }
  return seed;
}

/** @throws NodeError KEY_FILE | WRONG_PASSWORD */
export async function unlockSigner(keystore: Keystore, password: string): Promise<Signer> {
  return createPureSigner(await openKeystore(keystore, password));
}

/** Without the password. @throws NodeError KEY_FILE */
export async function parseKeystore(text: string): Promise<Keystore> {
  if (text.length > MAX_KEYSTORE_CHARACTERS) throw notKeystore('it is too large');
  const { isValidKeystore } = await loadLibrary();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notKeystore('it is not JSON');
  }
  if (!isRecord(value)) throw notKeystore('it is not a JSON object');
  const { pubkey } = value;
  // The library's schema knows the 48-byte keys of BLS only, so its check sees one; ours is checked here.
  const stand: unknown = { ...value, pubkey: '0'.repeat(96) };
  if (typeof pubkey !== 'string' || !isValidKeystore(stand)) throw notKeystore('fields are missing or of another kind');
  if (value['devnet_only'] !== undefined && value['devnet_only'] !== true) throw notKeystore('devnet_only is not true');
  const keystore: Keystore = { ...stand, pubkey };
  publicKeyOfKeystore(keystore);
  checkCost(keystore);
  return keystore;
}

/** @throws NodeError KEY_FILE */
export function publicKeyOfKeystore(keystore: Keystore): PublicKey {
  try {
    return fromHex(keystore.pubkey, 32);
  } catch {
    throw notKeystore('its public key is not 32 bytes in hex');
  }
}

export function isWalletName(name: string): boolean {
  return NAME.test(name);
}

/** @throws NodeError INVALID_PARAMS */
export function checkWalletName(name: string): void {
  if (isWalletName(name)) return;
  throw new NodeError('INVALID_PARAMS', 'a wallet name is 1 to 32 characters of a-z, 0-9, "_" and "-"', {
    data: { name: name.slice(0, 64) },
  });
}

/** @throws NodeError INVALID_PARAMS */
export function checkPassword(password: string): void {
  if (password.length >= MIN_PASSWORD_CHARACTERS) return;
  throw new NodeError('INVALID_PARAMS', `a password has at least ${MIN_PASSWORD_CHARACTERS} characters`);
}

/** A file that asks for more work than any honest one is refused before it is done. */
function checkCost({ crypto: { kdf } }: Keystore): void {
  if (kdf.function === 'scrypt') {
    const { n, r, p, dklen } = kdf.params;
    const isForm = n > 1 && (n & (n - 1)) === 0 && r > 0 && r <= MAX_SCRYPT_R && p > 0 && p <= MAX_SCRYPT_P;
    const isAffordable = n * r <= MAX_SCRYPT_N_R && n * r * p <= MAX_SCRYPT_COST;
    if (!isForm || !isAffordable || dklen !== 32) throw notKeystore('its scrypt parameters are out of range');
  } else if (!(kdf.params.c > 0 && kdf.params.c <= MAX_PBKDF2_ROUNDS && kdf.params.dklen === 32)) {
    throw notKeystore('its pbkdf2 parameters are out of range');
  }
}

function randomSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

/** Loaded on first use. It is CommonJS: what it exports is the default of an import. */
async function loadLibrary() {
  const loaded = await import('@chainsafe/bls-keystore');
  return loaded.default;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notKeystore(why: string): NodeError {
  return new NodeError('KEY_FILE', `this is not a wallet file: ${why}`, {
    hint: 'wallet files are EIP-2335 JSON of version 4, as `aitbc wallet create` makes them',
  });
}
