/** Processes by pid and start time: a pid alone may have passed to a stranger, and a stranger is never signalled. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** Opaque; differs between any two processes that had the same pid, reboots included. */
  readonly started: string;
}

/** Who has `pid` now; undefined when nobody has, or only a zombie that nobody has reaped. */
export function processId(pid: number): ProcessId | undefined {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(id: ProcessId): boolean {
  return processId(id.pid)?.started === id.started;
}

/** @returns false when the process is gone (nothing was signalled) */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Processes that a process has started and that still run. */
export function childrenOf(pid: number): number[] {
  const pids = process.platform === 'linux' ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : pidsByPs();
  return pids.map(Number).filter((child) => parentOf(child) === pid);
}

/** User and system time since the start, in ms; undefined when it is gone or the platform does not tell. */
export function cpuTimeMs(pid: number): number | undefined {
  const fields = statFields(pid);
  // utime and stime, in ticks of 10 ms: USER_HZ is 100 on every Linux that Node supports.
  return fields && (Number(fields[11]) + Number(fields[12])) * 10;
}

/** User and system time since the start by the name of the thread, in ms; empty where the platform does not tell. */
export function threadTimesMs(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const fields = fieldsOf(stat);
      times.set(name, (times.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) * 10);
    }
  } catch {
    // A thread that ended meanwhile is left out, a process that did has none.
  }
  return times;
}

/** Resident memory in bytes; undefined when it is gone or the platform does not tell. */
export function residentBytes(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

let bootId: string | undefined;

function startedOnLinux(pid: number): string | undefined {
  const fields = statFields(pid);
  if (!fields || fields[0] === 'X' || (fields[0] === 'Z' && !hasThreads(pid))) return undefined;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${bootId}/${fields[19] ?? ''}`;
}

/**
 * A killed process is shown as a zombie as soon as its first thread is gone; its files and ports are free only when the
 * others are gone too.
 */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

/** /proc/PID/stat from the state (proc(5), field 3) on; the name before it may hold spaces and parentheses. */
function statFields(pid: number): string[] | undefined {
  try {
    return fieldsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function startedByPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number | undefined {
  const parent = process.platform === 'linux' ? statFields(pid)?.[1] : psField(pid, 'ppid=');
  return parent === undefined ? undefined : Number(parent);
}

function pidsByPs(): string[] {
  return execFileSync('ps', ['-A', '-o', 'pid='], { encoding: 'utf8' }).trim().split(/\s+/);
}

function psField(pid: number, field: string): string | undefined {
  try {
    return execFileSync('ps', ['-o', field, '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
