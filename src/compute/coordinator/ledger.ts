/**
 * The client's count of one agreement, pure: what may be taken of it at most, and what the next attempt begins at. One
 * attempt at a time runs under an agreement. All numbers are uait; vouchers are cumulative and only ever grow.
 */
import { NodeError, unreachable } from '../../errors.ts';

export interface Ledger {
  readonly capUait: number;
  /** Never below what the miner counts as due to it: the base of the next assignment. */
  readonly baseUait: number;
  /** The highest voucher given: what the miner may take. */
  readonly givenUait: number;
  /** What the running attempt may cost at most; null when none runs. */
  readonly runningMaxUait: number | null;
}

export type LedgerInput =
  /** An assignment: its voucher covers fixed price, input and one tick. */
  | { readonly type: 'begin'; readonly maxUait: number; readonly firstUait: number }
  /** Credit of the running attempt, counted from the base. */
  | { readonly type: 'raise'; readonly toUait: number }
  /** The receipt is in order: the last voucher. */
  | { readonly type: 'acknowledge'; readonly dueUait: number }
  /** The miner keeps the acknowledgement: from here on the receipt is the miner's count too. */
  | { readonly type: 'done'; readonly dueUait: number }
  /** Work did not begin. */
  | { readonly type: 'refused' }
  /** It ended in any other way. */
  | { readonly type: 'ended' };

/** Sign and keep a voucher of this sum, then send it. */
export interface LedgerEffect {
  readonly type: 'voucher';
  readonly creditUait: number;
}

export interface LedgerStep {
  readonly state: Ledger;
  readonly effects: readonly LedgerEffect[];
}

export function openLedger(capUait: number): Ledger {
  return { capUait, baseUait: 0, givenUait: 0, runningMaxUait: null };
}

/** Whether an attempt that may cost so much fits in: what was given beyond the base is within it too. */
export function canBegin({ capUait, baseUait, givenUait, runningMaxUait }: Ledger, maxUait: number): boolean {
  return runningMaxUait === null && baseUait + maxUait <= capUait && givenUait - baseUait <= maxUait;
}

/** What the running or last attempt may be charged by the vouchers given. */
export function exposureUait({ baseUait, givenUait }: Ledger): number {
  return givenUait - baseUait;
}

/** @throws NodeError INTERNAL when an attempt begins beside another one, or beyond what is left */
export function stepLedger(state: Ledger, input: LedgerInput): LedgerStep {
  switch (input.type) {
    case 'begin':
      if (!canBegin(state, input.maxUait)) throw new NodeError('INTERNAL', 'an attempt does not fit its agreement');
      return voucher({ ...state, runningMaxUait: input.maxUait }, input.firstUait);
    case 'raise':
      return raised(state, input.toUait);
    case 'acknowledge':
      return voucher(state, input.dueUait);
    case 'done':
      return over(state, state.baseUait + Math.min(input.dueUait, state.runningMaxUait ?? 0));
    case 'refused':
      return over(state, state.baseUait);
    case 'ended':
      return over(state, state.givenUait);
    default:
      return unreachable(input);
  }
}

/** Always one: what was given before stands when it is higher. */
function voucher(state: Ledger, creditUait: number): LedgerStep {
  const givenUait = highest(state, creditUait);
  return { state: { ...state, givenUait }, effects: [{ type: 'voucher', creditUait: givenUait }] };
}

/** One only when it gives more. */
function raised(state: Ledger, creditUait: number): LedgerStep {
  return highest(state, creditUait) > state.givenUait ? voucher(state, creditUait) : { state, effects: [] };
}

function highest({ capUait, baseUait, givenUait, runningMaxUait }: Ledger, creditUait: number): number {
  if (runningMaxUait === null) return givenUait;
  return Math.max(givenUait, Math.min(baseUait + Math.min(creditUait, runningMaxUait), capUait));
}

function over(state: Ledger, baseUait: number): LedgerStep {
  return { state: { ...state, baseUait, runningMaxUait: null }, effects: [] };
}
