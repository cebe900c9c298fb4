/** Jobs of one payer, as its doors see them: HTTP, CLI and SDK. */
import type { Hash } from '../../bytes.ts';
import type { ContentParam, JobPart } from '../../chain/market/content.ts';
import type { ListProof } from '../../chain/list-root.ts';
import type { SignedJob } from '../../chain/market/job.ts';
import type { SignedReceipt } from '../../chain/market/receipt.ts';
import type { ErrorCode } from '../../errors.ts';
import type { WrongResult } from './replay.ts';

export interface JobRequest {
  readonly kind: string;
  /** Empty: any. */
  readonly model: string;
  readonly params: readonly ContentParam[];
  /** Blobs among them are on the shelf, whole: see `../blobs/split.ts`. */
  readonly parts: readonly JobPart[];
  readonly maxOutputBytes: number;
  readonly maxPriceUait: number;
  readonly queueMs: number;
  readonly executionMs: number;
  readonly totalMs: number;
  /** Whose job it is within the payer: an API key's id; empty for the payer itself. */
  readonly owner: string;
  /** The same key with the same request is the same job; with another one it is CONFLICT. */
  readonly idempotencyKey: string | null;
  /** Open one agreement for this job and have it released, or keep one a miner for further jobs. */
  readonly agreement: 'single' | 'session';
}

/**
 * submitted → queued → matched → funded → leased → running → delivered → completed; failed, canceled and expired end it
 * too, canceling goes before canceled.
 */
export type JobState =
  | 'submitted'
  | 'queued'
  | 'matched'
  | 'funded'
  | 'leased'
  | 'running'
  | 'delivered'
  | 'completed'
  | 'canceling'
  | 'canceled'
  | 'failed'
  | 'expired';

/** What clients of the replaced system know. */
export type PlainJobState = 'QUEUED' | 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELED' | 'EXPIRED';

const PLAIN_STATES: Readonly<Record<JobState, PlainJobState>> = {
  submitted: 'QUEUED',
  queued: 'QUEUED',
  matched: 'QUEUED',
  funded: 'QUEUED',
  leased: 'RUNNING',
  running: 'RUNNING',
  delivered: 'RUNNING',
  completed: 'COMPLETED',
  canceling: 'RUNNING',
  canceled: 'CANCELED',
  failed: 'FAILED',
  expired: 'EXPIRED',
};

export function plainState(state: JobState): PlainJobState {
  return PLAIN_STATES[state];
}

export function isEnded(state: JobState): boolean {
  return state === 'completed' || state === 'canceled' || state === 'failed' || state === 'expired';
}

export interface JobFault {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface JobView {
  readonly id: Hash;
  readonly kind: string;
  /** As asked for. */
  readonly model: string;
  readonly owner: string;
  readonly state: JobState;
  readonly createdAtMs: number;
  /** From then on it is expired, unless it has ended: creation and `totalMs`. */
  readonly expiresAtMs: number;
  readonly endedAtMs: number | null;
  /** Last attempt; 0 before the first. */
  readonly attempt: number;
  /** Address of the last attempt's miner. */
  readonly miner: Uint8Array | null;
  /** What answered. */
  readonly answeredBy: string | null;
  readonly agreement: Hash | null;
  readonly outputBytes: number;
  /** Under all attempts, what vouchers may still cost included until they end. */
  readonly spentUait: number;
  /** Of transactions that set money aside for it, beside that: others may use what it opened. */
  readonly feesUait: number;
  readonly maxPriceUait: number;
  readonly fault: JobFault | null;
  /** Once acknowledged. */
  readonly receiptId: Hash | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly finish: 'stop' | 'length' | 'canceled' | null;
}

export interface JobEvent {
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly atMs: number;
  readonly state: JobState;
  readonly attempt: number;
  readonly reason: JobFault | null;
}

/** Why a job is where it is: what miners said, counted, most often first. */
export interface JobReasons {
  readonly state: JobState;
  /** One sentence: what it waits for, or why it ended. */
  readonly summary: string;
  readonly reasons: readonly {
    readonly code: ErrorCode;
    readonly count: number;
    readonly message: string;
    readonly hint: string;
  }[];
  /** Candidates of the last match, the best first. */
  readonly candidates: readonly {
    readonly miner: Uint8Array;
    readonly score: number;
    readonly why: readonly string[];
  }[];
}

export interface JobReceipt {
  readonly receipt: SignedReceipt;
  readonly id: Hash;
  /** The client's. */
  readonly acknowledgement: Uint8Array;
}

export interface Coordinator {
  /**
   * Persisted when it resolves. A request whose idempotency key is known resolves to the job there is.
   *
   * @throws NodeError TOO_LARGE | BAD_JOB | BUSY too many jobs open | CONFLICT | INSUFFICIENT_FUNDS
   */
  submit(request: JobRequest): Promise<JobView>;
  job(id: Hash): JobView | undefined;
  /** The job of an owner's idempotency key: by it a door knows after a restart what it had submitted. */
  find(owner: string, idempotencyKey: string): JobView | undefined;
  /** Newest first. */
  jobs(page: {
    readonly limit: number;
    readonly before: Hash | null;
    readonly owner: string | null;
  }): readonly JobView[];
  /** Resolves when the job has ended, however. @throws NodeError NOT_FOUND */
  cancel(id: Hash): Promise<JobView>;
  why(id: Hash): JobReasons | undefined;
  /**
   * Output from a byte on, as it comes; ends when the job has ended. When an attempt is lost, the next one's output goes on
   * where it begins with what was given already; else this fails with LEASE_LOST, while the job itself goes on.
   *
   * @throws NodeError with the job's fault, once it has failed
   */
  output(id: Hash, from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** From a sequence number on, those to come included; ends with the job. */
  events(id: Hash, from: number, signal: AbortSignal): AsyncIterable<JobEvent>;
  /** Called with a job as it is whenever its state has changed; must not throw. @returns ends it */
  onChange(listener: (job: JobView) => void): () => void;
  /** @param id of the job, or of the receipt */
  receipt(id: Hash): JobReceipt | undefined;
  /** A job as it was signed, and its input while the job is open: encoded, with its salt. */
  work(id: Hash): { readonly job: SignedJob; readonly content: Uint8Array | null } | undefined;
  /**
   * Where a receipt stands in the list whose root the miner brought to the chain.
   *
   * @param root the agreement's, on the chain
   * @returns null when that is of other receipts too, or of earlier ones alone
   */
  placeOf(receipt: JobReceipt, root: Hash): ListProof | null;
  /** What shows that the result of a job was wrong: found by doing its work again. @param id of the job */
  wrongResult(id: Hash): WrongResult | undefined;
  /** Stops; jobs go on with the next start. */
  close(): Promise<void>;
}
