/**
 * One attempt at a job, as its miner sees it: from the assignment over input, output within credit, and its end, to the
 * client's acknowledgement. Pure: `step(state, input) -> { state, effects }`. Effects happen in their order: what is kept is
 * on the disk before what follows is sent.
 */
import type { Hash, Signature } from '../../bytes.ts';
import type { Hasher, Signer } from '../../chain/crypto/types.ts';
import type { SignedAssignment } from '../../chain/market/assignment.ts';
import { MAX_CONTENT_BYTES } from '../../chain/market/content.ts';
import type { SignedJob } from '../../chain/market/job.ts';
import type { Quote } from '../../chain/market/quote.ts';
import { dueUait, outputBytesWithin } from '../../chain/market/price.ts';
import type { Finish, SignedReceipt } from '../../chain/market/receipt.ts';
import { receiptId, signReceipt } from '../../chain/market/receipt.ts';
import type { SignedTick } from '../../chain/market/tick.ts';
import { nextLink, signTick } from '../../chain/market/tick.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { ErrorCode } from '../../errors.ts';
import type { MinerFrame } from '../../../protocols/market/work-frames.ts';
import { refusal } from './refusal.ts';
import type { Refusal } from './refusal.ts';
import { headWithin } from './split.ts';

/** What an attempt is bound to; none of it changes. */
export interface AttemptTerms {
  readonly id: Hash;
  readonly job: SignedJob;
  readonly assignment: SignedAssignment;
  /** The signed `agreement.open`. */
  readonly open: Uint8Array;
  readonly quote: Pick<Quote, 'kind' | 'model' | 'modelDigest' | 'price' | 'tickUait'>;
}

/** Why the work is being stopped. */
type Stopping =
  | { readonly why: 'client' | 'limit' }
  | { readonly why: 'failure'; readonly code: ErrorCode; readonly text: string };

/** input → running → ended → done; refused and failed end it too. */
export type AttemptPhase = 'input' | 'running' | 'ended' | 'done' | 'refused' | 'failed';

export interface AttemptState {
  readonly terms: AttemptTerms;
  readonly phase: AttemptPhase;
  /** What may be due of it: vouchers less base, at most the assignment's maximum. */
  readonly creditUait: number;
  /** What has come of the content. */
  readonly inputBytes: number;
  /** All of it has: what comes again changes nothing. */
  readonly hasContent: boolean;
  readonly startedAtMs: number;
  /** Pieces of output sent, the link of the last one, their size, and what is due for them. */
  readonly chunks: number;
  readonly link: Hash;
  readonly outputBytes: number;
  readonly dueUait: number;
  /** What credit does not cover yet; the executor waits. */
  readonly held: Uint8Array | null;
  readonly stopping: Stopping | null;
  readonly receipt: SignedReceipt | null;
  /** How it failed. */
  readonly failure: { readonly tick: SignedTick; readonly code: ErrorCode; readonly text: string } | null;
}

export type AttemptInput =
  /** So many bytes of content have come; `isWhole`: with them it has the hash that the job says, or there can be no more. */
  | { readonly type: 'input'; readonly bytes: number; readonly isWhole: boolean }
  /** All input is here, its blobs too, and is what the job says, or is not. */
  | { readonly type: 'content'; readonly fault: Refusal | null; readonly nowMs: number }
  /** Vouchers go this far above the assignment's base. */
  | { readonly type: 'credit'; readonly creditUait: number }
  | { readonly type: 'piece'; readonly bytes: Uint8Array }
  /** The executor has ended, and all it gave was handed over. */
  | {
      readonly type: 'finished';
      readonly finish: 'stop' | 'length';
      readonly inputTokens: number | null;
      readonly outputTokens: number | null;
      readonly outputHash: Hash;
      readonly nowMs: number;
    }
  | {
      readonly type: 'broke';
      readonly code: ErrorCode;
      readonly text: string;
      readonly outputHash: Hash;
      readonly nowMs: number;
    }
  /** The client wants it stopped. */
  | { readonly type: 'stop' }
  /** This miner gives it up: time is over, the client is gone, the agreement closes, a later attempt counts. */
  | { readonly type: 'give-up'; readonly code: ErrorCode; readonly text: string }
  /** Verified. */
  | { readonly type: 'acknowledged'; readonly signature: Signature };

/** What must be on the disk. */
export type Kept = 'work' | 'voucher' | 'end' | 'failure' | 'acknowledgement';

export type AttemptEffect =
  | { readonly type: 'keep'; readonly what: Kept; readonly acknowledgement?: Signature }
  | { readonly type: 'send'; readonly frame: Exclude<MinerFrame, { readonly type: 'output' | 'hello' | 'ping' }> }
  /** The piece is kept for a client that comes back, and sent. */
  | { readonly type: 'output'; readonly chunk: number; readonly bytes: Uint8Array }
  | { readonly type: 'check-content' }
  | { readonly type: 'start'; readonly maxOutputBytes: number }
  /** The executor may hand over the next piece. */
  | { readonly type: 'go' }
  | { readonly type: 'abort' }
  /** What is due so far. */
  | { readonly type: 'due'; readonly dueUait: number }
  /** The work is over and so much is due; the slot is free. Before it is kept. */
  | { readonly type: 'over'; readonly dueUait: number; readonly receipt: Hash | null };

export interface AttemptStep {
  readonly state: AttemptState;
  readonly effects: readonly AttemptEffect[];
}

export interface AttemptRules {
  readonly hasher: Hasher;
  readonly chain: ChainContext;
  /** The miner's account. */
  readonly signer: Signer;
}

export function openAttempt(terms: AttemptTerms, creditUait: number): AttemptState {
  return {
    terms,
    phase: 'input',
    ...{ inputBytes: 0, hasContent: false, startedAtMs: 0, chunks: 0, outputBytes: 0, dueUait: 0 },
    link: terms.id,
    ...{ held: null, stopping: null, receipt: null, failure: null },
    ...raised(terms, 0, creditUait),
  };
}

export function stepAttempt(rules: AttemptRules, state: AttemptState, input: AttemptInput): AttemptStep {
  switch (input.type) {
    case 'input':
      return onInput(state, input);
    case 'content':
      return onContent(state, input);
    case 'credit':
      return onCredit(rules, state, input.creditUait);
    case 'piece':
      return onPiece(rules, state, input.bytes);
    case 'finished':
      return onFinished(rules, state, input);
    case 'broke':
      return onBroke(rules, state, input);
    case 'stop':
      return onStop(state);
    case 'give-up':
      return onGiveUp(state, input);
    case 'acknowledged':
      return onAcknowledged(state, input.signature);
  }
}

/** Whether the executor, or what comes before it, has the slot. */
export function isAtWork({ phase }: AttemptState): boolean {
  return phase === 'input' || phase === 'running';
}

/** Where it is, for a client that assigned it twice or comes back; output not among it. */
export function recap(state: AttemptState): readonly (AttemptEffect & { readonly type: 'send' })[] {
  const { terms, phase, startedAtMs, receipt, failure } = state;
  const attempt = terms.id;
  const frames: (AttemptEffect & { readonly type: 'send' })[] = [];
  if (phase !== 'refused') frames.push({ type: 'send', frame: { type: 'accept', attempt } });
  if (phase !== 'input' && phase !== 'refused') {
    frames.push({ type: 'send', frame: { type: 'start', attempt, startedAtMs } });
  }
  return [...frames, ...ending(attempt, phase, receipt, failure)];
}

function ending(
  attempt: Hash,
  phase: AttemptPhase,
  receipt: AttemptState['receipt'],
  failure: AttemptState['failure'],
): (AttemptEffect & { readonly type: 'send' })[] {
  if (phase === 'ended' && receipt) return [{ type: 'send', frame: { type: 'end', receipt } }];
  if (phase === 'done') return [{ type: 'send', frame: { type: 'done', attempt } }];
  if (phase === 'failed' && failure) return [{ type: 'send', frame: { type: 'fail', ...failure } }];
  return [];
}

function onInput(state: AttemptState, { bytes, isWhole }: AttemptInput & { readonly type: 'input' }): AttemptStep {
  if (state.phase !== 'input' || state.hasContent) return same(state);
  const inputBytes = state.inputBytes + bytes;
  const most = mostContentBytes(state.terms);
  if (inputBytes > most) return refused(state, refusal('TOO_LARGE', `more input than the ${most} bytes that may come`));
  return { state: { ...state, inputBytes, hasContent: isWhole }, effects: isWhole ? [{ type: 'check-content' }] : [] };
}

/**
 * Its input has not come with the content alone. Such an attempt is kept when the work begins, not when it is accepted: a miner
 * that is killed while it fetches takes nothing, and what is paid for input may be much.
 */
export function isLarge({ job }: Pick<AttemptTerms, 'job'>): boolean {
  return job.spec.inputBytes > MAX_CONTENT_BYTES;
}

/** What a job may send: all of its input, unless that is larger than a content. */
export function mostContentBytes({ job }: Pick<AttemptTerms, 'job'>): number {
  return Math.min(job.spec.inputBytes, MAX_CONTENT_BYTES);
}

function onContent(state: AttemptState, input: AttemptInput & { readonly type: 'content' }): AttemptStep {
  if (state.phase !== 'input') return same(state);
  if (input.fault) return refused(state, input.fault);
  const { id, quote, job, assignment } = state.terms;
  const { inputBytes, maxOutputBytes } = job.spec;
  const payable = outputBytesWithin(quote.price, inputBytes, assignment.assignment.maxUait);
  return {
    state: { ...state, phase: 'running', startedAtMs: input.nowMs },
    effects: [
      ...(isLarge(state.terms) ? [{ type: 'keep', what: 'work' } as const] : []),
      { type: 'send', frame: { type: 'start', attempt: id, startedAtMs: input.nowMs } },
      { type: 'start', maxOutputBytes: Math.max(0, Math.min(maxOutputBytes, payable)) },
    ],
  };
}

function onCredit(rules: AttemptRules, state: AttemptState, creditUait: number): AttemptStep {
  const raise = raised(state.terms, state.creditUait, creditUait);
  if (!isAtWork(state) || raise.creditUait === state.creditUait) return same(state);
  const next = { ...state, ...raise };
  const keep: AttemptEffect = { type: 'keep', what: 'voucher' };
  if (!state.held) return { state: next, effects: [keep] };
  const released = onPiece(rules, { ...next, held: null }, state.held);
  return { state: released.state, effects: [keep, ...released.effects] };
}

function onPiece(rules: AttemptRules, state: AttemptState, bytes: Uint8Array): AttemptStep {
  if (state.phase !== 'running' || state.stopping) return same(state);
  const { job, quote, assignment } = state.terms;
  const { inputBytes, maxOutputBytes } = job.spec;
  const payable = (sumUait: number): number =>
    Math.min(maxOutputBytes, outputBytesWithin(quote.price, inputBytes, sumUait)) - state.outputBytes;
  const now = payable(state.creditUait);
  const head = headWithin(bytes, now);
  const { state: next, effects } = head.length > 0 ? withOutput(rules, state, head) : same(state);
  if (head.length === bytes.length) return { state: next, effects: [...effects, { type: 'go' }] };
  if (now >= payable(assignment.assignment.maxUait)) {
    return { state: { ...next, stopping: { why: 'limit' } }, effects: [...effects, { type: 'abort' }] };
  }
  const tick: AttemptEffect = { type: 'send', frame: { type: 'tick', tick: tickOf(rules, next) } };
  return { state: { ...next, held: bytes.subarray(head.length) }, effects: [...effects, tick] };
}

function withOutput(rules: AttemptRules, state: AttemptState, bytes: Uint8Array): AttemptStep {
  const { job, quote } = state.terms;
  const chunks = state.chunks + 1;
  const outputBytes = state.outputBytes + bytes.length;
  const due = dueUait(quote.price, job.spec.inputBytes, outputBytes);
  const link = nextLink(rules.hasher, state.link, bytes);
  return {
    state: { ...state, chunks, outputBytes, dueUait: due, link },
    effects: [
      { type: 'due', dueUait: due },
      { type: 'output', chunk: chunks, bytes },
    ],
  };
}

function onFinished(
  rules: AttemptRules,
  state: AttemptState,
  input: AttemptInput & { readonly type: 'finished' },
): AttemptStep {
  if (state.phase !== 'running') return same(state);
  const { stopping } = state;
  if (stopping?.why === 'failure') return failed(rules, state, stopping.code, stopping.text);
  const finish = stopping ? (stopping.why === 'client' ? 'canceled' : 'length') : input.finish;
  return ended(rules, state, { ...input, finish });
}

function onBroke(
  rules: AttemptRules,
  state: AttemptState,
  input: AttemptInput & { readonly type: 'broke' },
): AttemptStep {
  if (state.phase !== 'running') return same(state);
  const { stopping } = state;
  if (!stopping) return failed(rules, state, input.code, input.text);
  if (stopping.why === 'failure') return failed(rules, state, stopping.code, stopping.text);
  const finish = stopping.why === 'client' ? 'canceled' : 'length';
  return ended(rules, state, { ...input, finish, inputTokens: null, outputTokens: null });
}

function onStop(state: AttemptState): AttemptStep {
  if (state.phase === 'input') return refused(state, refusal('CANCELED', 'stopped before work began'));
  if (state.phase !== 'running' || state.stopping) return same(state);
  return { state: { ...state, held: null, stopping: { why: 'client' } }, effects: [{ type: 'abort' }] };
}

function onGiveUp(state: AttemptState, { code, text }: AttemptInput & { readonly type: 'give-up' }): AttemptStep {
  if (state.phase === 'input') return refused(state, refusal(code, text, code === 'TIMEOUT' ? 1 : 0));
  if (state.phase !== 'running' || state.stopping) return same(state);
  return { state: { ...state, held: null, stopping: { why: 'failure', code, text } }, effects: [{ type: 'abort' }] };
}

function onAcknowledged(state: AttemptState, signature: Signature): AttemptStep {
  const done: AttemptEffect = { type: 'send', frame: { type: 'done', attempt: state.terms.id } };
  if (state.phase === 'done') return { state, effects: [done] };
  if (state.phase !== 'ended') return same(state);
  const keep: AttemptEffect = { type: 'keep', what: 'acknowledgement', acknowledgement: signature };
  return { state: { ...state, phase: 'done' }, effects: [keep, done] };
}

/** Fixed price and input are due at an end without output too; the first voucher covers them. */
function ended(
  rules: AttemptRules,
  state: AttemptState,
  end: {
    readonly finish: Finish;
    readonly inputTokens: number | null;
    readonly outputTokens: number | null;
    readonly outputHash: Hash;
    readonly nowMs: number;
  },
): AttemptStep {
  const { job, assignment, quote, open } = state.terms;
  const { spec } = job;
  const due = dueUait(quote.price, spec.inputBytes, state.outputBytes);
  const receipt = signReceipt(rules.chain, rules.signer, {
    job: assignment.assignment.job,
    attempt: assignment.assignment.attempt,
    agreement: assignment.assignment.agreement,
    quote: assignment.assignment.quote,
    client: spec.client,
    signer: spec.signer,
    miner: rules.signer.publicKey,
    kind: quote.kind,
    model: quote.model,
    modelDigest: quote.modelDigest,
    inputHash: spec.inputHash,
    inputBytes: spec.inputBytes,
    outputHash: end.outputHash,
    outputBytes: state.outputBytes,
    chunks: state.chunks,
    link: state.link,
    price: quote.price,
    dueUait: due,
    finish: end.finish,
    inputTokens: end.inputTokens,
    outputTokens: end.outputTokens,
    startedAtMs: state.startedAtMs,
    endedAtMs: end.nowMs,
    open,
  });
  return {
    state: { ...state, phase: 'ended', dueUait: due, receipt, held: null },
    effects: [
      { type: 'over', dueUait: due, receipt: receiptId(rules.hasher, rules.chain, receipt.receipt) },
      { type: 'keep', what: 'end' },
      { type: 'send', frame: { type: 'end', receipt } },
    ],
  };
}

function failed(rules: AttemptRules, state: AttemptState, code: ErrorCode, text: string): AttemptStep {
  const failure = { tick: tickOf(rules, state), code, text };
  return {
    state: { ...state, phase: 'failed', held: null, failure },
    effects: [
      { type: 'over', dueUait: state.dueUait, receipt: null },
      { type: 'keep', what: 'failure' },
      { type: 'send', frame: { type: 'fail', ...failure } },
    ],
  };
}

function refused(state: AttemptState, why: Refusal): AttemptStep {
  return {
    state: { ...state, phase: 'refused' },
    effects: [
      { type: 'over', dueUait: 0, receipt: null },
      { type: 'keep', what: 'failure' },
      { type: 'send', frame: { type: 'refuse', attempt: state.terms.id, ...why } },
    ],
  };
}

function tickOf({ chain, signer }: AttemptRules, state: AttemptState): SignedTick {
  const { chunks, link, outputBytes, dueUait: due, terms } = state;
  return signTick(chain, signer, { attempt: terms.id, chunks, link, outputBytes, dueUait: due });
}

function raised(terms: AttemptTerms, before: number, creditUait: number): Pick<AttemptState, 'creditUait'> {
  return { creditUait: Math.max(before, Math.min(creditUait, terms.assignment.assignment.maxUait)) };
}

function same(state: AttemptState): AttemptStep {
  return { state, effects: [] };
}
