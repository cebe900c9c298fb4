/** A job whose client waits for what it gives: the wait for a miner is bounded, and who goes cancels the job. */
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import { isEnded } from '../../compute/coordinator/coordinator.ts';
import type { Clock } from '../../clock.ts';
import { every } from '../../clock.ts';
import { toHex } from '../../bytes.ts';
import { isNodeError, NodeError, toNodeError } from '../../errors.ts';
import type { JobsApi } from '../api.ts';

export interface AnswerModules {
  readonly jobs: JobsApi;
  readonly clock: Clock;
  /** The client is gone. */
  readonly gone: AbortSignal;
}

/** How soon a client is told that waiting will not help. */
const LOOK_MS = 200;
const WAITS_FOR_MINER: ReadonlySet<string> = new Set(['submitted', 'queued', 'matched', 'funded']);

export class AwaitedJob {
  readonly id: Uint8Array;
  /** On the monotonic clock. */
  readonly startedAtMs: number;
  firstAtMs = 0;
  readonly #modules: AnswerModules;
  #iterator: AsyncIterator<Uint8Array>;
  #first: Promise<IteratorResult<Uint8Array>>;
  #isOver = false;

  private constructor(id: Uint8Array, modules: AnswerModules) {
    this.id = id;
    this.#modules = modules;
    this.startedAtMs = modules.clock.monotonic();
    this.#iterator = this.#output();
    this.#first = this.#iterator.next();
    this.#first.catch(() => undefined);
  }

  /**
   * Resolves with the first output, or at the end of a job without any.
   *
   * @throws NodeError why there is none; `data.should_retry` is false once a miner was given the job
   */
  static async begin({ id }: JobView, modules: AnswerModules): Promise<AwaitedJob> {
    const awaited = new AwaitedJob(id, modules);
    const cancel = (): void => {
      awaited.#cancel();
    };
    if (modules.gone.aborted) cancel();
    modules.gone.addEventListener('abort', cancel, { once: true });
    await awaited.#begun();
    awaited.firstAtMs = modules.clock.monotonic();
    return awaited;
  }

  /** Its state now; with everything, once the output has ended. */
  get job(): JobView {
    const job = this.#modules.jobs.coordinator.job(this.id);
    if (job) return job;
    throw new NodeError('INTERNAL', 'the coordinator lost a job');
  }

  /** Who stops reading them cancels the job. @throws NodeError as `begin` */
  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (let next = await this.#first; next.done !== true; next = await this.#iterator.next()) yield next.value;
      this.#checkCompleted();
      this.#isOver = true;
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.#cancel();
    }
  }

  /** All of it. An attempt that is lost is waited out, since nobody was given any of it. @throws NodeError as `begin` */
  async collect(): Promise<Uint8Array> {
    for (;;) {
      try {
        const pieces: Uint8Array[] = [];
        for (let next = await this.#first; next.done !== true; next = await this.#iterator.next())
          pieces.push(next.value);
        this.#checkCompleted();
        this.#isOver = true;
        return Buffer.concat(pieces);
      } catch (error) {
        if (!isLost(error) || !this.#goesOn || this.#modules.gone.aborted) {
          this.#cancel();
          throw this.#failure(error);
        }
        this.#iterator = this.#output();
        this.#first = this.#iterator.next();
      }
    }
  }

  #output(): AsyncIterator<Uint8Array> {
    const { jobs, gone } = this.#modules;
    return jobs.coordinator.output(this.id, 0, gone)[Symbol.asyncIterator]();
  }

  async #begun(): Promise<void> {
    const { jobs, clock } = this.#modules;
    const stops: (() => void)[] = [];
    const inVain = new Promise<'late' | 'dear'>((resolve) => {
      stops.push(
        clock.after(jobs.options.startMs, () => {
          resolve('late');
        }),
        every(clock, LOOK_MS, () => {
          if (this.#isTooDear()) resolve('dear');
        }),
      );
    });
    try {
      const first = await Promise.race([this.#first, inVain]);
      if (first !== 'late' && first !== 'dear') return;
      if (!WAITS_FOR_MINER.has(this.job.state)) {
        await this.#first;
        return;
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      for (const stop of stops) stop();
    }
    const reasons = jobs.coordinator.why(this.id);
    const isTooDear = this.#isTooDear();
    this.#cancel();
    throw isTooDear ? this.#tooDear(reasons?.reasons[0]?.message) : this.#noMiner(reasons?.summary);
  }

  /** All that miners said is that it costs more. Others may come, and who waits here is not served by that. */
  #isTooDear(): boolean {
    const { coordinator } = this.#modules.jobs;
    // Called by a timer, where a failure would be nobody's: a job that is gone is for who waits to tell.
    const job = coordinator.job(this.id);
    if (!job || job.attempt > 0 || !WAITS_FOR_MINER.has(job.state)) return false;
    const reasons = coordinator.why(this.id)?.reasons ?? [];
    return reasons.length > 0 && reasons.every(({ code }) => code === 'PRICE');
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { coordinator } = this.#modules.jobs;
    const job = coordinator.job(this.id);
    // What it cannot be told now it is told by nobody: its own limits end the job.
    if (job && !isEnded(job.state)) coordinator.cancel(this.id).catch(() => undefined);
  }

  get #goesOn(): boolean {
    const { state } = this.job;
    return !isEnded(state) || state === 'completed';
  }

  #checkCompleted(): void {
    const { state, fault } = this.job;
    if (state === 'completed') return;
    if (fault) throw new NodeError(fault.code, fault.message);
    throw new NodeError('CANCELED', 'the job was canceled');
  }

  #failure(thrown: unknown): NodeError {
    const error = toNodeError(thrown);
    const { attempt, state } = this.job;
    if (attempt === 0 && state === 'expired') {
      return this.#noMiner(this.#modules.jobs.coordinator.why(this.id)?.summary);
    }
    return new NodeError(error.code, error.message, {
      data: { ...error.data, job_id: toHex(this.id), ...(attempt > 0 && { should_retry: false }) },
      hint: error.hint ?? `GET /v1/jobs/${toHex(this.id)}/why tells more`,
      cause: error,
    });
  }

  #tooDear(message = 'it costs more than the maximum'): NodeError {
    return new NodeError('PRICE', `no miner does this for the price: ${message}`, {
      data: { job_id: toHex(this.id), max_price_uait: String(this.job.maxPriceUait) },
      hint: 'allow more with X-Aitbc-Max-Price, or ask for less output (max_tokens)',
    });
  }

  #noMiner(summary = 'no miner took the job'): NodeError {
    return new NodeError('NO_MINER', `no miner began in time: ${summary}`, {
      data: { job_id: toHex(this.id), waited_ms: this.#modules.jobs.options.startMs },
      hint: 'try again later, allow a higher price, or submit it to wait: POST /v1/jobs',
    });
  }
}

function isLost(error: unknown): boolean {
  return isNodeError(error) && error.code === 'LEASE_LOST';
}
