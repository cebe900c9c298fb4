/** Small files that must survive a crash whole: written aside, synced, put in place in one step, and the folder synced. */
import type { FileHandle } from 'node:fs/promises';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errorCode } from './storage-error.ts';

/** Two writers of one process must not share a file. */
let asideCount = 0;

const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;

/** Makes the folder and those above it that lack, for this user alone; leaves the mode of existing ones as it is. */
export async function ensurePrivateFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  if (made === undefined) return;
  for (let at = resolve(folder); at.length >= resolve(made).length; at = dirname(at)) await syncFolder(dirname(at));
}

/** Puts a file in place of whatever is there. After a crash the old or the new one is there, whole. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const aside = await writeAside(path, bytes);
  await rename(aside, path);
  await syncFolder(dirname(path));
}

/** Puts a file where none is. @returns false, and changes nothing, when there is one */
export async function createFile(path: string, bytes: Uint8Array): Promise<boolean> {
  const aside = await writeAside(path, bytes);
  try {
    await link(aside, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(aside);
  }
  await syncFolder(dirname(path));
  return true;
}

/** Plain bytes: the methods of the Buffer that Node returns differ from those of a Uint8Array. */
export async function readBytes(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAside(path: string, bytes: Uint8Array): Promise<string> {
  const aside = `${path}.${process.pid}-${++asideCount}.tmp`;
  const file = await open(aside, 'w', PRIVATE_FILE);
  try {
    await writeAll(file, bytes, 0);
    await file.sync();
  } catch (error) {
    await unlink(aside);
    throw error;
  } finally {
    await file.close();
  }
  return aside;
}
