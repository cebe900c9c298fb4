/**
 * One process a data folder. The file LOCK names its owner by process id, start time and boot, so that a lock left by a
 * killed process is told from a live one, also after its id was given to another process. LevelDB holds a lock of the
 * kernel's on each database besides, which also keeps apart processes that cannot see each other's ids.
 */
import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createFile } from './files.ts';
import { errorCode } from './storage-error.ts';

export interface FolderLock {
  release(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process; null where the system does not tell. */
  readonly startTime: string | null;
  readonly bootId: string | null;
}

const MAX_ATTEMPTS = 8;

/** @throws NodeError DATA_LOCKED while the owner lives; what the file system throws otherwise */
export async function lockFolder(folder: string, log: Logger): Promise<FolderLock> {
  const path = join(folder, 'LOCK');
  const own = JSON.stringify(await ownerOf(process.pid));
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (await createFile(path, Buffer.from(own))) return { release: () => release(path, own) };
    const found = await readIfThere(path);
    if (found === undefined) continue;
    const owner = parseOwner(found);
    if (owner && (await isAlive(owner))) throw locked(folder, owner.pid);
    if (await removeStale(path, found, own)) {
      log.warn('took over the data folder from a process that is gone', { folder, pid: owner?.pid ?? null });
    }
  }
  throw locked(folder, null);
}

async function release(path: string, own: string): Promise<void> {
  if ((await readIfThere(path)) === own) await unlink(path);
}

/**
 * Removes the lock if it still is the one that was judged. Only one process at a time does so: two that judged the same
 * stale lock could otherwise remove each other's new one.
 */
async function removeStale(path: string, judged: string, own: string): Promise<boolean> {
  const turn = `${path}.takeover`;
  if (!(await createFile(turn, Buffer.from(own)))) {
    const owner = parseOwner((await readIfThere(turn)) ?? '');
    if (!owner || !(await isAlive(owner))) await removeIfThere(turn);
    return false;
  }
  try {
    return (await readIfThere(path)) === judged && (await removeIfThere(path));
  } finally {
    await removeIfThere(turn);
  }
}

async function removeIfThere(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function locked(folder: string, pid: number | null): NodeError {
  const by = pid === process.pid ? 'by this process' : `by process ${pid ?? 'unknown'}`;
  return new NodeError('DATA_LOCKED', `the data folder is in use ${by}`, {
    data: { folder, pid },
    hint: 'stop that node, or choose another folder with --home',
  });
}

async function ownerOf(pid: number): Promise<Owner> {
  const bootId = (await readIfThere('/proc/sys/kernel/random/boot_id'))?.trim() ?? null;
  return { pid, startTime: (await processStat(pid))?.startTime ?? null, bootId };
}

async function isAlive(owner: Owner): Promise<boolean> {
  const now = await ownerOf(owner.pid);
  if (owner.bootId !== null && now.bootId !== null && owner.bootId !== now.bootId) return false;
  if (!signalReaches(owner.pid)) return false;
  const stat = await processStat(owner.pid);
  if (!stat) return owner.startTime === null;
  return !stat.dead && (owner.startTime === null || owner.startTime === stat.startTime);
}

function signalReaches(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** proc(5): state is field 3, start time field 22; the name before them may hold spaces and brackets. */
async function processStat(pid: number): Promise<{ startTime: string; dead: boolean } | undefined> {
  const text = await readIfThere(`/proc/${pid}/stat`);
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state] = fields ?? [];
  const startTime = fields?.[19];
  if (state === undefined || startTime === undefined) return undefined;
  // A zombie: killed, but its parent has not taken note.
  return { startTime, dead: state === 'Z' || state === 'X' };
}

/** Undefined for what a power cut left: such a lock has no owner. */
function parseOwner(text: string): Owner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Owner> | null;
    if (!Number.isSafeInteger(value?.pid) || (value?.pid ?? 0) <= 0) return undefined;
    return { pid: value?.pid ?? 0, startTime: value?.startTime ?? null, bootId: value?.bootId ?? null };
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // A process that ends while its file is read gives ESRCH.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}
