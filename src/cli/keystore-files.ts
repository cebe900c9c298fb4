/**
 * Wallet files of a home: <home>/keystore/<name>.json, or those of --wallet-dir; the folder 0700, the files 0600, never
 * overwritten by another wallet. `default` beside them holds the name of the wallet that signs when none is given.
 */
import { readdir, unlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress, addressOf } from '../chain/address.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { createFile, ensurePrivateFolder, replaceFile } from '../store/files.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import type { Keystore } from '../wallet/keystore.ts';
import {
  checkWalletName,
  isWalletName,
  MAX_KEYSTORE_CHARACTERS,
  parseKeystore,
  publicKeyOfKeystore,
  renameKeystore,
} from '../wallet/keystore.ts';
import { readSmallText } from './small-file.ts';

const DEFAULT_FILE = 'default';

export interface WalletFile {
  readonly name: string;
  readonly address: string;
  readonly publicKey: Uint8Array;
  readonly path: string;
  readonly keystore: Keystore;
}

/** @throws NodeError KEY_EXISTS | STORAGE */
export async function writeWallet(folder: string, name: string, keystore: Keystore): Promise<WalletFile> {
  checkWalletName(name);
  const path = walletPath(folder, name);
  await writeKeystoreFile(path, keystore, () => walletExists(name, path));
  return describeWallet(name, path, keystore);
}

/** Also outside of the folder. @throws NodeError STORAGE | what `exists` makes when there is such a file */
export async function writeKeystoreFile(path: string, keystore: Keystore, exists: () => NodeError): Promise<void> {
  let made: boolean;
  try {
    await ensurePrivateFolder(join(path, '..'));
    made = await createFile(path, bytesOf(keystore));
  } catch (error) {
    throw storageError(error, 'write the wallet file', path);
  }
  if (!made) throw exists();
}

/** The same key under another password. @throws NodeError STORAGE */
export async function replaceWallet(wallet: WalletFile, keystore: Keystore): Promise<void> {
  try {
    await replaceFile(wallet.path, bytesOf(keystore));
  } catch (error) {
    throw storageError(error, 'write the wallet file', wallet.path);
  }
}

/** A crash between the two steps leaves both names, never none. @throws NodeError NOT_FOUND | KEY_EXISTS | STORAGE */
export async function renameWallet(folder: string, from: string, to: string): Promise<WalletFile> {
  const wallet = await readWallet(folder, from);
  const isDefault = (await readDefault(folder)) === from;
  const renamed = await writeWallet(folder, to, renameKeystore(wallet.keystore, to));
  if (isDefault) await writeDefault(folder, to);
  await removeFile(wallet.path);
  return renamed;
}

/** @throws NodeError STORAGE */
export async function removeWallet(folder: string, wallet: WalletFile): Promise<void> {
  if ((await readDefault(folder)) === wallet.name) await removeFile(join(folder, DEFAULT_FILE));
  await removeFile(wallet.path);
}

/** @throws NodeError KEY_EXISTS | INVALID_PARAMS */
export function requireFreeName(folder: string, name: string): void {
  checkWalletName(name);
  const path = walletPath(folder, name);
  if (existsSync(path)) throw walletExists(name, path);
}

/** @throws NodeError NOT_FOUND | KEY_FILE */
export async function readWallet(folder: string, name: string): Promise<WalletFile> {
  checkWalletName(name);
  const path = walletPath(folder, name);
  if (!existsSync(path)) {
    throw new NodeError('NOT_FOUND', `there is no wallet "${name}" in ${folder}`, {
      data: { name, folder },
      hint: `aitbc wallet list shows those there are, aitbc wallet create ${name} makes it; an address begins with ait1`,
    });
  }
  return describeWallet(name, path, await readKeystoreFile(path));
}

/** @throws NodeError KEY_FILE naming the file and what to do */
async function readKeystoreFile(path: string): Promise<Keystore> {
  const text = await readSmallText(path, MAX_KEYSTORE_CHARACTERS, 'a wallet file');
  try {
    return await parseKeystore(text);
  } catch (error) {
    if (!isNodeError(error)) throw error;
    throw new NodeError('KEY_FILE', `${path} is damaged: ${error.message}`, {
      data: { path },
      hint: 'put your copy of the file in its place, or move it away and rebuild the wallet from its words: aitbc wallet import NAME',
      cause: error,
    });
  }
}

/** By name; a file that is none of ours stops nothing and is left out. */
export async function listWallets(
  folder: string,
  onSkipped: (path: string, why: string) => void,
): Promise<WalletFile[]> {
  const files = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw new NodeError('KEY_FILE', `cannot read ${folder}`, { data: { folder }, cause: error });
  });
  const wallets: WalletFile[] = [];
  for (const file of files.sort((a, b) => (a < b ? -1 : 1))) {
    const name = file.replace(/\.json$/, '');
    if (name === file || !isWalletName(name)) continue;
    try {
      wallets.push(await readWallet(folder, name));
    } catch (error) {
      onSkipped(walletPath(folder, name), error instanceof Error ? error.message : String(error));
    }
  }
  return wallets;
}

/** Name of the wallet that signs when none is given; null when none was chosen. @throws NodeError KEY_FILE */
export async function readDefault(folder: string): Promise<string | null> {
  const path = join(folder, DEFAULT_FILE);
  if (!existsSync(path)) return null;
  const name = (await readSmallText(path, 64, 'the name of a wallet')).trim();
  if (isWalletName(name)) return name;
  throw new NodeError('KEY_FILE', `${path} is not the name of a wallet`, {
    data: { path },
    hint: 'aitbc wallet use NAME writes it anew',
  });
}

/** @throws NodeError STORAGE */
export async function writeDefault(folder: string, name: string): Promise<void> {
  const path = join(folder, DEFAULT_FILE);
  try {
    await replaceFile(path, Buffer.from(`${name}\n`));
  } catch (error) {
    throw storageError(error, 'write the name of the default wallet', path);
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw storageError(error, 'remove', path);
  }
}

function bytesOf(keystore: Keystore): Uint8Array {
  return Buffer.from(`${JSON.stringify(keystore)}\n`);
}

function walletPath(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

function describeWallet(name: string, path: string, keystore: Keystore): WalletFile {
  const publicKey = publicKeyOfKeystore(keystore);
  return { name, path, keystore, publicKey, address: formatAddress(addressOf(nativeCrypto, publicKey)) };
}

function walletExists(name: string, path: string): NodeError {
  return new NodeError('KEY_EXISTS', `there is a wallet "${name}" already, and it is not overwritten`, {
    data: { name, path },
    hint: `choose another name, or first: aitbc wallet rename ${name} OTHER`,
  });
}
