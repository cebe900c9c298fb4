/** Wallet files of a home: <home>/keystore/<name>.json, the folder 0700, the files 0600, never overwritten. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAddress, addressOf } from '../chain/address.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { createFile, ensurePrivateFolder } from '../store/files.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import type { Keystore } from '../wallet/keystore.ts';
import { checkWalletName, isWalletName, parseKeystore, publicKeyOfKeystore } from '../wallet/keystore.ts';

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
  let made: boolean;
  try {
    await ensurePrivateFolder(folder);
    made = await createFile(path, Buffer.from(`${JSON.stringify(keystore)}\n`));
  } catch (error) {
    throw storageError(error, 'write the wallet file', path);
  }
  if (!made) throw walletExists(name, path);
  return describe(name, path, keystore);
}

/** @throws NodeError KEY_EXISTS */
export async function requireFreeName(folder: string, name: string): Promise<void> {
  checkWalletName(name);
  const path = walletPath(folder, name);
  const found = await readFile(path).then(
    () => true,
    (error: unknown) => errorCode(error) !== 'ENOENT',
  );
  if (found) throw walletExists(name, path);
}

/** @throws NodeError NOT_FOUND | KEY_FILE */
export async function readWallet(folder: string, name: string): Promise<WalletFile> {
  checkWalletName(name);
  const path = walletPath(folder, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') {
      throw new NodeError('KEY_FILE', `cannot read ${path}`, { data: { path }, cause: error });
    }
    throw new NodeError('NOT_FOUND', `there is no wallet "${name}" in ${folder}`, {
      data: { name, folder },
      hint: `aitbc wallet list shows those there are; aitbc wallet create ${name} makes it`,
    });
  }
  return describe(name, path, await parseKeystore(text));
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

function walletPath(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

function describe(name: string, path: string, keystore: Keystore): WalletFile {
  const publicKey = publicKeyOfKeystore(keystore);
  return { name, path, keystore, publicKey, address: formatAddress(addressOf(nativeCrypto, publicKey)) };
}

function walletExists(name: string, path: string): NodeError {
  return new NodeError('KEY_EXISTS', `there is a wallet "${name}" already, and it is not overwritten`, {
    data: { name, path },
    hint: 'choose another name, or move its file away first',
  });
}
