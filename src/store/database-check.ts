/**
 * Checks LevelDB's files before it opens them. LevelDB itself verifies no checksum of a table, drops a damaged record of
 * its log in silence, and makes an empty database where the file CURRENT is missing.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { corruptDatabase } from './db.ts';
import type { LiveFiles } from './leveldb-format.ts';
import { checkTable, FormatFault, liveFiles, readLog } from './leveldb-format.ts';
import { errorCode, storageError } from './storage-error.ts';

/** `lost`: LevelDB will drop a record out of the middle of its log, and go on behind it. */
export type FilesFound = 'none' | 'whole' | 'lost';

/** Reads every live file once. @throws NodeError CORRUPT naming the file | STORAGE */
export async function checkDatabaseFiles(folder: string): Promise<FilesFound> {
  const names = await namesIn(folder);
  if (!names.includes('CURRENT')) {
    if (!names.some((name) => /\.(ldb|sst|log)$|^MANIFEST-/.test(name))) return 'none';
    throw corruptDatabase(folder, 'its file CURRENT is missing');
  }
  const { tables, logNumber } = await readManifest(folder);
  for (const [number, size] of tables) {
    const name = [`${sixDigits(number)}.ldb`, `${sixDigits(number)}.sst`].find((known) => names.includes(known));
    if (!name) throw corruptDatabase(folder, `table ${number} is missing`);
    const file = await read(folder, name);
    if (file.length !== size) throw corruptDatabase(folder, `${name} has ${file.length} of ${size} bytes`);
    format(folder, name, () => {
      checkTable(file);
    });
  }
  if (logNumber > 0 && !names.includes(`${sixDigits(logNumber)}.log`)) {
    throw corruptDatabase(folder, `log ${logNumber} is missing`);
  }
  let found: FilesFound = 'whole';
  for (const name of names) {
    if (!name.endsWith('.log') || Number(name.slice(0, -4)) < logNumber) continue;
    // What is not whole at the end was being written, and nobody was told that it is there.
    if (readLog(await read(folder, name)).fault === 'hole') found = 'lost';
  }
  return found;
}

async function readManifest(folder: string): Promise<LiveFiles> {
  const current = Buffer.from(await read(folder, 'CURRENT')).toString('latin1');
  if (!/^MANIFEST-\d{6,}\n$/.test(current)) throw corruptDatabase(folder, 'its file CURRENT names no manifest');
  const name = current.trim();
  const { records, fault } = readLog(await read(folder, name));
  if (fault === 'hole' || records.length === 0) throw corruptDatabase(folder, `${name} is damaged`);
  return format(folder, name, () => liveFiles(records));
}

function format<T>(folder: string, name: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof FormatFault)) throw error;
    throw corruptDatabase(folder, `${name}: ${error.message}`, error);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw storageError(error, 'read the database', folder);
  }
}

async function read(folder: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(join(folder, name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw corruptDatabase(folder, `its file ${name} is missing`);
    throw storageError(error, 'read the database', join(folder, name));
  }
}

function sixDigits(number: number): string {
  return String(number).padStart(6, '0');
}
