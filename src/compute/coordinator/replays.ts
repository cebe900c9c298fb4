/**
 * Work that is done again by chance, to find out miners that give wrong results: one at a time, a bounded number waiting. The
 * miner cannot know which, for the choice is made when it has signed.
 */
import type { BlobRef } from '../../chain/market/blob.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { toNodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Deadlines } from './deadlines.ts';
import type { Inputs } from './inputs.ts';
import type { Job } from './job.ts';
import type { CoordinatorMetrics } from './metrics.ts';
import type { Replayer, ReplayVerdict, WrongResult } from './replay.ts';
import { replayWork } from './replay.ts';

/** Beyond what the miner was given: a machine that does other things beside it. */
const MARGIN_MS = 30_000;

export interface ReplayOptions {
  readonly replayer: Replayer;
  /** Of the jobs that can be done again here. */
  readonly sharePercent: number;
}

export interface ReplaysModules extends ReplayOptions {
  readonly chain: ChainContext;
  readonly hasher: Hasher;
  readonly inputs: Pick<Inputs, 'hold' | 'read'>;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Logger;
  readonly metrics: CoordinatorMetrics;
  readonly signal: AbortSignal;
  readonly deadlines: Deadlines;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly onWrong: (job: Job, wrong: WrongResult) => void;
}

interface Waiting {
  readonly job: Job;
  readonly work: Omit<WrongResult, 'outputHash'>;
  /** Blobs of it are kept no longer. */
  readonly letGo: () => void;
}

export class Replays {
  readonly #modules: ReplaysModules;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;

  constructor(modules: ReplaysModules) {
    this.#modules = modules;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** To be called while the job still holds its content. */
  consider(job: Job, receipt: WrongResult['receipt']): void {
    const { replayer, maxWaiting, maxWaitingBytes, metrics, signal } = this.#modules;
    const { kind, model, modelDigest } = receipt.receipt;
    const { content } = job;
    if (content === null || signal.aborted || !replayer.covers(kind, model, modelDigest) || !this.#isChosen()) return;
    if (this.#waiting.length >= maxWaiting || this.#waitingBytes + content.length > maxWaitingBytes) {
      metrics.replayed('skipped');
      return;
    }
    const letGo = this.#modules.inputs.hold(job.blobs);
    this.#waiting.push({ job, work: { job: job.row.job, content, receipt }, letGo });
    this.#waitingBytes += content.length;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is being done again. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #isChosen(): boolean {
    const { random, sharePercent } = this.#modules;
    const [high = 0, low = 0] = random(2);
    return (high * 256 + low) * 100 < sharePercent * 65_536;
  }

  async #run(): Promise<void> {
    const { chain, hasher, inputs, replayer, signal, log, metrics, onWrong, deadlines } = this.#modules;
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      const { job, work, letGo } = next;
      this.#waitingBytes -= work.content.length;
      if (signal.aborted) break;
      const late = new AbortController();
      const timeout = deadlines.after(job.spec.executionMs + MARGIN_MS, () => {
        late.abort();
      });
      const paid = { ...work, receipt: work.receipt.receipt };
      const read = (ref: BlobRef): Promise<Uint8Array> => inputs.read(ref);
      let verdict: ReplayVerdict;
      try {
        verdict = await replayWork(hasher, chain, paid, replayer, AbortSignal.any([signal, late.signal]), read);
      } catch (error) {
        log.warn('a job could not be done again', { code: toNodeError(error).code });
        continue;
      } finally {
        deadlines.drop(timeout);
        letGo();
      }
      if (signal.aborted) break;
      metrics.replayed(verdict.result);
      if (verdict.result === 'different') onWrong(job, { ...work, outputHash: verdict.outputHash });
    }
    this.#running = null;
  }
}
