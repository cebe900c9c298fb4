/** A verification thread as its pool sees it: the jobs that it holds, answered in order. */
import { Worker } from 'node:worker_threads';
import { packChecks } from './verify-message.ts';
import type { Job } from './verify-queue.ts';
import { jobChecks } from './verify-queue.ts';

/**
 * The thread's file has the extension of this one: `.ts` in a clone, `.js` in a package. Flags of the process are not
 * handed down, because some of them (`--input-type`, `--watch`) make no sense for a file.
 */
export function spawnVerifyWorker(): Worker {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  return new Worker(new URL(`./verify-worker${extension}`, import.meta.url), { name: 'verify', execArgv: [] });
}

export interface ThreadEvents {
  readonly answered: (thread: VerifyThread, job: Job, answers: Uint8Array) => void;
  /** Once. @param error what it threw; undefined when it ended without */
  readonly ended: (thread: VerifyThread, error: unknown) => void;
}

/** Keeps the process alive only while it has work. */
export class VerifyThread {
  /** Takes background batches alone, and is ended when there are none for a while. */
  readonly isSpare: boolean;
  readonly #worker: Worker;
  readonly #jobs: Job[] = [];

  constructor(worker: Worker, isSpare: boolean, events: ThreadEvents) {
    this.#worker = worker;
    this.isSpare = isSpare;
    let isOver = false;
    worker.on('message', (answers: Uint8Array) => {
      // Its jobs were taken back.
      if (isOver) return;
      const job = this.#jobs.shift();
      if (this.#jobs.length === 0) worker.unref();
      if (job) events.answered(this, job, answers);
    });
    // `error` comes first when the thread threw, `exit` always.
    const over = (error?: unknown): void => {
      if (isOver) return;
      isOver = true;
      events.ended(this, error);
    };
    worker.once('error', over);
    worker.once('exit', () => {
      over();
    });
    worker.unref();
  }

  /** Sent and not answered. */
  get jobs(): readonly Job[] {
    return this.#jobs;
  }

  send(job: Job): void {
    const packed = packChecks(jobChecks(job));
    if (this.#jobs.push(job) === 1) this.#worker.ref();
    this.#worker.postMessage(packed, [packed.buffer]);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
