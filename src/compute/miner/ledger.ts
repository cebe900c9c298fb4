/**
 * What one agreement has come to, as its miner counts: what is due over all its attempts, what vouchers give, and when to
 * take it. Pure.
 */
import type { Address, Hash, PublicKey } from '../../bytes.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import type { Voucher } from '../../chain/modules/compute/voucher.ts';
import { CLOSING_MS } from '../../chain/modules/compute/closing.ts';
import { LEASE_MS } from '../../../protocols/market/work-frames.ts';

/** Unsettled money above this share of the cap is taken. */
const UNSETTLED_SHARE = 10;
const SETTLE_IDLE_MS = 60_000;
const RELEASE_IDLE_MS = 10 * 60_000;
/** By header time, before the expiry. */
const EXPIRY_MARGIN_MS = 120_000;
/** Receipts under one agreement: its root is made of all of them. */
export const MAX_RECEIPTS = 16_384;

export interface Ledger {
  readonly agreement: Hash;
  readonly client: Address;
  /** Session key. */
  readonly signer: PublicKey;
  /** These four as of the last final block that was looked at. */
  readonly capUait: number;
  readonly paidUait: number;
  readonly expiresAtMs: number;
  readonly chainState: 'open' | 'closing' | 'closed';
  /** Of attempts that are over. */
  readonly dueUait: number;
  /** Of the one at work, if any. */
  readonly active: { readonly attempt: Hash; readonly dueUait: number } | null;
  /** The highest one. */
  readonly voucher: Voucher;
  /** No further attempt comes. */
  readonly isSingle: boolean;
  /** Ids, in the order of their making. */
  readonly receipts: readonly Hash[];
  /** Ended and not acknowledged: it is waited for until then. */
  readonly awaitedUntilMs: number;
  readonly lastUsedMs: number;
}

/** What is due in all, and may be taken. */
export function owedUait({ dueUait, active }: Ledger): number {
  return dueUait + (active?.dueUait ?? 0);
}

/** How far vouchers go; the agreement holds no more than its cap. */
export function creditOf({ voucher, capUait }: Ledger): number {
  return Math.min(voucher.creditUait, capUait);
}

/** The highest voucher counts, in whatever order they come. Its signature was verified. */
export function withVoucher(ledger: Ledger, voucher: Voucher): Ledger {
  return voucher.creditUait > ledger.voucher.creditUait ? { ...ledger, voucher } : ledger;
}

export function withChain(ledger: Ledger, agreement: Agreement | null): Ledger {
  if (!agreement) return { ...ledger, chainState: 'closed' };
  const { capUait, paidUait, expiresAtMs, state } = agreement;
  return { ...ledger, capUait, paidUait, expiresAtMs, chainState: state.name };
}

/** An attempt is over: what was due of it stays due. */
export function withDue(ledger: Ledger, dueUait: number, nowMs: number, receipt: Hash | null): Ledger {
  return {
    ...ledger,
    dueUait: ledger.dueUait + dueUait,
    active: null,
    receipts: receipt ? [...ledger.receipts, receipt] : ledger.receipts,
    awaitedUntilMs: receipt ? nowMs + LEASE_MS : ledger.awaitedUntilMs,
    lastUsedMs: nowMs,
  };
}

/** The receipt is acknowledged, or will not be. */
export function withoutWait(ledger: Ledger): Ledger {
  return { ...ledger, awaitedUntilMs: 0 };
}

export interface Taking {
  readonly kind: 'settle' | 'release';
  /** Of all time: what is paid already is part of it. */
  readonly totalUait: number;
}

function isExpiring(expiresAtMs: number, headTimeMs: number): boolean {
  return expiresAtMs - headTimeMs <= EXPIRY_MARGIN_MS;
}

/** Header time until which what is due can be taken for certain; null while that is far off. */
export function deadlineOf({ state, expiresAtMs }: Agreement, headTimeMs: number): number | null {
  if (state.name === 'closed') return null;
  if (state.name === 'closing') return state.sinceMs + CLOSING_MS;
  return isExpiring(expiresAtMs, headTimeMs) ? expiresAtMs + CLOSING_MS : null;
}

/** What to send now. Nothing is sent for an agreement under which nothing was ever due: its fee would be the miner's loss. */
export function takingOf(ledger: Ledger, nowMs: number, headTimeMs: number, isDraining: boolean): Taking | null {
  const { chainState, capUait, paidUait, active, isSingle, awaitedUntilMs, lastUsedMs, expiresAtMs } = ledger;
  const totalUait = Math.min(owedUait(ledger), creditOf(ledger));
  if (chainState === 'closed' || totalUait === 0) return null;
  const unsettledUait = totalUait - paidUait;
  const idleMs = nowMs - lastUsedMs;
  if (!active) {
    const isOver = (isSingle || isDraining) && nowMs >= awaitedUntilMs;
    if (isOver || chainState === 'closing' || idleMs >= RELEASE_IDLE_MS) return { kind: 'release', totalUait };
  }
  if (unsettledUait <= 0) return null;
  const isPressing = chainState === 'closing' || isExpiring(expiresAtMs, headTimeMs);
  const isMuch = !isSingle && unsettledUait * UNSETTLED_SHARE > capUait;
  const isIdle = !isSingle && !active && idleMs >= SETTLE_IDLE_MS;
  return isPressing || isMuch || isIdle ? { kind: 'settle', totalUait } : null;
}
