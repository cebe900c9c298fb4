/** A job as its coordinator holds it, and what it shows of it. */
import type { Hash } from '../../bytes.ts';
import { bytesKey } from '../../bytes.ts';
import type { BlobRef } from '../../chain/market/blob.ts';
import { blobsOf, decodeContent } from '../../chain/market/content.ts';
import type { JobEvent, JobReasons, JobView } from './coordinator.ts';
import type { Deadline } from './deadlines.ts';
import { OutputLog, Signal } from './output-log.ts';
import type { JobProgress, JobStep } from './job-machine.ts';
import { isEnded, NEW_JOB } from './job-machine.ts';
import type { Candidate, Ranked } from './ranking.ts';
import { reasonsOf } from './ranking.ts';
import { Reasons } from './reasons.ts';
import type { JobRow, ProgressRow, ResultRow } from './rows.ts';

export interface ShownCandidate extends Candidate {
  /** Its address. */
  readonly miner: Uint8Array;
}

export class Job {
  readonly id: Hash;
  readonly key: string;
  readonly row: JobRow;
  /** Encoded; null once it has ended. */
  content: Uint8Array | null;
  /** Of the content as it was. */
  readonly contentBytes: number;
  /** Named by the content; those of a job that has ended are not known. */
  readonly blobs: readonly BlobRef[];
  /** Blobs are kept no longer for it. */
  letGo: () => void = () => undefined;
  progress: JobProgress = NEW_JOB;
  sequence = 0;
  endedAtMs: number | null = null;
  readonly reasons: Reasons;
  /** The best of the last match, and what was left of the maximum price then. */
  ranking: { readonly best: readonly Ranked<ShownCandidate>[]; readonly maxUait: number } = { best: [], maxUait: 0 };
  output = new OutputLog();
  isOutputDropped = false;
  readonly events: JobEvent[] = [];
  readonly changed = new Signal();
  /** Its state has changed. */
  onState: () => void = () => undefined;
  /** Its coordinator closed. */
  isClosed = false;
  readers = 0;
  /** Account key of the last attempt's miner, its address, and what it said that answers. */
  minerKey: string | null = null;
  miner: Uint8Array | null = null;
  answeredBy: string | null = null;
  agreement: Hash | null = null;
  result: ResultRow | null = null;
  receiptId: Hash | null = null;
  /** Of transactions that set money aside for it. */
  feesUait = 0;
  /** What vouchers of the attempt under way may cost. */
  exposureUait: () => number = () => 0;
  /** Asks the attempt under way to stop, or leaves it; nothing when there is none. */
  attempt: { stop(): void; abandon(): void } | null = null;
  /** Miners with which attempts at it came to nothing, and those that contradicted themselves in it. */
  readonly avoided = new Set<string>();
  readonly distrusted = new Set<string>();
  /** Turns of looking for a miner. */
  round = 0;
  /** Monotonic: since when it waits, and until when it may. */
  queuedMs = 0;
  queueUntilMs = 0;
  totalUntilMs = 0;
  deadline: Deadline | null = null;

  constructor(id: Hash, row: JobRow, content: Uint8Array | null, maxReasons: number) {
    this.id = id;
    this.key = bytesKey(id);
    this.row = row;
    this.content = content;
    this.contentBytes = content?.length ?? 0;
    const hasBlobs = content !== null && content.length < row.job.spec.inputBytes;
    this.blobs = hasBlobs ? blobsOf(decodeContent(content).parts) : [];
    this.reasons = new Reasons(maxReasons);
  }

  get spec(): JobRow['job']['spec'] {
    return this.row.job.spec;
  }

  get isEnded(): boolean {
    return isEnded(this.progress.state);
  }

  get leftUait(): number {
    return Math.max(0, this.spec.maxPriceUait - this.progress.spentUait);
  }

  /** Takes over a step of the machine. */
  take({ state, through }: JobStep, atMs: number, maxEvents: number): void {
    this.progress = state;
    for (const { state: name, reason } of through) {
      this.sequence++;
      this.events.push({ sequence: this.sequence, atMs, state: name, attempt: state.attempt, reason });
      if (reason) this.reasons.add(reason.code, reason.message);
    }
    if (this.events.length > maxEvents) this.events.splice(0, this.events.length - maxEvents);
    if (this.isEnded) this.endedAtMs ??= atMs;
    if (through.length === 0) return;
    this.changed.fire();
    this.onState();
  }

  progressRow(): ProgressRow {
    return { ...this.progress, endedAtMs: this.endedAtMs, feesUait: this.feesUait, sequence: this.sequence };
  }

  view(): JobView {
    const { spec } = this.row.job;
    const receipt = this.result?.receipt.receipt;
    return {
      id: this.id,
      kind: spec.kind,
      model: spec.model,
      owner: this.row.owner,
      state: this.progress.state,
      createdAtMs: spec.createdAtMs,
      expiresAtMs: spec.createdAtMs + spec.totalMs,
      endedAtMs: this.endedAtMs,
      attempt: this.progress.attempt,
      miner: this.miner,
      answeredBy: this.answeredBy,
      agreement: this.agreement,
      outputBytes: receipt?.outputBytes ?? this.output.length,
      spentUait: this.progress.spentUait + (this.isEnded ? 0 : this.exposureUait()),
      feesUait: this.feesUait,
      maxPriceUait: spec.maxPriceUait,
      fault: this.isEnded ? this.progress.fault : null,
      receiptId: this.receiptId,
      inputTokens: receipt?.inputTokens ?? null,
      outputTokens: receipt?.outputTokens ?? null,
      finish: receipt?.finish ?? null,
    };
  }

  why(offering: number): JobReasons {
    const reasons = this.reasons.list();
    const { best, maxUait } = this.ranking;
    const candidates = best.map((ranked) => ({
      miner: ranked.candidate.miner,
      score: ranked.score,
      why: reasonsOf(ranked, maxUait),
    }));
    return { state: this.progress.state, summary: this.#summary(offering), reasons, candidates };
  }

  #summary(offering: number): string {
    const { state, fault, attempt } = this.progress;
    switch (state) {
      case 'submitted':
      case 'queued': {
        const what = this.spec.model === '' ? this.spec.kind : `${this.spec.model} (${this.spec.kind})`;
        if (offering === 0) return `It waits for a miner that offers ${what}: there is none now.`;
        const first = this.reasons.list()[0];
        const why = first ? `; most often: ${first.message}` : '';
        return `It waits for one of ${offering} miners that offer ${what}${why}.`;
      }
      case 'matched':
        return 'A miner was chosen; money is set aside for it.';
      case 'funded':
        return 'Money is set aside; the work is about to be assigned.';
      case 'leased':
        return `Attempt ${attempt} was sent to a miner, which has not begun.`;
      case 'running':
        return `Attempt ${attempt} runs.`;
      case 'canceling':
        return 'The miner was told to stop; what it says last is awaited.';
      case 'delivered':
      case 'completed':
        return 'It is done, and its receipt in order.';
      case 'canceled':
      case 'failed':
      case 'expired':
        return `It is ${state}: ${fault?.message ?? 'no reason is known'}.`;
    }
  }
}
