/**
 * Ordered lists of entries in a state that can only be read by key: doubly linked, so that appending and removing anywhere
 * cost a handful of reads and writes however long the list is. An entry is in one list at most.
 */
import { NodeError } from '../../../errors.ts';
import { Reader, Writer } from '../../codec.ts';
import type { StateAccess, StateReader } from '../../state.ts';
import { listKey, placeKey } from './keys.ts';

/** What a list holds: at most MAX_ENTRY_BYTES, not empty. */
export type Entry = Uint8Array;

const MAX_ENTRY_BYTES = 33;
const NONE: Entry = new Uint8Array();

/** Two neighbours, or the two ends of a list; empty where there is none. */
interface Pair {
  readonly before: Entry;
  readonly after: Entry;
}

export function firstOf(state: StateReader, list: Uint8Array): Entry | null {
  const ends = state.get(listKey(list));
  return ends ? decode(ends).before : null;
}

export function lastOf(state: StateReader, list: Uint8Array): Entry | null {
  const ends = state.get(listKey(list));
  return ends ? decode(ends).after : null;
}

/** The one behind it; null at the end. */
export function nextOf(state: StateReader, entry: Entry): Entry | null {
  const { after } = placeOf(state, entry);
  return after.length === 0 ? null : after;
}

/** @param entry in no list yet */
export function append(state: StateAccess, list: Uint8Array, entry: Entry): void {
  const last = lastOf(state, list);
  if (last) state.set(placeKey(last), encode({ ...placeOf(state, last), after: entry }));
  state.set(placeKey(entry), encode({ before: last ?? NONE, after: NONE }));
  state.set(listKey(list), encode({ before: firstOf(state, list) ?? entry, after: entry }));
}

/** @param entry in this list @returns whether the list is empty now */
export function remove(state: StateAccess, list: Uint8Array, entry: Entry): boolean {
  const { before, after } = placeOf(state, entry);
  state.set(placeKey(entry), undefined);
  if (before.length > 0) state.set(placeKey(before), encode({ ...placeOf(state, before), after }));
  if (after.length > 0) state.set(placeKey(after), encode({ ...placeOf(state, after), before }));
  if (before.length > 0 && after.length > 0) return false;
  const isEmpty = before.length === 0 && after.length === 0;
  const first = firstOf(state, list) ?? NONE;
  const last = lastOf(state, list) ?? NONE;
  const ends = { before: before.length > 0 ? first : after, after: after.length > 0 ? last : before };
  state.set(listKey(list), isEmpty ? undefined : encode(ends));
  return isEmpty;
}

function placeOf(state: StateReader, entry: Entry): Pair {
  const bytes = state.get(placeKey(entry));
  if (!bytes) throw new NodeError('CORRUPT', 'the state lacks the place of an entry in its list');
  return decode(bytes);
}

function encode({ before, after }: Pair): Uint8Array {
  return new Writer(2 + 2 * MAX_ENTRY_BYTES).bytes8(before).bytes8(after).finish();
}

function decode(bytes: Uint8Array): Pair {
  const reader = new Reader(bytes, 'place in a list');
  const pair = { before: reader.bytes8(MAX_ENTRY_BYTES), after: reader.bytes8(MAX_ENTRY_BYTES) };
  reader.end();
  return pair;
}
