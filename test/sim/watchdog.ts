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

/** @param limitMs real time a run may take */
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
  for (;;) {
    const run = Atomics.load(current, 0);
    if (Atomics.wait(current, 0, run, limitMs) === 'timed-out' && run !== 0) process.kill(process.pid, 'SIGKILL');
  }
}
