/** Node, validator and store keys: 32 bytes in hex, in a file that only its owner reads. */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromHex, toHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { createFile, ensurePrivateFolder } from './files.ts';
import { errorCode, storageError } from './storage-error.ts';

const SEED_BYTES = 32;
const MAX_FILE_BYTES = 128;
const OPEN_TO_OTHERS = 0o077;
const GROUP_MAY_READ = 0o040;

export interface KeyFileRules {
  readonly groupMayRead?: boolean;
  /** What to do when there is no such file. */
  readonly hint?: string;
}

/** Never replaces a key: losing one loses a validator. @throws NodeError KEY_EXISTS | STORAGE */
export async function writeKeyFile(path: string, seed: Uint8Array): Promise<void> {
  if (seed.length !== SEED_BYTES) throw new NodeError('KEY_FILE', 'a key seed has 32 bytes', { data: { path } });
  let made: boolean;
  try {
    await ensurePrivateFolder(dirname(path));
    made = await createFile(path, Buffer.from(`${toHex(seed)}\n`, 'latin1'));
  } catch (error) {
    throw storageError(error, 'write the key file', path);
  }
  if (!made) {
    throw new NodeError('KEY_EXISTS', 'there is a key already, and it is not overwritten', {
      data: { path },
      hint: 'use that key, or move its file away first',
    });
  }
}

/** @throws NodeError KEY_FILE when it is missing, malformed or readable by others, STORAGE when the disk fails */
export async function readKeyFile(path: string, rules: KeyFileRules = {}): Promise<Uint8Array> {
  const { mode, text } = await readSmall(path, rules.hint);
  if ((mode & OPEN_TO_OTHERS & ~(rules.groupMayRead ? GROUP_MAY_READ : 0)) !== 0) {
    throw new NodeError('KEY_FILE', 'others may read this key', {
      data: { path, mode: (mode & 0o777).toString(8) },
      hint: `chmod 600 ${path}; make a new key if someone may have read this one`,
    });
  }
  const hex = text.trim();
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new NodeError('KEY_FILE', 'this is not a key file: 64 lower-case hex digits are expected', {
      data: { path },
      hint: 'restore it from your backup',
    });
  }
  return fromHex(hex, SEED_BYTES);
}

async function readSmall(
  path: string,
  hint = 'make it with `aitbc init`, or restore it from your backup',
): Promise<{ mode: number; text: string }> {
  try {
    const file = await open(path, 'r');
    try {
      const { mode } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0);
      return { mode, text: buffer.toString('latin1', 0, bytesRead) };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw storageError(error, 'read the key file', path);
    throw new NodeError('KEY_FILE', 'there is no such key file', {
      data: { path },
      hint,
    });
  }
}
