/**
 * Signature verification on worker threads. Large batches are cut and small ones joined into jobs; urgent batches are
 * sent first, and there is one more thread while many wait in the background; a thread that dies is replaced and its jobs are
 * tried once more.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { BatchVerifier, SignatureCheck, VerifyBatchOptions } from '../chain/crypto/types.ts';
import { NodeError } from '../errors.ts';
import type { MetricsRegister } from '../metrics.ts';
import { nopRegister } from '../metrics.ts';
import { nativeVerifier } from './verifier.ts';
import type { Batch, Job } from './verify-queue.ts';
import { BatchLane, createBatch, FairLanes } from './verify-queue.ts';
import { spawnVerifyWorker, VerifyThread } from './verify-thread.ts';

/** Jobs a thread holds at once: one in work, one to go on with while the calling thread is busy. */
const JOBS_PER_WORKER = 2;
const MAX_ATTEMPTS = 2;
/**
 * Checks in a job of the spare thread. Who waits for those is busy executing earlier blocks for tens of milliseconds at a
 * time, in which small jobs would run out; and nothing urgent ever waits behind them.
 */
const SPARE_JOB_CHECKS = 256;
/** From so many waiting on, a spare thread is worth its start. */
const SPARE_FROM_CHECKS = 512;
/** Without background batches for so long it ends. */
const SPARE_IDLE_MS = 5_000;
/** Least time between two batches that an idle pool verifies on the calling thread: a stream of them is a load. */
const INLINE_PAUSE_MS = 1;

export interface VerifyPoolOptions {
  /** Threads; by default two where two more cores are left for the rest of the node, else one. */
  readonly workers?: number;
  /**
   * Bounds of what waits or is in work for one chain; urgent batches, those in the background and others count apart, so that
   * none can shut out another.
   */
  readonly maxPendingChecks?: number;
  readonly maxPendingBytes?: number;
  /** Checks a job. 64 are 3.5 ms of work, and larger jobs are not measurably cheaper. */
  readonly jobChecks?: number;
  /**
   * Largest urgent batch that is verified at once on the calling thread. Measured for 4 checks: 0.22 ms in line, 0.28 ms
   * through an idle thread, and 4 ms (p50) through one that has transactions to verify.
   */
  readonly inlineUrgentChecks?: number;
  /**
   * The same for other batches, when nothing of their chain waits and none was in line within the last millisecond. Handing
   * a batch to a thread costs the calling thread 45 µs and one check 55 µs, so that from two checks on the thread is cheaper;
   * and on a quiet chain one waited up to 130 ms for a thread that had another chain's to verify.
   */
  readonly inlineIdleChecks?: number;
  /** Without background batches for so long, the thread that was started for them ends. */
  readonly spareIdleMs?: number;
  readonly metrics?: MetricsRegister;
  /** Starts a thread; tests bring threads that die. */
  readonly spawn?: () => Worker;
}

export interface VerifyPool extends BatchVerifier {
  /** For one chain: bounds of its own, and its turn among the others. */
  share(chain: string): BatchVerifier;
  /** Checks waiting or in work. */
  readonly pendingChecks: number;
  /** Refuses new batches, answers those it has, then ends its threads. Safe to call again. */
  close(): Promise<void>;
}

/**
 * Starts the threads at once, and one more for as long as there is much to verify in the background. They keep the process
 * alive only while they have work.
 */
export function createVerifyPool(options: VerifyPoolOptions = {}): VerifyPool {
  return new WorkerPool(options);
}

function registerMetrics(register: MetricsRegister) {
  return {
    pendingChecks: register.gauge({
      name: 'aitbc_verify_pending_checks',
      help: 'Signatures that wait for a verification thread or are in one',
      labelNames: ['chain'],
    }),
    checks: register.counter({
      name: 'aitbc_verify_checks_total',
      help: 'Signatures verified, by thread: worker or inline',
      labelNames: ['thread'],
    }),
    refused: register.counter({
      name: 'aitbc_verify_refused_batches_total',
      help: 'Batches refused because too many signatures waited',
      labelNames: ['chain'],
    }),
    deaths: register.counter({
      name: 'aitbc_verify_worker_deaths_total',
      help: 'Verification threads that ended unasked',
    }),
  };
}

class WorkerPool implements VerifyPool {
  readonly #size: number;
  readonly #jobChecks: number;
  readonly #inlineUrgent: number;
  readonly #inlineIdle: number;
  readonly #metrics: ReturnType<typeof registerMetrics>;
  readonly #spawn: () => Worker;
  readonly #urgent: FairLanes;
  readonly #bulk: FairLanes;
  readonly #background: FairLanes;
  readonly #spareIdleMs: number;
  #threads: VerifyThread[] = [];
  #retries: Job[] = [];
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  #lastInlineMs = -Infinity;
  /** Whose turn it is on a thread that takes both. */
  #isBackgroundNext = false;
  #spareTimer: NodeJS.Timeout | undefined;

  constructor(options: VerifyPoolOptions) {
    const maxChecks = options.maxPendingChecks ?? 50_000;
    const maxBytes = options.maxPendingBytes ?? 64 * 1024 * 1024;
    this.#size = Math.max(1, options.workers ?? Math.min(2, availableParallelism() - 2));
    this.#jobChecks = options.jobChecks ?? 64;
    this.#inlineUrgent = options.inlineUrgentChecks ?? 4;
    this.#inlineIdle = options.inlineIdleChecks ?? 1;
    this.#metrics = registerMetrics(options.metrics ?? nopRegister);
    this.#spawn = options.spawn ?? spawnVerifyWorker;
    this.#urgent = new FairLanes(() => new BatchLane(maxChecks, maxBytes));
    this.#bulk = new FairLanes(() => new BatchLane(maxChecks, maxBytes));
    this.#background = new FairLanes(() => new BatchLane(maxChecks, maxBytes));
    this.#spareIdleMs = options.spareIdleMs ?? SPARE_IDLE_MS;
    this.#fillThreads();
  }

  get pendingChecks(): number {
    return this.#urgent.pendingChecks + this.#bulk.pendingChecks + this.#background.pendingChecks;
  }

  verifyBatch(checks: readonly SignatureCheck[], options: VerifyBatchOptions = {}): Promise<boolean[]> {
    return this.#verify('', checks, options);
  }

  share(chain: string): BatchVerifier {
    return { verifyBatch: (checks, options = {}) => this.#verify(chain, checks, options) };
  }

  #verify(chain: string, checks: readonly SignatureCheck[], options: VerifyBatchOptions): Promise<boolean[]> {
    if (this.#closing) return Promise.reject(new NodeError('INTERNAL', 'the signature verifier is closed'));
    const urgent = options.urgent === true;
    if (checks.length === 0 || this.#goesInline(chain, checks.length, urgent)) return this.#verifyInline(checks);
    return new Promise((resolve, reject) => {
      const lanes = urgent ? this.#urgent : options.background === true ? this.#background : this.#bulk;
      const lane = lanes.of(chain);
      const batch = createBatch(checks, (error) => {
        lane.release(batch);
        this.#showPending(chain);
        if (error === undefined) resolve(batch.results);
        else reject(error);
      });
      if (!lane.push(batch)) {
        this.#metrics.refused.inc({ chain });
        reject(poolFull(lane.pendingChecks, checks.length));
        return;
      }
      this.#showPending(chain);
      this.#dispatch();
    });
  }

  #pendingOf(chain: string): number {
    return [this.#urgent, this.#bulk, this.#background].reduce((sum, lanes) => sum + lanes.of(chain).pendingChecks, 0);
  }

  #showPending(chain: string): void {
    this.#metrics.pendingChecks.set(this.#pendingOf(chain), { chain });
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    if (this.pendingChecks > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    const threads = this.#threads;
    this.#threads = [];
    clearTimeout(this.#spareTimer);
    await Promise.all(threads.map((thread) => thread.end()));
  }

  #goesInline(chain: string, count: number, urgent: boolean): boolean {
    if (urgent) return count <= this.#inlineUrgent;
    if (count > this.#inlineIdle || this.#pendingOf(chain) > 0) return false;
    const nowMs = performance.now();
    if (nowMs - this.#lastInlineMs < INLINE_PAUSE_MS) return false;
    this.#lastInlineMs = nowMs;
    return true;
  }

  #verifyInline(checks: readonly SignatureCheck[]): Promise<boolean[]> {
    this.#metrics.checks.inc({ thread: 'inline' }, checks.length);
    return Promise.resolve(
      checks.map(({ message, signature, publicKey }) => nativeVerifier.verify(message, signature, publicKey)),
    );
  }

  /** Sends jobs until every thread has enough of them or nothing waits. */
  #dispatch(): void {
    try {
      this.#fillThreads();
    } catch (error) {
      if (this.#threads.every(({ isSpare }) => isSpare)) this.#failAll(error);
    }
    while (this.#sendRound());
  }

  /** One job to each thread that has room for it, the least busy first. @returns whether there was any */
  #sendRound(): boolean {
    let isSent = false;
    for (const thread of this.#threads.toSorted((a, b) => a.jobs.length - b.jobs.length)) {
      if (thread.jobs.length >= JOBS_PER_WORKER) continue;
      const job = thread.isSpare ? this.#background.take(SPARE_JOB_CHECKS) : this.#nextJob(this.#jobChecks);
      if (!job) continue;
      thread.send(job);
      isSent = true;
    }
    return isSent;
  }

  #nextJob(maxChecks: number): Job | undefined {
    return this.#retries.shift() ?? this.#urgent.take(maxChecks) ?? this.#inTurn(maxChecks);
  }

  /** Neither can starve the other. */
  #inTurn(maxChecks: number): Job | undefined {
    const [first, second] = this.#isBackgroundNext ? [this.#background, this.#bulk] : [this.#bulk, this.#background];
    this.#isBackgroundNext = !this.#isBackgroundNext;
    return first.take(maxChecks) ?? second.take(maxChecks);
  }

  /** The system gives no thread at all: nobody shall wait for one. */
  #failAll(cause: unknown): void {
    for (let job = this.#nextJob(Infinity); job; job = this.#nextJob(Infinity)) {
      for (const { batch } of job.spans) this.#fail(batch, cause);
    }
  }

  /** @throws what the system throws when it gives no more threads */
  #fillThreads(): void {
    while (this.#threads.filter(({ isSpare }) => !isSpare).length < this.#size) this.#start(false);
    if (this.#background.pendingChecks >= SPARE_FROM_CHECKS && !this.#threads.some(({ isSpare }) => isSpare)) {
      this.#start(true);
    }
  }

  #start(isSpare: boolean): void {
    const thread = new VerifyThread(this.#spawn(), isSpare, {
      answered: (answering, job, answers) => {
        this.#answered(job, answers);
        if (answering.isSpare) this.#watch(answering);
      },
      ended: (ended, error) => {
        this.#died(ended, error);
      },
    });
    this.#threads.push(thread);
    // It may find that others took everything.
    if (isSpare) this.#watch(thread);
  }

  #answered({ spans }: Job, answers: Uint8Array): void {
    let at = 0;
    for (const { batch, from, count } of spans) {
      for (let i = 0; i < count; i++) batch.results[from + i] = answers[at + i] === 1;
      at += count;
      this.#settleSpan(batch, count);
    }
    this.#metrics.checks.inc({ thread: 'worker' }, at);
    this.#dispatch();
    this.#signalDrained();
  }

  /** Ends the spare thread when nothing came for it in a while. */
  #watch(spare: VerifyThread): void {
    clearTimeout(this.#spareTimer);
    if (spare.jobs.length > 0) return;
    this.#spareTimer = setTimeout(() => {
      if (spare.jobs.length > 0) return;
      this.#threads = this.#threads.filter((other) => other !== spare);
      void spare.end();
    }, this.#spareIdleMs).unref();
  }

  /** Takes its jobs back. */
  #died(thread: VerifyThread, error: unknown): void {
    if (!this.#threads.includes(thread)) return;
    this.#threads = this.#threads.filter((other) => other !== thread);
    this.#metrics.deaths.inc();
    for (const job of thread.jobs) {
      if (job.attempt < MAX_ATTEMPTS) this.#retries.push({ ...job, attempt: job.attempt + 1 });
      else for (const { batch } of job.spans) this.#fail(batch, error);
    }
    // Without work none is started, so that a thread that cannot live is not started without end.
    if (this.pendingChecks > 0) this.#dispatch();
    this.#signalDrained();
  }

  #settleSpan(batch: Batch, count: number): void {
    batch.open -= count;
    if (batch.open === 0 && !batch.failed) batch.settle();
  }

  #fail(batch: Batch, cause: unknown): void {
    if (batch.failed) return;
    batch.failed = true;
    batch.settle(
      new NodeError('INTERNAL', 'no verification thread could check these signatures', {
        hint: 'look for the cause in the log; the batch may be offered again',
        cause,
      }),
    );
  }

  #signalDrained(): void {
    if (this.pendingChecks === 0) this.#drained?.();
  }
}

function poolFull(pendingChecks: number, asked: number): NodeError {
  return new NodeError(
    'POOL_FULL',
    `too many signatures wait for verification: ${pendingChecks}, ${asked} more asked`,
    {
      data: { pendingChecks, asked },
      hint: 'offer them again when fewer wait',
    },
  );
}
