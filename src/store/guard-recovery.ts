/**
 * What the two slots of a sign guard, as found on disk, allow. Slots are written in turn: odd sequences to `a`, even
 * ones to `b`, so that the record before the newest is always whole, whatever happens to the newest.
 */
import type { GuardEntry, GuardIdentity } from './guard-record.ts';
import { decodeEntry, sameIdentity } from './guard-record.ts';
import type { Frame } from './guard-file.ts';
import { isNodeError } from '../errors.ts';

/** What the block store knows of the guard: its sequence at the last commit, and the height of that commit. */
export interface GuardWitness {
  readonly sequence: number;
  readonly height: number;
}

export type Slot = 'a' | 'b';

export function slotOf(sequence: number): Slot {
  return sequence % 2 === 1 ? 'a' : 'b';
}

/** Higher than any height: nothing may be signed. */
export const SIGN_NOTHING = Number.MAX_SAFE_INTEGER;

export interface Recovered {
  readonly kind: 'empty' | 'ready' | 'uncertain' | 'stale' | 'corrupt';
  /** Empty for the first two kinds. */
  readonly reason: string;
  /** Of the newest whole entry; 0 without one. */
  readonly sequence: number;
  /** Where the next entry goes: above every sequence that may have been written, in the slot that may be lost. */
  readonly nextSequence: number;
  /** Signatures are allowed only at heights above. */
  readonly signAbove: number;
  readonly entry: GuardEntry | null;
}

interface Whole {
  readonly sequence: number;
  readonly entry: GuardEntry;
}

export function recover(
  identity: GuardIdentity,
  frames: Readonly<Record<Slot, Frame>>,
  witness: GuardWitness,
): Recovered {
  const { a, b } = frames;
  const wholes: Whole[] = [];
  for (const slot of ['a', 'b'] as const) {
    const frame = frames[slot];
    if (frame.kind !== 'valid') continue;
    const decoded = decodeWhole(frame.payload);
    if (!decoded || slotOf(frame.sequence) !== slot) return corrupt(frames, witness, 'a record does not belong there');
    if (!sameIdentity(decoded.identity, identity)) {
      return corrupt(frames, witness, 'it belongs to another chain, genesis or key');
    }
    wholes.push({ sequence: frame.sequence, entry: decoded.entry });
  }
  const newest = wholes.sort((x, y) => y.sequence - x.sequence)[0];
  if (a.kind === 'absent' && b.kind === 'absent') return withoutGuard(witness);
  if (!newest) return corrupt(frames, witness, 'both records are damaged');
  if (newest.sequence < witness.sequence) {
    // The store saw the one record that is damaged now; anything older is a guard from a copy.
    if (wholes.length === 1 && newest.sequence + 1 === witness.sequence) return uncertain(frames, newest, witness);
    const reason = `it ends at record ${newest.sequence}, the block store knows record ${witness.sequence}`;
    return stale(frames, witness, reason, newest);
  }
  const other = frames[slotOf(newest.sequence + 1)];
  const certain =
    other.kind === 'valid' ||
    // Of a write that was cut off nothing was sent.
    other.kind === 'interrupted' ||
    // It was an older record, or the same in the older form: its header over another payload.
    (other.kind === 'damaged' && other.sequence !== null && other.sequence < newest.sequence) ||
    // The guard was being made: its first record is not written before both slots are. Blocks fetched since may know of
    // this half, and of no more.
    (other.kind === 'absent' && newest.sequence === 1);
  return certain ? known(newest) : uncertain(frames, newest, witness);
}

function known({ sequence, entry }: Whole): Recovered {
  const base = { reason: '', sequence, nextSequence: sequence + 1, entry };
  return entry.kind === 'floor'
    ? { ...base, kind: 'empty', signAbove: entry.height }
    : { ...base, kind: 'ready', signAbove: entry.record.height - 1 };
}

/** The lost record, if any, was of a height that the store had reached, or of the one after it. */
function uncertain(frames: Readonly<Record<Slot, Frame>>, newest: Whole, witness: GuardWitness): Recovered {
  const { sequence, entry } = newest;
  const height = entry.kind === 'floor' ? entry.height : entry.record.height;
  let nextSequence = sequence + 1;
  while (nextSequence <= highestSequence(frames, witness)) nextSequence += 2;
  return {
    kind: 'uncertain',
    reason: 'one of its two records is damaged, and it may be the newest',
    sequence,
    nextSequence,
    signAbove: Math.max(height, witness.height) + 1,
    entry,
  };
}

function withoutGuard(witness: GuardWitness): Recovered {
  if (witness.sequence > 0) {
    const frames = { a: { kind: 'absent' }, b: { kind: 'absent' } } as const;
    return stale(frames, witness, `it is missing, the block store knows record ${witness.sequence}`, undefined);
  }
  return { kind: 'empty', reason: '', sequence: 0, nextSequence: 1, signAbove: 0, entry: null };
}

function stale(
  frames: Readonly<Record<Slot, Frame>>,
  witness: GuardWitness,
  reason: string,
  newest: Whole | undefined,
): Recovered {
  const base = refused(frames, witness, reason);
  return { ...base, kind: 'stale', sequence: newest?.sequence ?? 0, entry: newest?.entry ?? null };
}

function corrupt(frames: Readonly<Record<Slot, Frame>>, witness: GuardWitness, reason: string): Recovered {
  return refused(frames, witness, reason);
}

function refused(frames: Readonly<Record<Slot, Frame>>, witness: GuardWitness, reason: string): Recovered {
  return {
    kind: 'corrupt',
    reason,
    sequence: 0,
    nextSequence: highestSequence(frames, witness) + 1,
    signAbove: SIGN_NOTHING,
    entry: null,
  };
}

function highestSequence({ a, b }: Readonly<Record<Slot, Frame>>, witness: GuardWitness): number {
  const of = (frame: Frame): number => (frame.kind === 'absent' ? 0 : (frame.sequence ?? 0));
  return Math.max(of(a), of(b), witness.sequence);
}

function decodeWhole(payload: Uint8Array): { identity: GuardIdentity; entry: GuardEntry } | undefined {
  try {
    return decodeEntry(payload);
  } catch (error) {
    if (isNodeError(error) && error.code === 'CODEC') return undefined;
    throw error;
  }
}
