/**
 * Sealed blobs on a disk: <folder>/<root>/, with `list` (owner ascii8, then the list of leaves) and a file a leaf, named by
 * its number. Nothing in them is readable without the key, which is elsewhere.
 */
import type { Dirent } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hash } from '../bytes.ts';
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import { blobRoot, decodeLeafList, encodeLeafList, MAX_LEAF_LIST_BYTES } from '../chain/market/blob.ts';
import type { BlobBytes, StoredBlob } from '../compute/blobs/shelf.ts';
import { isNodeError } from '../errors.ts';
import { ensurePrivateFolder, readBytes, replaceFile } from './files.ts';
import { errorCode, storageError } from './storage-error.ts';

const LIST_FILE = 'list';
const MAX_OWNER = 128;

export function blobFiles(folder: string, hasher: Hasher): BlobBytes {
  const at = (root: Hash, name = ''): string => join(folder, toHex(root), name);
  return {
    load: () =>
      stored('read the blobs that are kept', folder, async () => {
        const found: StoredBlob[] = [];
        for (const entry of await entriesOf(folder)) {
          const path = join(folder, entry.name);
          const blob = entry.isDirectory() ? await readBlob(path, entry.name, hasher) : null;
          if (blob) found.push(blob);
          else await rm(path, { recursive: true, force: true });
        }
        return found;
      }),
    begin: (root, owner, list) =>
      stored('keep a blob', folder, async () => {
        await ensurePrivateFolder(at(root));
        const head = new Writer(MAX_LEAF_LIST_BYTES + MAX_OWNER + 1).ascii8(owner).raw(encodeLeafList(list));
        await replaceFile(at(root, LIST_FILE), head.finish());
      }),
    write: (root, leaf, bytes) => stored('keep a blob', folder, () => replaceFile(at(root, String(leaf)), bytes)),
    read: (root, leaf) =>
      stored('read a blob', folder, async () => {
        try {
          return await readBytes(at(root, String(leaf)));
        } catch (error) {
          if (errorCode(error) === 'ENOENT') return null;
          throw error;
        }
      }),
    remove: (root) => stored('remove a blob', folder, () => rm(at(root), { recursive: true, force: true })),
  };
}

async function readBlob(path: string, name: string, hasher: Hasher): Promise<StoredBlob | null> {
  try {
    const bytes = await readBytes(join(path, LIST_FILE));
    const reader = new Reader(bytes, 'kept blob');
    const owner = reader.ascii8(MAX_OWNER);
    const list = decodeLeafList(bytes.subarray(1 + owner.length));
    const root = fromHex(name);
    if (!equalBytes(root, blobRoot(hasher, list))) return null;
    const leaves: number[] = [];
    for (const { name: file } of await entriesOf(path)) {
      if (file === LIST_FILE) continue;
      const leaf = /^\d{1,3}$/.test(file) ? Number(file) : list.leaves.length;
      if (leaf < list.leaves.length) leaves.push(leaf);
      else await rm(join(path, file), { force: true });
    }
    return { root, owner, list, leaves };
  } catch (error) {
    if (isNodeError(error) || errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function stored<T>(what: string, folder: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (isNodeError(error)) throw error;
    throw storageError(error, what, folder);
  }
}
