/**
 * Ends the program when one seed takes far too long in real time: code that spins without ever waiting cannot be stopped
 * from within its own thread.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const LIMIT_MS = 60_000;

interface Shared {
  readonly buffer: SharedArrayBuffer;
  readonly hint: string;
}

export interface Watchdog {
  watch(seed: number): void;
  end(): Promise<void>;
}

/** @param hint how to replay a seed, its number left to be added */
export function startWatchdog(hint: string): Watchdog {
  const buffer = new SharedArrayBuffer(4);
  const current = new Int32Array(buffer);
  const worker = new Worker(new URL(import.meta.url), { workerData: { buffer, hint } satisfies Shared });
  worker.unref();
  return {
    watch: (seed) => {
      Atomics.store(current, 0, seed);
      Atomics.notify(current, 0);
    },
    end: async () => {
      await worker.terminate();
    },
  };
}

if (!isMainThread && parentPort) {
  const { buffer, hint } = workerData as Shared;
  const current = new Int32Array(buffer);
  for (;;) {
    const seed = Atomics.load(current, 0);
    if (Atomics.wait(current, 0, seed, LIMIT_MS) !== 'timed-out' || seed === 0) continue;
    console.error(`seed ${seed} does not end: something spins without waiting\nreplay: ${hint} --seed ${seed}`);
    process.kill(process.pid, 'SIGKILL');
  }
}
