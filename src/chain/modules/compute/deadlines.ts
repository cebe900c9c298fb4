/**
 * Deadlines by header time, in whole minutes: what is due first is found with two reads, whatever lies ahead. The days that
 * have deadlines are one sorted entry of the state, each day is a bitmap of its minutes, each minute a list.
 */
import { NodeError } from '../../../errors.ts';
import { Reader, Writer } from '../../codec.ts';
import type { StateAccess, StateReader } from '../../state.ts';
import type { Entry } from './id-list.ts';
import { append, firstOf, remove } from './id-list.ts';
import { DAYS_KEY, dayKey } from './keys.ts';

export const MINUTE_MS = 60_000;
const MINUTES_A_DAY = 1440;
const DAY_BYTES = MINUTES_A_DAY / 8;
/** Spans end within 400 days; those of the past are worked off before new ones grow. */
const MAX_DAYS = 1024;

/** The first whole minute not before a time. */
export function wholeMinuteMs(timeMs: number): number {
  return Math.ceil(timeMs / MINUTE_MS) * MINUTE_MS;
}

/** @param dueMs a whole minute @param entry with no deadline yet */
export function addDeadline(state: StateAccess, dueMs: number, entry: Entry): void {
  const minute = minuteOf(dueMs);
  const list = listOf(minute);
  if (firstOf(state, list) === null) toggle(state, minute);
  append(state, list, entry);
}

/** @param dueMs what it was added with */
export function removeDeadline(state: StateAccess, dueMs: number, entry: Entry): void {
  const minute = minuteOf(dueMs);
  if (remove(state, listOf(minute), entry)) toggle(state, minute);
}

/** Time of the first deadline; null when there is none. */
export function nextDeadlineMs(state: StateReader): number | null {
  const [day] = getDays(state);
  if (day === undefined) return null;
  const bits = state.get(dayKey(day));
  if (!bits) throw new NodeError('CORRUPT', 'a day with deadlines has none');
  const at = bits.findIndex((byte) => byte !== 0);
  const bit = Math.clz32(bits[at] ?? 0) - 24;
  return (day * MINUTES_A_DAY + at * 8 + bit) * MINUTE_MS;
}

/** What was added first of what is due first; null before its time. */
export function firstDue(state: StateReader, nowMs: number): { readonly dueMs: number; readonly entry: Entry } | null {
  const dueMs = nextDeadlineMs(state);
  if (dueMs === null || dueMs > nowMs) return null;
  const entry = firstOf(state, listOf(minuteOf(dueMs)));
  if (!entry) throw new NodeError('CORRUPT', 'a minute with deadlines has none');
  return { dueMs, entry };
}

function minuteOf(dueMs: number): number {
  if (dueMs % MINUTE_MS !== 0) throw new NodeError('INTERNAL', 'a deadline is a whole minute', { data: { dueMs } });
  return dueMs / MINUTE_MS;
}

/** Where entries are that are due then. */
export function minuteList(dueMs: number): Uint8Array {
  return listOf(minuteOf(dueMs));
}

function listOf(minute: number): Uint8Array {
  return new Writer(9).u8(1).u64(minute).finish();
}

/** A minute has deadlines now, or has none any more. */
function toggle(state: StateAccess, minute: number): void {
  const day = Math.floor(minute / MINUTES_A_DAY);
  const before = state.get(dayKey(day));
  const bits = before?.slice() ?? new Uint8Array(DAY_BYTES);
  const at = minute % MINUTES_A_DAY;
  bits[at >> 3] = (bits[at >> 3] ?? 0) ^ (0x80 >> (at & 7));
  const isEmpty = bits.every((byte) => byte === 0);
  state.set(dayKey(day), isEmpty ? undefined : bits);
  const days = getDays(state);
  if (!before)
    setDays(
      state,
      [...days, day].sort((a, b) => a - b),
    );
  else if (isEmpty)
    setDays(
      state,
      days.filter((each) => each !== day),
    );
}

function getDays(state: StateReader): readonly number[] {
  const bytes = state.get(DAYS_KEY);
  if (!bytes) return [];
  const reader = new Reader(bytes, 'days with deadlines');
  const days = Array.from({ length: reader.count16(MAX_DAYS, 4) }, () => reader.u32());
  reader.end();
  return days;
}

function setDays(state: StateAccess, days: readonly number[]): void {
  const writer = new Writer(2 + days.length * 4).u16(days.length);
  for (const day of days) writer.u32(day);
  state.set(DAYS_KEY, days.length === 0 ? undefined : writer.finish());
}
