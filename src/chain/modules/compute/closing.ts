/**
 * The way of an agreement from open to closed, whoever begins it. Closing takes time and blocks, both by the chain's own
 * count, so that its miner can settle even when the chain stood still over the expiry.
 */
import type { Hash } from '../../../bytes.ts';
import { NodeError } from '../../../errors.ts';
import { addBalance } from '../../accounts.ts';
import type { StateAccess, StateReader } from '../../state.ts';
import type { BlockContext, HeadState } from '../types.ts';
import type { Agreement } from './agreement.ts';
import { getAgreement, heldInAgreement, setAgreement } from './agreement.ts';
import { addDeadline, MINUTE_MS, removeDeadline } from './deadlines.ts';
import type { Entry } from './id-list.ts';
import { append, firstOf, lastOf, remove } from './id-list.ts';
import { getComputeParams } from './params.ts';

/** From closing to closed, by header time and by blocks: both must be over. */
export const CLOSING_MS = MINUTE_MS;
export const CLOSING_BLOCKS = 20;
/** An idle chain makes these blocks at this pace, so that both are over together. */
const BEAT_MS = CLOSING_MS / CLOSING_BLOCKS;
/** Old records that go when an agreement closes: more than come, so that there is never a backlog. */
const DROPPED_AT_ONCE = 2;

/** Lists; a first byte of 1 is that of deadlines. */
export const CLOSING = Uint8Array.of(2);
export const CLOSED = Uint8Array.of(3);

/** First byte of an agreement's entry in lists and deadlines. */
export const AGREEMENT_ENTRY = 1;

type Place = Pick<BlockContext, 'state' | 'height' | 'timeMs'>;

function entryOf(id: Hash): Entry {
  return Uint8Array.of(AGREEMENT_ENTRY, ...id);
}

function idOf(entry: Entry): Hash {
  return entry.subarray(1);
}

/** Stores an open agreement and its deadline. */
export function putOpen(state: StateAccess, id: Hash, agreement: Agreement): void {
  setAgreement(state, id, agreement);
  addDeadline(state, agreement.expiresAtMs, entryOf(id));
}

/** @param agreement open */
export function putExtended(state: StateAccess, id: Hash, agreement: Agreement, expiresAtMs: number): void {
  removeDeadline(state, agreement.expiresAtMs, entryOf(id));
  putOpen(state, id, { ...agreement, expiresAtMs });
}

/** @param agreement open */
export function putClosing({ state, height, timeMs }: Place, id: Hash, agreement: Agreement): void {
  removeDeadline(state, agreement.expiresAtMs, entryOf(id));
  setAgreement(state, id, { ...agreement, state: { name: 'closing', sinceHeight: height, sinceMs: timeMs } });
  append(state, CLOSING, entryOf(id));
}

/**
 * The rest goes back to the client, and the record stays for a while.
 *
 * @param agreement open or closing
 * @returns what went back
 */
export function putClosed(place: Place, id: Hash, agreement: Agreement): number {
  const { state, height, timeMs } = place;
  if (agreement.state.name === 'open') removeDeadline(state, agreement.expiresAtMs, entryOf(id));
  else remove(state, CLOSING, entryOf(id));
  const refundedUait = heldInAgreement(agreement);
  addBalance(state, agreement.client, refundedUait);
  const closed = { name: 'closed', atHeight: height, atMs: timeMs, refundedUait } as const;
  setAgreement(state, id, { ...agreement, state: closed });
  append(state, CLOSED, entryOf(id));
  dropOld(place);
  return refundedUait;
}

function dropOld({ state, timeMs }: Place): void {
  const { closedKeptMs } = getComputeParams(state);
  for (let dropped = 0; dropped < DROPPED_AT_ONCE; dropped++) {
    const entry = firstOf(state, CLOSED);
    if (!entry) return;
    const agreement = existing(state, idOf(entry));
    if (agreement.state.name !== 'closed' || agreement.state.atMs + closedKeptMs > timeMs) return;
    remove(state, CLOSED, entry);
    setAgreement(state, idOf(entry), undefined);
  }
}

/** The expiry of an agreement is due. */
export function expire(place: Place, entry: Entry): void {
  const id = idOf(entry);
  putClosing(place, id, existing(place.state, id));
}

/** Closes what has been closing long enough, oldest first. @returns how many */
export function closeDue(place: Place, limit: number): number {
  const { state, height, timeMs } = place;
  for (let count = 0; count < limit; count++) {
    const entry = firstOf(state, CLOSING);
    if (!entry) return count;
    const id = idOf(entry);
    const agreement = existing(state, id);
    const { sinceHeight, sinceMs } = closingOf(agreement);
    if (height < sinceHeight + CLOSING_BLOCKS || timeMs < sinceMs + CLOSING_MS) return count;
    putClosed(place, id, agreement);
  }
  return limit;
}

/** From which header time on the block after this one is due for the sake of closing; null: for nothing. */
export function closingDueMs({ state, height, timeMs }: HeadState): number | null {
  const first = firstOf(state, CLOSING);
  const last = lastOf(state, CLOSING);
  if (!first || !last) return null;
  const oldest = closingOf(existing(state, idOf(first)));
  const newest = closingOf(existing(state, idOf(last)));
  const due: number[] = [];
  if (height + 1 < newest.sinceHeight + CLOSING_BLOCKS) due.push(timeMs + BEAT_MS);
  if (height + 1 >= oldest.sinceHeight + CLOSING_BLOCKS) due.push(oldest.sinceMs + CLOSING_MS);
  return Math.min(...due);
}

function existing(state: StateReader, id: Hash): Agreement {
  const agreement = getAgreement(state, id);
  if (!agreement) throw new NodeError('CORRUPT', 'the state lacks an agreement that it lists');
  return agreement;
}

function closingOf({ state }: Agreement): { readonly sinceHeight: number; readonly sinceMs: number } {
  if (state.name !== 'closing') throw new NodeError('CORRUPT', 'an agreement is listed as closing and is not');
  return state;
}
