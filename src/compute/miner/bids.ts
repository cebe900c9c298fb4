/**
 * What settlements pay when blocks pass them by while their time runs out: more, and the most urgent one first. Pure. Blocks take
 * an account's transactions in the order of their nonces, so that what waits behind another is no faster for paying more.
 */

/** The pool replaces a transaction by one that pays so much more, in per cent. */
const REPLACEMENT_PERCENT = 10;

export interface PendingSettlement {
  readonly nonce: number;
  readonly feeUait: number;
  /** What it brings: a fee is never above it. */
  readonly worthUait: number;
  /** Header time after which it brings nothing; null: nothing presses. */
  readonly deadlineMs: number | null;
  /** It was there in time for a block, which did not take it. */
  readonly isPassedBy: boolean;
}

/** The settlement that has `of` as its nonce now is signed anew, with `nonce`. */
export interface Bid {
  readonly of: number;
  readonly nonce: number;
  readonly feeUait: number;
}

/** @param budgetUait for all fees together @returns by nonce; nothing where nothing presses, or nothing more can be paid */
export function bidsFor(pending: readonly PendingSettlement[], budgetUait: number): Bid[] {
  const slots = [...pending].sort((a, b) => a.nonce - b.nonce);
  if (!slots.some(({ deadlineMs, isPassedBy }) => deadlineMs !== null && isPassedBy)) return [];
  const inOrder = slots.filter(({ deadlineMs }) => deadlineMs !== null).sort(moreUrgent);
  inOrder.push(...slots.filter(({ deadlineMs }) => deadlineMs === null));
  const moved = bidsInOrder(slots, inOrder);
  if (isAffordable(moved, slots, budgetUait)) return moved.map(({ bid }) => bid);
  const inPlace = bidsInOrder(slots, slots);
  while (inPlace.length > 0 && !isAffordable(inPlace, slots, budgetUait)) inPlace.pop();
  return inPlace.map(({ bid }) => bid);
}

interface Weighed {
  readonly bid: Bid;
  readonly mostUait: number;
}

function bidsInOrder(slots: readonly PendingSettlement[], order: readonly PendingSettlement[]): Weighed[] {
  const bids: Weighed[] = [];
  for (const [i, slot] of slots.entries()) {
    const each = order[i] ?? slot;
    const isMoved = each.nonce !== slot.nonce;
    const presses = each.deadlineMs !== null && each.isPassedBy;
    if (!isMoved && !presses) continue;
    const leastUait = replacementUait(slot.feeUait);
    // What only makes room for another one pays what that takes.
    const mostUait = each.deadlineMs === null ? leastUait : each.worthUait;
    const feeUait = presses ? Math.max(leastUait, Math.min(2 * each.feeUait, mostUait)) : leastUait;
    if (!isMoved && feeUait > mostUait) continue;
    bids.push({ bid: { of: each.nonce, nonce: slot.nonce, feeUait }, mostUait });
  }
  return bids;
}

function isAffordable(bids: readonly Weighed[], slots: readonly PendingSettlement[], budgetUait: number): boolean {
  const changed = new Map(bids.map(({ bid }) => [bid.nonce, bid.feeUait]));
  const sumUait = slots.reduce((sum, { nonce, feeUait }) => sum + (changed.get(nonce) ?? feeUait), 0);
  return sumUait <= budgetUait && bids.every(({ bid, mostUait }) => bid.feeUait <= mostUait);
}

function replacementUait(feeUait: number): number {
  return Math.ceil((feeUait * (100 + REPLACEMENT_PERCENT)) / 100);
}

type Urgency = Pick<PendingSettlement, 'deadlineMs' | 'worthUait'>;

/** The first to end comes first; of two, the one that brings more. */
export function moreUrgent(a: Urgency, b: Urgency): number {
  const [of, to] = [a.deadlineMs ?? Infinity, b.deadlineMs ?? Infinity];
  return of === to ? b.worthUait - a.worthUait : of - to;
}
