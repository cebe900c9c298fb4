/** `aitbc node rotate-store-key`: another key for the encrypted databases of a home, whose values stay as they are. */
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadConfig } from '../config.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { chainFolderOf, openDataFolder } from '../store/data-folder.ts';
import { writeKeyFile } from '../store/key-file.ts';
import { rotateStoreKey } from '../store/meta.ts';
import { ROWS_SCHEMA } from '../store/rows.ts';
import { readStoreKey, storeKeySource } from '../store/store-key.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { readConfigText } from './context.ts';

/** Safe to run again after a crash: a database that has the new key already is left as it is. */
export async function rotateStoreKeyOf(context: Context, to: string): Promise<void> {
  const { home, out } = context;
  const { store } = loadConfig({ fileText: readConfigText(home) ?? '', env: process.env });
  const source = storeKeySource(store, context.layout().storeKey, process.env);
  const target = resolve(to);
  if (target === resolve(source.path)) {
    throw new NodeError('USAGE', 'the new key must lie in another file than the old one', {
      data: { path: target },
      hint: 'give another file with --to; once it is in use, it can take the place of the old one',
    });
  }
  const folder = await openDataFolder(home);
  try {
    const from = await readStoreKey(source);
    const into = await ensureKey(target);
    const rotated: string[] = [];
    for (const chainId of await chainsOf(home)) {
      const { dbFolder, market } = chainFolderOf(home, chainId);
      for (const side of Object.values(market)) {
        if (await hasDatabase(side)) await rotateStoreKey(side, from, into, ROWS_SCHEMA);
      }
      if (await rotateStoreKey(dbFolder, from, into)) rotated.push(chainId);
    }
    from.fill(0);
    into.fill(0);
    out.data(
      { chains: rotated, from: source.path, to: target },
      rotated.length === 0 ? 'No encrypted databases here.' : `Key changed: ${rotated.join(', ')}`,
    );
    if (rotated.length > 0) {
      out.note(
        `Next: set store.encryption_key_file = "${target}", or move that file over ${source.path}. Keep a copy of it ` +
          'elsewhere, and destroy the old key: copies of the databases made until now still open with it.',
      );
    }
  } finally {
    await folder.close();
  }
}

async function ensureKey(path: string): Promise<Uint8Array> {
  const key = crypto.getRandomValues(new Uint8Array(32));
  try {
    await writeKeyFile(path, key);
    return key;
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'KEY_EXISTS') throw error;
    return readStoreKey({ path, isCredential: false });
  }
}

/** Chains of a home that have a database. */
async function chainsOf(home: string): Promise<string[]> {
  const chains: string[] = [];
  try {
    for (const chainId of await readdir(join(home, 'chains'))) {
      if (await hasDatabase(chainFolderOf(home, chainId).dbFolder)) chains.push(chainId);
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw storageError(error, 'list the chains', home);
  }
  return chains;
}

async function hasDatabase(folder: string): Promise<boolean> {
  return (await readdir(folder).catch((): string[] => [])).includes('CURRENT');
}
