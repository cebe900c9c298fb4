/**
 * A slot of the sign guard: one record, over sectors of 512 bytes each of which says to what it belongs. A sector is
 * "AITGUARD", version u16, its index u32, sequence u64, length of the payload u32, SHA-256 of the payload, 438 bytes of
 * the payload, and the first 16 bytes of the SHA-256 of all this. What follows the record in its file is left of longer
 * ones, or says nothing (sequence 0).
 *
 * A disk writes a sector whole or not at all. So a process killed while it writes, or a power cut, leaves whole sectors of
 * two records: that tells an interrupted write, whose signature never left, from damage, after which the node must sit out
 * a height. One sync is enough for it.
 */
import { equalBytes } from '../bytes.ts';
import { Writer } from '../chain/codec.ts';
import type { DiskPart } from './guard-disk.ts';
import type { Frame } from './guard-file.ts';
import { FRAME_VERSION, MAGIC, MAX_PAYLOAD_BYTES, parseFrame, refuseNewer, sha256, versionOf } from './guard-file.ts';

const VERSION = 2;
export const SECTOR_BYTES = 512;
const CHECK_BYTES = 16;
const STAMP_BYTES = MAGIC.length + 2 + 4 + 8 + 4 + 32;
const DATA_BYTES = SECTOR_BYTES - STAMP_BYTES - CHECK_BYTES;
/** Of a new slot: most records fit, and a longer one is written once with its slot's growth. */
const LEAST_SECTORS = 8;

export const MAX_SLOT_BYTES = SECTOR_BYTES * sectorsOf(MAX_PAYLOAD_BYTES);

/** To what a sector belongs. */
interface Stamp {
  readonly sequence: number;
  readonly length: number;
  readonly payloadHash: Uint8Array;
}

interface Sector extends Stamp {
  readonly data: Uint8Array;
}

const NOTHING: Stamp = { sequence: 0, length: 0, payloadHash: new Uint8Array(32) };
/** Over a record that may have been the newest: until the next one is there whole, the slot counts as damaged. */
const LOST: Stamp = { ...NOTHING, length: 1 };

/**
 * @param there whole sectors that the file begins with; null where there is no file, which is then written whole
 * @param isLost its record is damaged, and may be the newest
 */
export function slotParts(sequence: number, payload: Uint8Array, there: number | null, isLost: boolean): DiskPart[] {
  const stamp = { sequence, length: payload.length, payloadHash: sha256(payload) };
  const count = sectorsOf(payload.length);
  const sectors = Array.from({ length: count }, (_, i) =>
    sectorOf(stamp, i, payload.subarray(i * DATA_BYTES, (i + 1) * DATA_BYTES)),
  );
  if (there === null) return [{ at: 0, bytes: Buffer.concat([...sectors, ...fill(count, LEAST_SECTORS)]) }];
  const written = { at: 0, bytes: Buffer.concat(sectors) };
  // What is left of a lost record, beside some sectors of this one, must not look like an interrupted write.
  if (isLost) return [{ at: 0, bytes: Buffer.concat(fill(0, count, LOST)) }, written];
  // Else a power cut might leave what damage leaves: a file that lacks its end, or sectors of no form, or of the older one.
  return count > there ? [{ at: there * SECTOR_BYTES, bytes: Buffer.concat(fill(there, count)) }, written] : [written];
}

/** Whole ones that it begins with; null of no file. */
export function sectorsIn(file: Uint8Array | undefined): number | null {
  if (file === undefined) return null;
  let count = 0;
  while (readSector(file, count)) count++;
  return count;
}

/** Also of the form before this one, a frame. @throws NodeError DATA_TOO_NEW */
export function parseSlot(bytes: Uint8Array | undefined): Frame {
  if (bytes === undefined) return { kind: 'absent' };
  if (versionOf(bytes) === FRAME_VERSION) return parseFrame(bytes);
  const first = readSector(bytes, 0);
  if (!first) return { kind: 'damaged', sequence: null };
  if (isSame(first, LOST)) return { kind: 'damaged', sequence: null };
  // A slot of the older form that takes this one.
  if (isSame(first, NOTHING)) return { kind: 'interrupted', sequence: 0 };
  const sectors = [first];
  for (let i = 1; i < sectorsOf(first.length); i++) {
    const sector = readSector(bytes, i);
    if (!sector) return { kind: 'damaged', sequence: first.sequence };
    sectors.push(sector);
  }
  if (sectors.some((sector) => isSame(sector, LOST))) return { kind: 'damaged', sequence: null };
  if (!sectors.every((sector) => isSame(sector, first))) {
    return { kind: 'interrupted', sequence: Math.max(...sectors.map(({ sequence }) => sequence)) };
  }
  const payload = Buffer.concat(sectors.map(({ data }) => data)).subarray(0, first.length);
  if (!equalBytes(sha256(payload), first.payloadHash)) return { kind: 'damaged', sequence: first.sequence };
  const { sequence, payloadHash } = first;
  return { kind: 'valid', sequence, payload: new Uint8Array(payload), payloadHash };
}

function sectorsOf(length: number): number {
  return Math.max(1, Math.ceil(length / DATA_BYTES));
}

function fill(from: number, to: number, stamp = NOTHING): Uint8Array[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => sectorOf(stamp, from + i, new Uint8Array()));
}

function sectorOf({ sequence, length, payloadHash }: Stamp, index: number, data: Uint8Array): Uint8Array {
  const padded = new Uint8Array(DATA_BYTES);
  padded.set(data);
  const checked = new Writer(SECTOR_BYTES)
    .raw(MAGIC)
    .u16(VERSION)
    .u32(index)
    .u64(sequence)
    .u32(length)
    .fixed(payloadHash, 32)
    .raw(padded)
    .finish();
  return new Writer(SECTOR_BYTES).raw(checked).raw(checkOf(checked)).finish();
}

function checkOf(checked: Uint8Array): Uint8Array {
  return sha256(checked).subarray(0, CHECK_BYTES);
}

/** Undefined when it is damaged, of another place, or missing. */
function readSector(file: Uint8Array, index: number): Sector | undefined {
  const bytes = file.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
  const checked = bytes.subarray(0, SECTOR_BYTES - CHECK_BYTES);
  if (bytes.length < SECTOR_BYTES || !equalBytes(checkOf(checked), bytes.subarray(checked.length))) return undefined;
  const version = versionOf(bytes);
  if (version === null) return undefined;
  refuseNewer(version, VERSION);
  const view = new DataView(bytes.buffer, bytes.byteOffset + MAGIC.length, STAMP_BYTES - MAGIC.length);
  if (view.getUint32(2) !== index) return undefined;
  const length = view.getUint32(14);
  return {
    sequence: Number(view.getBigUint64(6)),
    length,
    payloadHash: bytes.subarray(STAMP_BYTES - 32, STAMP_BYTES),
    data: bytes.subarray(STAMP_BYTES, STAMP_BYTES + DATA_BYTES),
  };
}

function isSame(a: Stamp, b: Stamp): boolean {
  return a.sequence === b.sequence && a.length === b.length && equalBytes(a.payloadHash, b.payloadHash);
}
