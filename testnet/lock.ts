/** One writer of a cluster's files at a time, whichever terminal it runs in. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeError } from '../src/errors.ts';
import type { ProcessId } from './processes.ts';
import { isAlive, processId } from './processes.ts';

const RETRY_MS = 50;
const WAIT_MS = 90_000;

function self(): ProcessId {
  return processId(process.pid) ?? { pid: process.pid, started: '' };
}

/** @returns undefined when the file is missing or names a process that is gone */
export function liveOwner(path: string): ProcessId | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(path, 'utf8')) as ProcessId;
    const owner = { pid, started };
    return isAlive(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the file for this process; false when a live process holds it. */
function take(path: string): boolean {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(path, JSON.stringify(self()), { flag: 'wx', mode: 0o600 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (liveOwner(path)) return false;
      rmSync(path, { force: true });
    }
  }
  return false;
}

/** Runs `action` while no other launcher changes the cluster. @throws NodeError DATA_LOCKED after a long wait */
export async function withLock<T>(dataDir: string, action: () => Promise<T>): Promise<T> {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'lock.json');
  const deadline = performance.now() + WAIT_MS;
  while (!take(path)) {
    if (performance.now() > deadline) {
      throw new NodeError('DATA_LOCKED', `another command works on ${dataDir}`, {
        data: { pid: liveOwner(path)?.pid ?? null },
        hint: 'wait for it to end, or use another --data',
      });
    }
    await sleep(RETRY_MS);
  }
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

function launcherPath(dataDir: string): string {
  return join(dataDir, 'launcher.json');
}

/** The process whose end is the cluster's end, if the cluster has one. */
export function launcherOf(dataDir: string): ProcessId | undefined {
  return liveOwner(launcherPath(dataDir));
}

/** @throws NodeError DATA_LOCKED when another launcher owns the cluster */
export function becomeLauncher(dataDir: string): void {
  if (take(launcherPath(dataDir))) return;
  throw new NodeError('DATA_LOCKED', `the cluster in ${dataDir} runs in another terminal`, {
    data: { pid: launcherOf(dataDir)?.pid ?? null },
    hint: 'stop it there with Ctrl-C or here with --down, or use another --data',
  });
}

export function resignLauncher(dataDir: string): void {
  if (launcherOf(dataDir)?.pid === process.pid) rmSync(launcherPath(dataDir), { force: true });
}
