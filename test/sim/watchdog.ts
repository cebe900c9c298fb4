/** Ends the process when one run takes far too long: code that spins cannot be stopped from within its own thread. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

interface Shared {
  readonly buffer: SharedArrayBuffer;
  readonly limitMs: number;
}

export interface Watchdog {
  /** @param run any other number than the one before; 0 while nothing runs */
  watch(run: number): void;
}

/** A run that the machine gives no time may take so much longer by the clock than by what it computes. */
const WAIT_FACTOR = 10;

/** @param limitMs processor time a run may take */
export function startWatchdog(limitMs: number): Watchdog {
  const buffer = new SharedArrayBuffer(4);
  const current = new Int32Array(buffer);
  const worker = new Worker(new URL(import.meta.url), { workerData: { buffer, limitMs } satisfies Shared });
  worker.unref();
  return {
    watch: (run) => {
      Atomics.store(current, 0, run);
      Atomics.notify(current, 0);
    },
  };
}

if (!isMainThread && parentPort) {
  const { buffer, limitMs } = workerData as Shared;
  const current = new Int32Array(buffer);
  let watched = 0;
  let sinceMs = 0;
  let computedMs = 0;
  for (;;) {
    const run = Atomics.load(current, 0);
    if (run !== watched) [watched, sinceMs, computedMs] = [run, performance.now(), cpuMs()];
    if (Atomics.wait(current, 0, run, limitMs / WAIT_FACTOR) !== 'timed-out' || run === 0) continue;
    const isTooLong = cpuMs() - computedMs > limitMs || performance.now() - sinceMs > WAIT_FACTOR * limitMs;
    if (isTooLong) process.kill(process.pid, 'SIGKILL');
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
