/**
 * One attempt as its client sees it, pure: what the miner sends is held against the client's own count of bytes, links and
 * money. Anything that contradicts it ends the attempt and is kept; nothing is paid that did not come.
 */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { Price } from '../../chain/market/price.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { SignedReceipt, WorkReceipt } from '../../chain/market/receipt.ts';
import type { SignedTick } from '../../chain/market/tick.ts';
import { nextLink } from '../../chain/market/tick.ts';
import type { ErrorCode } from '../../errors.ts';
import { ERRORS, unreachable } from '../../errors.ts';
import type { ReceiptTerms } from './receipt-check.ts';
import { receiptFault } from './receipt-check.ts';

/** A miner that says so often to come again has no slot, or does not see the agreement. */
const MAX_REFUSALS = 8;

export interface AttemptTerms extends ReceiptTerms {
  readonly id: Hash;
  readonly price: Price;
  readonly tickUait: number;
  readonly inputBytes: number;
  readonly maxOutputBytes: number;
  readonly maxUait: number;
}

export interface AttemptState {
  readonly terms: AttemptTerms;
  readonly phase: 'assigned' | 'running' | 'acknowledging' | 'over';
  /** Pieces received, their bytes, and the link of the last one. */
  readonly chunks: number;
  readonly outputBytes: number;
  readonly link: Hash;
  /** Credit given, counted from the base. */
  readonly creditUait: number;
  /** The assignment was sent once, and nothing else: a refusal means that nothing is due. */
  readonly isFresh: boolean;
  readonly isStopping: boolean;
  readonly dueUait: number;
  /** Times that the miner said to come again. */
  readonly refusals: number;
}

export type AttemptOutcome =
  | { readonly how: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly how: 'failed' | 'lost'; readonly code: ErrorCode; readonly message: string }
  /** `evidence`: what the miner signed, where it did. */
  | { readonly how: 'faulty'; readonly message: string; readonly evidence: SignedTick | SignedReceipt | null }
  | { readonly how: 'done' };

export type AttemptInput =
  | { readonly type: 'refuse'; readonly code: ErrorCode; readonly message: string; readonly afterMs: number }
  | { readonly type: 'start' }
  /** `piece`: opened; null when it did not open. */
  | { readonly type: 'output'; readonly chunk: number; readonly piece: Uint8Array }
  | { readonly type: 'tick'; readonly signed: SignedTick; readonly isSigned: boolean }
  | {
      readonly type: 'fail';
      readonly signed: SignedTick;
      readonly isSigned: boolean;
      readonly code: ErrorCode;
      readonly message: string;
    }
  /** `outputHash`: of all output received. */
  | {
      readonly type: 'end';
      readonly signed: SignedReceipt;
      readonly isSigned: boolean;
      readonly outputHash: Hash;
    }
  | { readonly type: 'done' }
  /** The ledger gave so much. */
  | { readonly type: 'credited'; readonly creditUait: number }
  | { readonly type: 'stop' }
  /** A new stream to the miner stands. */
  | { readonly type: 'reconnect' }
  /** The client waits no longer. */
  | { readonly type: 'lose'; readonly code: ErrorCode; readonly message: string };

export type AttemptEffect =
  | { readonly type: 'deliver'; readonly piece: Uint8Array }
  /** Ask the ledger to raise the attempt's credit to this. */
  | { readonly type: 'credit'; readonly toUait: number }
  /** Keep receipt and output, then acknowledge; `again`: it was kept already. */
  | { readonly type: 'acknowledge'; readonly signed: SignedReceipt; readonly again: boolean }
  | { readonly type: 'send'; readonly frame: 'assign' | 'resume' | 'stop' }
  /** The same assignment goes to the same miner again, later. */
  | { readonly type: 'again'; readonly afterMs: number }
  | { readonly type: 'started' }
  | { readonly type: 'over'; readonly outcome: AttemptOutcome };

export interface AttemptStep {
  readonly state: AttemptState;
  readonly effects: readonly AttemptEffect[];
}

/** Credit of the first voucher: fixed price, input, one tick. */
export function firstCreditUait(terms: Pick<AttemptTerms, 'price' | 'inputBytes' | 'tickUait' | 'maxUait'>): number {
  return Math.min(dueUait(terms.price, terms.inputBytes, 0) + terms.tickUait, terms.maxUait);
}

export function beginAttempt(terms: AttemptTerms, creditUait: number): AttemptState {
  return {
    terms,
    phase: 'assigned',
    chunks: 0,
    outputBytes: 0,
    link: terms.id,
    creditUait,
    isFresh: true,
    isStopping: false,
    dueUait: 0,
    refusals: 0,
  };
}

/** After a restart. Pieces are asked for from the first one on; with a receipt kept, only for the end. */
export function resumeAttempt(terms: AttemptTerms, creditUait: number, receipt: WorkReceipt | null): AttemptState {
  const state: AttemptState = { ...beginAttempt(terms, creditUait), phase: 'running', isFresh: false };
  if (receipt === null) return state;
  const { chunks, outputBytes, link, dueUait: owedUait, finish } = receipt;
  const isStopping = finish === 'canceled';
  return { ...state, phase: 'acknowledging', chunks, outputBytes, link, dueUait: owedUait, isStopping };
}

export function stepAttempt(state: AttemptState, input: AttemptInput, hasher: Hasher): AttemptStep {
  if (state.phase === 'over') return { state, effects: [] };
  switch (input.type) {
    case 'refuse':
      return refuse(state, input);
    case 'start':
      return state.phase === 'assigned' ? started(state, []) : { state, effects: [] };
    case 'output':
      return output(state, input.chunk, input.piece, hasher);
    case 'tick':
      return tick(state, input.signed, input.isSigned);
    case 'fail': {
      const fault = tickFault(state, input.signed, input.isSigned);
      if (fault !== null) return faulty(state, fault, input.isSigned ? input.signed : null);
      return over(state, { how: 'failed', code: input.code, message: input.message });
    }
    case 'end':
      return end(state, input.signed, input.isSigned, input.outputHash);
    case 'done':
      return state.phase === 'acknowledging'
        ? over(state, { how: 'done' })
        : faulty(state, 'it said that it keeps an acknowledgement that was not given', null);
    case 'credited':
      return { state: { ...state, creditUait: input.creditUait }, effects: [] };
    case 'stop':
      return stop(state);
    case 'reconnect':
      return reconnect(state);
    case 'lose':
      return over(state, { how: 'lost', code: input.code, message: input.message });
    default:
      return unreachable(input);
  }
}

function refuse(state: AttemptState, { code, message, afterMs }: AttemptInput & { type: 'refuse' }): AttemptStep {
  const isRefusal = state.phase === 'assigned' && state.isFresh;
  if (isRefusal && afterMs > 0 && state.refusals < MAX_REFUSALS && ERRORS[code].retryable && !state.isStopping) {
    return { state: { ...state, refusals: state.refusals + 1 }, effects: [{ type: 'again', afterMs }] };
  }
  if (isRefusal) return over(state, { how: 'refused', code, message });
  // It knows nothing of what it took before, or wants no more of it: the credit given may be taken all the same.
  return over(state, { how: 'lost', code: code === 'NOT_FOUND' ? 'LEASE_LOST' : code, message });
}

function started(state: AttemptState, effects: readonly AttemptEffect[]): AttemptStep {
  if (state.phase !== 'assigned') return { state, effects };
  return { state: { ...state, phase: 'running', isFresh: false }, effects: [{ type: 'started' }, ...effects] };
}

function output(state: AttemptState, chunk: number, piece: Uint8Array, hasher: Hasher): AttemptStep {
  const { terms } = state;
  if (state.phase === 'acknowledging') return faulty(state, 'it sent output after the end', null);
  if (chunk !== state.chunks + 1) return faulty(state, `it sent piece ${chunk} after piece ${state.chunks}`, null);
  if (piece.length === 0) return faulty(state, 'it sent an empty piece of output', null);
  const outputBytes = state.outputBytes + piece.length;
  if (outputBytes > terms.maxOutputBytes) return faulty(state, 'it sent more output than was asked for', null);
  const nowDueUait = dueUait(terms.price, terms.inputBytes, outputBytes);
  if (nowDueUait > state.creditUait) return faulty(state, 'it sent output beyond its credit', null);
  const after = {
    ...state,
    chunks: chunk,
    outputBytes,
    link: nextLink(hasher, state.link, piece),
    dueUait: nowDueUait,
  };
  const wantsCredit = state.creditUait - nowDueUait < terms.tickUait / 2;
  return started(after, [{ type: 'deliver', piece }, ...(wantsCredit ? credit(after) : [])]);
}

/** What came so far and one tick; a miner that is being stopped gets no more than it has. */
function credit(state: AttemptState): AttemptEffect[] {
  const { terms, dueUait: paid, creditUait, isStopping } = state;
  const received = paid > 0 ? paid : dueUait(terms.price, terms.inputBytes, 0);
  const toUait = Math.min(received + terms.tickUait, terms.maxUait);
  return isStopping || toUait <= creditUait ? [] : [{ type: 'credit', toUait }];
}

/** A miner that holds a piece back for want of credit sends a tick: it gets the whole of one. */
function tick(state: AttemptState, signed: SignedTick, isSigned: boolean): AttemptStep {
  const fault = tickFault(state, signed, isSigned);
  if (fault !== null) return faulty(state, fault, isSigned ? signed : null);
  return { state, effects: credit(state) };
}

function tickFault(state: AttemptState, { tick: said }: SignedTick, isSigned: boolean): string | null {
  if (!isSigned) return 'it sent a tick that it did not sign';
  if (said.chunks !== state.chunks) return `it counts ${said.chunks} pieces of output where ${state.chunks} came`;
  if (said.outputBytes !== state.outputBytes) {
    return `it counts ${said.outputBytes} bytes of output where ${state.outputBytes} came`;
  }
  if (!equalBytes(said.link, state.link)) return 'its chain of hashes is not that of the output that came';
  const { price, inputBytes } = state.terms;
  // Before any output the fixed price and the input are due at the end only.
  const isDue =
    said.dueUait === state.dueUait || (state.chunks === 0 && said.dueUait === dueUait(price, inputBytes, 0));
  return isDue ? null : `it counts ${said.dueUait} uait due where it is ${state.dueUait}`;
}

function end(state: AttemptState, signed: SignedReceipt, isSigned: boolean, outputHash: Hash): AttemptStep {
  const { terms } = state;
  if (!isSigned) return faulty(state, 'it sent a receipt that it did not sign', null);
  const owedUait = dueUait(terms.price, terms.inputBytes, state.outputBytes);
  const counted = { chunks: state.chunks, outputBytes: state.outputBytes, link: state.link, outputHash };
  const fault = receiptFault(signed.receipt, terms, { ...counted, dueUait: owedUait, isStopping: state.isStopping });
  if (fault !== null) return faulty(state, fault, signed);
  if (owedUait > terms.maxUait) return faulty(state, 'it asks for more than the assignment allows', signed);
  return {
    state: { ...state, phase: 'acknowledging', isFresh: false, dueUait: owedUait },
    effects: [{ type: 'acknowledge', signed, again: state.phase === 'acknowledging' }],
  };
}

function stop(state: AttemptState): AttemptStep {
  if (state.isStopping || state.phase === 'acknowledging') return { state, effects: [] };
  return { state: { ...state, isStopping: true }, effects: [{ type: 'send', frame: 'stop' }] };
}

/** Before the work began the assignment goes again, whole; it is one with the first. */
function reconnect(state: AttemptState): AttemptStep {
  const frame = state.phase === 'assigned' ? 'assign' : 'resume';
  const stopAgain: AttemptEffect[] = state.isStopping ? [{ type: 'send', frame: 'stop' }] : [];
  return { state: { ...state, isFresh: false }, effects: [{ type: 'send', frame }, ...stopAgain] };
}

function faulty(state: AttemptState, message: string, evidence: SignedTick | SignedReceipt | null): AttemptStep {
  return over(state, { how: 'faulty', message, evidence });
}

function over(state: AttemptState, outcome: AttemptOutcome): AttemptStep {
  return { state: { ...state, phase: 'over' }, effects: [{ type: 'over', outcome }] };
}
