/**
 * Copies of a sign guard, for backups. A copy may be older than what the key signed since, so it takes the place of a guard
 * only where it says more than that one does. The blocks that a record names are left out: peers have them.
 */
import { join } from 'node:path';
import { toHex } from '../bytes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { nodeGuardDisk } from './guard-disk.ts';
import { ensurePrivateFolder, replaceFile } from './files.ts';
import type { GuardEntry, GuardIdentity } from './guard-record.ts';
import { decodeEntry, sameIdentity, stepIndex } from './guard-record.ts';
import type { Slot } from './guard-recovery.ts';
import { slotOf } from './guard-recovery.ts';
import { MAX_SLOT_BYTES, parseSlot } from './guard-slot.ts';
import { storageError } from './storage-error.ts';

/** A node that signs writes one slot while the other is whole: both do not look damaged for long. */
const READ_TRIES = 20;
const SLOTS = ['a', 'b'] as const;

export interface GuardSlot {
  readonly slot: Slot;
  readonly bytes: Uint8Array;
}

/** A guard as it was at one time. */
export interface GuardCopy {
  readonly identity: GuardIdentity;
  /** The newest. */
  readonly entry: GuardEntry;
  /** False where a record is damaged that may be the newest. */
  readonly isCertain: boolean;
  /** Whole records, the newest first. */
  readonly slots: readonly GuardSlot[];
}

/** @returns null where there is none @throws NodeError GUARD when no record of it is whole; STORAGE */
export async function readGuard(folder: string): Promise<GuardCopy | null> {
  for (let attempt = 1; ; attempt++) {
    const slots = await readSlots(folder);
    if (slots.length === 0) return null;
    const isLast = attempt === READ_TRIES;
    if (!isLast && slots.some(({ bytes }) => parseSlot(bytes).kind !== 'valid')) continue;
    return parseGuard(slots, folder);
  }
}

/** @throws NodeError GUARD when no record is whole, or one does not belong where it is */
export function parseGuard(slots: readonly GuardSlot[], folder: string): GuardCopy {
  const wholes = slots.flatMap(wholeRecord).sort((a, b) => b.sequence - a.sequence);
  const [newest] = wholes;
  const isForeign = wholes.some(({ identity }) => newest && !sameIdentity(identity, newest.identity));
  if (!newest || isForeign || !folder.endsWith(`-${toHex(newest.identity.publicKey).slice(0, 16)}`)) {
    throw new NodeError('GUARD', 'a sign guard cannot be read: its records are damaged, or of another key', {
      data: { path: folder },
      hint: 'what its key signed is not known: aitbc doctor says what can be done',
    });
  }
  const { identity, entry } = newest;
  // Before the first record the second slot is not made yet.
  const isCertain = wholes.length === slots.length && (slots.length === 2 || newest.sequence === 1);
  return { identity, entry, isCertain, slots: wholes.map(({ slot, bytes }) => ({ slot, bytes })) };
}

function wholeRecord({
  slot,
  bytes,
}: GuardSlot): (GuardSlot & { sequence: number; identity: GuardIdentity; entry: GuardEntry })[] {
  const frame = parseSlot(bytes);
  if (frame.kind !== 'valid' || slotOf(frame.sequence) !== slot) return [];
  try {
    return [{ slot, bytes, sequence: frame.sequence, ...decodeEntry(frame.payload) }];
  } catch (error) {
    if (isNodeError(error) && error.code === 'CODEC') return [];
    throw error;
  }
}

async function readSlots(folder: string): Promise<GuardSlot[]> {
  const disk = nodeGuardDisk(folder);
  try {
    const slots: GuardSlot[] = [];
    for (const slot of SLOTS) {
      const bytes = await disk.read(slot, MAX_SLOT_BYTES);
      if (bytes) slots.push({ slot, bytes });
    }
    return slots;
  } catch (error) {
    throw storageError(error, 'read the sign guard', folder);
  } finally {
    await disk.close();
  }
}

/**
 * What a copy would do where a guard may lie.
 *
 * @returns whether the copy says more than what is there
 * @throws NodeError GUARD when what is there belongs to another chain or genesis
 */
export function isAhead(copy: GuardCopy, there: GuardCopy | null): boolean {
  if (there === null) return true;
  if (!sameIdentity(copy.identity, there.identity)) {
    throw new NodeError('GUARD', 'the sign guard here is of another genesis than that of the backup', {
      hint: 'restore into another home',
    });
  }
  // It goes on by itself above all that the damaged record may have been.
  if (!there.isCertain) return false;
  const [a, b] = [placeOf(copy.entry), placeOf(there.entry)];
  return a.height !== b.height ? a.height > b.height : a.position > b.position;
}

/** The newest record first: after a crash between the two, it is there and counts. */
export async function writeGuard(folder: string, { slots }: GuardCopy): Promise<void> {
  await ensurePrivateFolder(folder);
  for (const { slot, bytes } of slots) await replaceFile(join(folder, slot), bytes);
}

/** A floor forbids its whole height. */
function placeOf(entry: GuardEntry): { readonly height: number; readonly position: number } {
  if (entry.kind === 'floor') return { height: entry.height, position: Infinity };
  const { height, round, step } = entry.record;
  return { height, position: 3 * round + stepIndex(step) };
}
