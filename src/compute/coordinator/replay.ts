/**
 * Doing the work of a receipt again, and what its outcome shows: the same result, a wrong one, or nothing. Only what gives the
 * same bytes everywhere can convict; what this machine cannot do again in the same way says nothing of the miner.
 */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { BlobRef } from '../../chain/market/blob.ts';
import type { ContentParam, ContentPart, JobPart } from '../../chain/market/content.ts';
import { contentHash, decodeContent } from '../../chain/market/content.ts';
import type { SignedJob } from '../../chain/market/job.ts';
import { jobId } from '../../chain/market/job.ts';
import type { SignedReceipt, WorkReceipt } from '../../chain/market/receipt.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError, toNodeError } from '../../errors.ts';

/** What was to be done, and what came of it. */
export interface PaidWork {
  readonly job: SignedJob;
  /** Encoded, with its salt. */
  readonly content: Uint8Array;
  readonly receipt: WorkReceipt;
}

/** A result that doing the work again contradicts: whoever has this can do it once more. */
export interface WrongResult extends Omit<PaidWork, 'receipt'> {
  readonly receipt: SignedReceipt;
  /** Of what came of it here. */
  readonly outputHash: Hash;
}

/** As a back end takes it; see `../executors/executor.ts`. */
export interface ReplayJob {
  readonly kind: string;
  readonly model: string;
  readonly params: readonly ContentParam[];
  readonly parts: readonly ContentPart[];
  readonly maxOutputBytes: number;
}

export interface Replayed {
  readonly output: Uint8Array;
  /** The same input gives the same bytes everywhere: another output is a wrong one. */
  readonly isDeterministic: boolean;
}

/** What can do work again here. */
export interface Replayer {
  /** Whether it has what answered, by its digest, and gives the same bytes everywhere. */
  covers(kind: string, model: string, digest: Hash | null): boolean;
  /**
   * @param digest of what answered
   * @throws NodeError NO_MODEL what answered is not here; BAD_JOB | EXECUTOR | CANCELED | … it came to nothing here
   */
  replay(job: ReplayJob, digest: Hash, signal: AbortSignal): Promise<Replayed>;
}

export type ReplayVerdict =
  | { readonly result: 'same'; readonly outputHash: Hash }
  /** The miner signed a result that the work does not have. */
  | { readonly result: 'different'; readonly outputHash: Hash }
  /** Nothing can be concluded. */
  | { readonly result: 'unknown'; readonly outputHash: Hash | null; readonly why: string };

/** @throws NodeError BAD_RECEIPT when the receipt is not about this job and this input */
function requireSameWork(hasher: Hasher, chain: ChainContext, { job, content, receipt }: PaidWork): void {
  if (!equalBytes(jobId(hasher, chain, job), receipt.job)) throw notItsWork('job');
  if (!equalBytes(contentHash(hasher, content), receipt.inputHash)) throw notItsWork('input');
  if (job.spec.kind !== receipt.kind) throw notItsWork('kind');
}

/** What a blob holds. @throws NodeError when it is not here, or not what its name says */
export type BlobReader = (ref: BlobRef) => Promise<Uint8Array>;

function noBlobs(): Promise<never> {
  return Promise.reject(new NodeError('NOT_FOUND', 'the blobs that its input names are not here'));
}

async function opened(part: JobPart, read: BlobReader): Promise<ContentPart> {
  if ('data' in part) return part;
  const { role, mediaType, blob } = part;
  return { role, mediaType, data: await read(blob) };
}

/** Does it again and compares. What fails here is `unknown`. @throws NodeError BAD_RECEIPT see `requireSameWork` */
export async function replayWork(
  hasher: Hasher,
  chain: ChainContext,
  work: PaidWork,
  replayer: Pick<Replayer, 'replay'>,
  signal: AbortSignal,
  read: BlobReader = noBlobs,
): Promise<ReplayVerdict> {
  requireSameWork(hasher, chain, work);
  const { job, receipt } = work;
  const { kind, model, modelDigest } = receipt;
  if (modelDigest === null) {
    return unknown('the miner named no digest of what answered: nobody can tell whether it is the same here');
  }
  const { params, parts } = decodeContent(work.content);
  try {
    const { maxOutputBytes } = job.spec;
    const whole = await Promise.all(parts.map((part) => opened(part, read)));
    const again = await replayer.replay({ kind, model, params, parts: whole, maxOutputBytes }, modelDigest, signal);
    return judge(hasher, receipt, again);
  } catch (error) {
    const { code, message } = toNodeError(error);
    return unknown(`it could not be done again here: ${message} (${code})`);
  }
}

/** An answer that was cut short is held against as much of the whole. */
function judge(hasher: Hasher, receipt: WorkReceipt, { output, isDeterministic }: Replayed): ReplayVerdict {
  const isCut = receipt.finish !== 'stop' && output.length > receipt.outputBytes;
  const outputHash = hasher.hash(isCut ? output.subarray(0, receipt.outputBytes) : output);
  if (equalBytes(outputHash, receipt.outputHash)) return { result: 'same', outputHash };
  if (isDeterministic) return { result: 'different', outputHash };
  const why = 'another output came, which shows nothing: this kind of work differs between processors and programs';
  return { result: 'unknown', outputHash, why };
}

function unknown(why: string): ReplayVerdict {
  return { result: 'unknown', outputHash: null, why };
}

function notItsWork(what: string): NodeError {
  return new NodeError('BAD_RECEIPT', `the receipt does not hold: it is about another ${what}`, {
    data: { check: what },
    hint: 'use the job and the input that belong to the receipt',
  });
}
