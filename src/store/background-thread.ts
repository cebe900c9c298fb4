/**
 * LevelDB merges its table files on one thread of a process, of all databases. It is told to step back behind the threads
 * that agreement waits for, as far as verification does: validators hold the same blocks and merge at the same time, and where
 * four of them shared two cores, the 3 s that 64 MiB took made blocks late and had clients refused. No further: a merge that
 * never ends would in the end hold up writing.
 */
import { readdir, readFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';

/** Added to the priority of the process: more than for verification, because blocks wait for that. */
export const NICENESS = 10;
const LEAST_PRIORITY = 19;
const TASKS = '/proc/self/task';
/** Threads bear the name of the one that started them. */
const STARTED_BY = 'libuv-worker';

let calmed: Promise<void> | undefined;

/**
 * Once a process, when its first database is opened; elsewhere than on Linux nothing happens. A failure changes nothing but
 * how the machine's time is shared.
 *
 * @param open opens a database @param wake has its background thread begin
 */
export async function calmBackgroundThread(open: () => Promise<void>, wake: () => Promise<void>): Promise<void> {
  if (process.platform !== 'linux' || calmed) {
    await open();
    await calmed;
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  calmed = promise;
  try {
    const before = new Set(await threads());
    await open();
    await wake().catch(() => undefined);
    for (const thread of await threads()) if (!before.has(thread)) stepBack(thread);
  } catch (error) {
    calmed = undefined;
    throw error;
  } finally {
    resolve();
  }
}

/** Those of the kind in question. */
async function threads(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir(TASKS).catch(() => [])) {
    const startedBy = await readFile(`${TASKS}/${name}/comm`, 'utf8').catch(() => '');
    if (startedBy.trim() === STARTED_BY) found.push(Number(name));
  }
  return found;
}

function stepBack(thread: number): void {
  try {
    setPriority(thread, Math.min(LEAST_PRIORITY, getPriority(0) + NICENESS));
  } catch {
    // It may have ended, or the system may not allow it.
  }
}
