/**
 * Jobs that wait, by what they need: a class is looked at only while a miner of it is available, and within a class owners
 * take turns. Classes take turns too.
 */
import { FairQueue } from './fair-queue.ts';
import type { Job } from './job.ts';
import { classOf } from './miner-index.ts';

/** So many jobs that ended while they waited are passed over before they are taken out. */
const MAX_DEAD = 64;
const COST_BYTES = 64 * 1024;

export interface SchedulerOptions {
  readonly available: (classKey: string) => number;
  /** Whether another job may be matched now. */
  readonly hasRoom: () => boolean;
  /** At once holds what it counts on. */
  readonly launch: (job: Job) => void;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #classes = new Map<string, FairQueue<Job>>();
  readonly #ready = new Set<string>();
  #isPumping = false;
  #waiting = 0;
  #dead = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Ones that ended while they waited included. */
  get size(): number {
    return this.#waiting;
  }

  /** A job ended while it waited; nobody may ever come for its class. */
  onEnded(): void {
    this.#dead++;
    if (this.#dead <= MAX_DEAD || this.#dead * 2 < this.#waiting) return;
    this.#dead = 0;
    this.#waiting = 0;
    for (const [classKey, queue] of this.#classes) {
      queue.compact(isWaiting);
      this.#waiting += queue.size;
      if (queue.size === 0) this.#classes.delete(classKey);
    }
  }

  push(job: Job): void {
    const classKey = classOf(job.spec.kind, job.spec.model);
    const queue = this.#classes.get(classKey) ?? new FairQueue<Job>();
    this.#classes.set(classKey, queue);
    this.#waiting++;
    queue.push(job.row.owner, job, 1 + Math.floor((job.spec.inputBytes + job.spec.maxOutputBytes) / COST_BYTES));
    this.wake(classKey);
  }

  /** A miner of the class is available. */
  wake(classKey: string): void {
    if (this.#classes.has(classKey)) this.#ready.add(classKey);
  }

  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (const classKey of this.#ready) {
        if (!this.#options.hasRoom()) return;
        this.#ready.delete(classKey);
        const queue = this.#classes.get(classKey);
        if (!queue || this.#options.available(classKey) === 0) continue;
        const before = queue.size;
        const job = queue.shift(isWaiting);
        this.#waiting -= before - queue.size;
        if (!job) this.#classes.delete(classKey);
        else {
          // Behind the others, and for as long as there is anyone to take the next one.
          this.#ready.add(classKey);
          this.#options.launch(job);
        }
      }
    } finally {
      this.#isPumping = false;
    }
  }
}

function isWaiting(job: Job): boolean {
  return job.progress.state === 'queued';
}
