/**
 * Runs jobs in processes of their own, each handed the next one as soon as it is free. A process that dies or does not
 * end costs the seed it was at and no other.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Job } from './job.ts';
import type { Outcome } from './simulation.ts';

/** Real time a run may take: some take seconds, and machines may be slow. */
export const LIMIT_MS = 90_000;
/** Much is made and soon forgotten: with more room for it fewer collections copy what lives. */
const V8_OPTIONS = ['--max-semi-space-size=32'];
const WORKER = join(import.meta.dirname, 'worker.ts');

/** A run as its process tells it. */
export interface Answer {
  readonly outcome: Outcome;
  /** Used by the process since its last answer. */
  readonly cpuMs: number;
}

export interface Result {
  readonly job: Job;
  /** Null when its process ended first. */
  readonly outcome: Outcome | null;
  /** What ended the process; empty with an outcome. */
  readonly failure: string;
}

export interface PoolOptions {
  readonly processes: number;
  /** Prints the trace as it grows, on stdout. */
  readonly verbose?: boolean;
  /** Real time a run may take. */
  readonly limitMs?: number;
  /** What a process runs. */
  readonly worker?: string;
}

interface Member {
  readonly child: ChildProcess;
  job: Job | null;
  deliver: ((result: Result) => void) | null;
  cancelLimit: () => void;
  isLate: boolean;
}

export class Pool {
  cpuMs = 0;
  readonly #options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #idle: Member[] = [];
  readonly #waiting: (() => void)[] = [];
  #ended = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Runs it in the next process that is free. */
  async run(job: Job): Promise<Result> {
    const member = await this.#take();
    if (!member) return { job, outcome: null, failure: 'interrupted' };
    return new Promise((resolve) => {
      member.job = job;
      member.deliver = resolve;
      const timer = setTimeout(() => {
        member.isLate = true;
        member.child.kill('SIGKILL');
      }, this.#options.limitMs ?? LIMIT_MS);
      member.cancelLimit = () => {
        clearTimeout(timer);
      };
      member.child.send({ job, verbose: this.#options.verbose === true });
    });
  }

  /**
   * All jobs, as many at once as there are processes; results come in the order of their end.
   *
   * @param onResult false from it hands out no more
   */
  async runAll(jobs: Iterable<Job>, onResult: (result: Result) => boolean): Promise<void> {
    const queue = jobs[Symbol.iterator]();
    let isOpen = true;
    const lane = async (): Promise<void> => {
      while (isOpen && !this.#ended) {
        const next = queue.next();
        if (next.done === true) return;
        const result = await this.run(next.value);
        if (!this.#ended && !onResult(result)) isOpen = false;
      }
    };
    await Promise.all(Array.from({ length: this.#options.processes }, lane));
  }

  /** Ends all processes, whatever they are at. */
  end(): void {
    this.#ended = true;
    for (const { child } of this.#members) child.kill('SIGKILL');
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #take(): Promise<Member | undefined> {
    while (!this.#ended) {
      const member = this.#idle.pop() ?? (this.#members.size < this.#options.processes ? this.#start() : undefined);
      if (member) return member;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return undefined;
  }

  #start(): Member {
    const child = fork(this.#options.worker ?? WORKER, {
      serialization: 'advanced',
      execArgv: V8_OPTIONS,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const member: Member = { child, job: null, deliver: null, cancelLimit: () => undefined, isLate: false };
    this.#members.add(member);
    child.on('message', (answer) => {
      const { outcome, cpuMs } = answer as Answer;
      this.cpuMs += cpuMs;
      this.#finish(member, outcome, '');
      this.#idle.push(member);
      this.#waiting.shift()?.();
    });
    child.on('error', () => undefined);
    child.on('exit', (code, signal) => {
      this.#members.delete(member);
      const why = member.isLate ? 'does not end: something spins or waits for what never comes' : 'its process ended';
      this.#finish(member, null, member.isLate ? why : `${why}: ${signal ?? `exit code ${code ?? 'unknown'}`}`);
      this.#waiting.shift()?.();
    });
    return member;
  }

  #finish(member: Member, outcome: Outcome | null, failure: string): void {
    const { job, deliver } = member;
    member.cancelLimit();
    member.job = null;
    member.deliver = null;
    if (job) deliver?.({ job, outcome, failure });
  }
}
