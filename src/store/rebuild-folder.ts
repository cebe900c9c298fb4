/**
 * A database that is made anew beside the old one, and takes its place in one step:
 *
 *     db.making    being written; worthless after a crash
 *     db.ready     whole; it takes the place of db, now or at the next start
 *     db.old       what db was; removed once the new one is in place
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './files.ts';
import { storageError } from './storage-error.ts';

export interface RebuildFolders {
  readonly making: string;
  readonly ready: string;
  readonly old: string;
}

export function rebuildFolders(dbFolder: string): RebuildFolders {
  return { making: `${dbFolder}.making`, ready: `${dbFolder}.ready`, old: `${dbFolder}.old` };
}

/** Puts the database that was made, whole and closed, in the place of the old one. @throws NodeError STORAGE */
export async function replaceDatabase(dbFolder: string): Promise<void> {
  const { making, ready } = rebuildFolders(dbFolder);
  try {
    await rename(making, ready);
    await syncFolder(dirname(dbFolder));
  } catch (error) {
    throw storageError(error, 'put the new database in place', dbFolder);
  }
  await settleDatabase(dbFolder);
}

/**
 * Ends what a crash interrupted; to be called before a database is opened, with the data folder locked.
 *
 * @throws NodeError STORAGE
 */
export async function settleDatabase(dbFolder: string): Promise<void> {
  const { making, ready, old } = rebuildFolders(dbFolder);
  try {
    await rm(making, { recursive: true, force: true });
    if (existsSync(ready)) {
      if (existsSync(dbFolder)) {
        await rm(old, { recursive: true, force: true });
        await rename(dbFolder, old);
      }
      await rename(ready, dbFolder);
      await syncFolder(dirname(dbFolder));
    }
    // Only with a database in place: should it be missing, the old one is all there is.
    if (existsSync(dbFolder)) await rm(old, { recursive: true, force: true });
  } catch (error) {
    throw storageError(error, 'put the new database in place', dbFolder);
  }
}
