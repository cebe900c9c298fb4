/**
 * The sign guard: what a validator signed, on disk before any signature leaves, so that no crash, damage or
 * restored copy makes it contradict itself. Form of the files and rules of recovery: README.md beside this file.
 */
import { join } from 'node:path';
import type { Hash, PublicKey } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { GuardDisk } from './guard-disk.ts';
import { nodeGuardDisk } from './guard-disk.ts';
import { frameBytes, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, parseFrame, sha256 } from './guard-file.ts';
import type { GuardEntry, GuardIdentity, GuardRecord, ValueRef } from './guard-record.ts';
import { encodeEntry, pruned, valueIds } from './guard-record.ts';
import type { GuardWitness, Recovered, Slot } from './guard-recovery.ts';
import { recover, slotOf } from './guard-recovery.ts';
import { checkSuccessor } from './guard-rules.ts';
import { MAX_SLOT_BYTES, parseSlot, SECTOR_BYTES, sectorsIn, slotParts } from './guard-slot.ts';
import { storageError } from './storage-error.ts';

/**
 * - empty: nothing was signed above `signAbove`
 * - ready: the newest record
 * - uncertain: one of the two records is damaged; signing goes on by itself above `signAbove`
 * - stale: older than the block store, or missing; nothing is signed until `reset`
 * - corrupt: not readable, or of another chain, genesis or key; nothing is signed until `reset`
 */
export type GuardStatus =
  | { readonly kind: 'empty' }
  | { readonly kind: 'ready'; readonly record: GuardRecord }
  | { readonly kind: 'uncertain' | 'stale' | 'corrupt'; readonly reason: string };

/** The encoded block of an id. */
export interface GuardValue {
  readonly blockId: Hash;
  readonly bytes: Uint8Array;
}

export interface SignGuard {
  readonly status: GuardStatus;
  /** Grows with every save; goes into the batch of each committed block. */
  readonly sequence: number;
  /** Signatures are allowed only at heights above; `SIGN_NOTHING` when none are. */
  readonly signAbove: number;
  /**
   * Resolves when the record is on the disk: only then may its newest signature leave. `value` is needed when the record
   * names a block (locked, valid, own proposal) that the last one did not.
   *
   * @throws NodeError WOULD_DOUBLE_SIGN when it contradicts what was signed
   * @throws NodeError GUARD when the guard's status forbids signing at this height
   * @throws NodeError STORAGE, from then on at every call: what reached the disk is unknown until it is opened again
   */
  save(record: GuardRecord, value?: GuardValue): Promise<void>;
  /** Bytes of a block that the last record names. Undefined also when its file was damaged: peers have it. */
  value(blockId: Hash): Uint8Array | undefined;
  /**
   * The operator's word that this key signed nothing above `floorHeight` (--sign-above).
   *
   * @throws NodeError GUARD when the guard knows of signatures above
   */
  reset(floorHeight: number): Promise<void>;
  close(): Promise<void>;
}

export interface SignGuardOptions extends GuardIdentity {
  /** Folder of the chain; the guard's own folder in it is named by the key. */
  readonly folder: string;
  /** Of the chain's block store: `guardSequence(publicKey)`, and its head's height. */
  readonly store: GuardWitness;
  /** Instead of the files under `folder`. */
  readonly disk?: GuardDisk;
}

/**
 * A record names three blocks at most. Three slots for those of the record on disk, two for older ones that the next
 * record names again, one for a new block: so there is always room.
 */
const VALUE_SLOTS = ['value-0', 'value-1', 'value-2', 'value-3', 'value-4', 'value-5'] as const;

/** Whole ones that the file of each slot begins with; null where there is none. */
type Sectors = Record<Slot, number | null>;

interface StoredValue extends ValueRef {
  readonly bytes: Uint8Array;
}

export function guardFolder(chainFolder: string, publicKey: PublicKey): string {
  return join(chainFolder, `sign_guard-${toHex(publicKey).slice(0, 16)}`);
}

/** @throws NodeError STORAGE when the disk cannot be read, DATA_TOO_NEW; damage is a status */
export async function openSignGuard(options: SignGuardOptions): Promise<SignGuard> {
  const { chainId, genesisHash, publicKey, store } = options;
  const folder = guardFolder(options.folder, publicKey);
  const disk = options.disk ?? nodeGuardDisk(folder);
  const identity = { chainId, genesisHash, publicKey };
  try {
    const files = { a: await disk.read('a', MAX_SLOT_BYTES), b: await disk.read('b', MAX_SLOT_BYTES) };
    const recovered = recover(identity, { a: parseSlot(files.a), b: parseSlot(files.b) }, store);
    const sectors = { a: sectorsIn(files.a), b: sectorsIn(files.b) };
    return new DiskGuard(disk, folder, identity, recovered, sectors, await readValues(disk, recovered.entry));
  } catch (error) {
    await disk.close();
    throw error instanceof NodeError ? error : storageError(error, 'read the sign guard', folder);
  }
}

class DiskGuard implements SignGuard {
  readonly #disk: GuardDisk;
  readonly #folder: string;
  readonly #identity: GuardIdentity;
  readonly #values: (StoredValue | undefined)[];
  readonly #sectors: Sectors;
  /** Slots not written since they were found in no certain state. */
  readonly #lost = new Set<Slot>();
  #status: GuardStatus;
  #sequence: number;
  #nextSequence: number;
  #signAbove: number;
  /** What the newest whole entry holds, also where the status lets nothing be resumed from it. */
  #entry: GuardEntry | null;
  #lastSlot = -1;
  #busy = false;
  #failure: NodeError | undefined;

  constructor(
    disk: GuardDisk,
    folder: string,
    identity: GuardIdentity,
    recovered: Recovered,
    sectors: Sectors,
    values: (StoredValue | undefined)[],
  ) {
    this.#disk = disk;
    this.#folder = folder;
    this.#identity = identity;
    this.#sectors = sectors;
    if (recovered.reason !== '') this.#lost = new Set(['a', 'b']);
    this.#values = values;
    this.#sequence = recovered.sequence;
    this.#nextSequence = recovered.nextSequence;
    this.#signAbove = recovered.signAbove;
    this.#entry = recovered.entry;
    this.#status = statusOf(recovered);
  }

  get status(): GuardStatus {
    return this.#status;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get signAbove(): number {
    return this.#signAbove;
  }

  async save(record: GuardRecord, value?: GuardValue): Promise<void> {
    await this.#exclusive(async () => {
      const next = pruned(record);
      this.#checkAllowed(next);
      const values = await this.#writeValues(next, value);
      // Both slots exist before the first record does: from then on a missing one is damage.
      while (this.#sequence < 2 && this.#nextSequence <= 2) {
        await this.#write({ kind: 'floor', height: this.#signAbove });
      }
      await this.#write({ kind: 'record', record: next, values });
      this.#status = { kind: 'ready', record: next };
      this.#signAbove = next.height - 1;
    });
  }

  value(blockId: Hash): Uint8Array | undefined {
    const named = this.#status.kind === 'ready' && valueIds(this.#status.record).some((id) => equalBytes(id, blockId));
    return named ? this.#values.find((stored) => stored && equalBytes(stored.blockId, blockId))?.bytes : undefined;
  }

  async reset(floorHeight: number): Promise<void> {
    await this.#exclusive(async () => {
      const known = this.#entry?.kind === 'record' ? this.#entry.record.height : (this.#entry?.height ?? 0);
      if (floorHeight < known) {
        throw new NodeError('GUARD', `this key signed at height ${known} already`, {
          data: { floorHeight, known },
          hint: `pass a height of at least ${known}`,
        });
      }
      await this.#write({ kind: 'floor', height: floorHeight });
      await this.#write({ kind: 'floor', height: floorHeight });
      this.#status = { kind: 'empty' };
      this.#signAbove = floorHeight;
      for (const [i, name] of VALUE_SLOTS.entries()) {
        await this.#disk.remove(name);
        this.#values[i] = undefined;
      }
    });
  }

  async close(): Promise<void> {
    this.#failure ??= new NodeError('INTERNAL', 'the sign guard is closed');
    await this.#disk.close();
  }

  /** One call at a time, none after a failure of the disk. */
  async #exclusive(work: () => Promise<void>): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#busy) throw new NodeError('INTERNAL', 'the sign guard is being written already');
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      if (error instanceof NodeError && error.code !== 'STORAGE') throw error;
      this.#failure = error instanceof NodeError ? error : storageError(error, 'write the sign guard', this.#folder);
      throw this.#failure;
    } finally {
      this.#busy = false;
    }
  }

  #checkAllowed(next: GuardRecord): void {
    const status = this.#status;
    checkSuccessor(this.#identity, status.kind === 'ready' ? status.record : undefined, next);
    if (next.height > this.#signAbove) return;
    const reason = 'reason' in status ? status.reason : `the guard starts above height ${this.#signAbove}`;
    throw new NodeError('GUARD', `refused to sign at height ${next.height}: ${reason}`, {
      data: { height: next.height, status: status.kind, signAbove: this.#signAbove, path: this.#folder },
      hint:
        status.kind === 'uncertain' || status.kind === 'empty'
          ? 'signing goes on by itself at a later height'
          : 'make sure that this key signs nowhere else, find the highest height it signed, and start with --sign-above',
    });
  }

  async #write(entry: GuardEntry): Promise<void> {
    const sequence = this.#nextSequence;
    const payload = encodeEntry(this.#identity, entry);
    const slot = slotOf(sequence);
    const parts = slotParts(sequence, payload, this.#sectors[slot], this.#lost.delete(slot));
    await this.#disk.writeSynced(slot, parts);
    for (const { at, bytes } of parts) {
      this.#sectors[slot] = Math.max(this.#sectors[slot] ?? 0, (at + bytes.length) / SECTOR_BYTES);
    }
    this.#sequence = sequence;
    this.#nextSequence = sequence + 1;
    this.#entry = entry;
  }

  /** @returns what the next record says of its blocks, all of them on disk unless their file was damaged before */
  async #writeValues(next: GuardRecord, value: GuardValue | undefined): Promise<ValueRef[]> {
    const ids = valueIds(next);
    const lost = this.#entry?.kind === 'record' ? this.#entry.values : [];
    const refs: ValueRef[] = [];
    for (const id of ids) {
      const isIt = (ref: { readonly blockId: Hash } | undefined): boolean => !!ref && equalBytes(ref.blockId, id);
      let ref: ValueRef | undefined = this.#values.find(isIt);
      if (!ref && value && isIt(value)) ref = await this.#writeValue(value, ids);
      ref ??= lost.find(isIt);
      if (!ref) {
        throw new NodeError('INTERNAL', 'the record names a block that the sign guard was not given', {
          data: { height: next.height, blockId: toHex(id) },
        });
      }
      refs.push({ blockId: ref.blockId, payloadHash: ref.payloadHash });
    }
    return refs;
  }

  /** Into a slot that neither the record on disk nor the next one needs. */
  async #writeValue({ blockId, bytes }: GuardValue, nextIds: readonly Hash[]): Promise<ValueRef> {
    const inUse = [...nextIds, ...(this.#entry?.kind === 'record' ? valueIds(this.#entry.record) : [])];
    // Slots are taken in turn, so that a block that is named again soon is still there.
    const turns = VALUE_SLOTS.map((_, i) => (this.#lastSlot + 1 + i) % VALUE_SLOTS.length);
    const free = turns.find((i) => !inUse.some((id) => this.#values[i] && equalBytes(id, this.#values[i].blockId)));
    const name = free === undefined ? undefined : VALUE_SLOTS[free];
    if (free === undefined || name === undefined || 32 + bytes.length > MAX_PAYLOAD_BYTES) {
      throw new NodeError('INTERNAL', 'the sign guard has no room for a block', { data: { bytes: bytes.length } });
    }
    const payload = new Uint8Array(32 + bytes.length);
    payload.set(blockId);
    payload.set(bytes, 32);
    const payloadHash = sha256(payload);
    this.#lastSlot = free;
    this.#values[free] = undefined;
    await this.#disk.writeSynced(name, [{ at: 0, bytes: frameBytes(payload, payloadHash) }]);
    const stored = { blockId: payload.subarray(0, 32), payloadHash, bytes: payload.subarray(32) };
    this.#values[free] = stored;
    return stored;
  }
}

function statusOf({ kind, reason, entry }: Recovered): GuardStatus {
  if (kind === 'empty') return { kind };
  if (kind !== 'ready') return { kind, reason };
  return entry?.kind === 'record' ? { kind, record: entry.record } : { kind: 'empty' };
}

/** By slot: the values that the entry names and whose bytes are as it says. */
async function readValues(disk: GuardDisk, entry: GuardEntry | null): Promise<(StoredValue | undefined)[]> {
  const values: (StoredValue | undefined)[] = [];
  for (const name of VALUE_SLOTS) {
    const frame = entry?.kind === 'record' ? parseFrame(await disk.read(name, MAX_FRAME_BYTES)) : undefined;
    const ref =
      entry?.kind === 'record' && frame?.kind === 'valid'
        ? entry.values.find(({ payloadHash }) => equalBytes(payloadHash, frame.payloadHash))
        : undefined;
    values.push(ref && frame?.kind === 'valid' ? { ...ref, bytes: frame.payload.subarray(32) } : undefined);
  }
  return values;
}
