/**
 * LevelDB's files, as far as checking them needs: logs (doc/log_format.md; the MANIFEST is one too), tables
 * (doc/table_format.md), version edits (db/version_edit.cc), and the blocks' compression (Snappy, format_description.txt).
 * Nothing here writes.
 */
import { concatBytes, equalBytes } from '../bytes.ts';
import { maskedCrc32c } from './crc32c.ts';

/** Thrown inside this file only where bytes are not of the form; callers say what that means. */
export class FormatFault extends Error {}

const LOG_BLOCK_BYTES = 32_768;
const RECORD_HEADER_BYTES = 7;
const RECORD = { FULL: 1, FIRST: 2, MIDDLE: 3, LAST: 4 } as const;

export interface LogContent {
  /** Up to the first fragment that is not whole. */
  readonly records: readonly Uint8Array[];
  /** `tail`: the last bytes are not whole, as a crash leaves them. `hole`: whole fragments follow what is not. */
  readonly fault: null | 'tail' | 'hole';
}

export function readLog(file: Uint8Array): LogContent {
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  for (let at = 0; at < file.length; ) {
    const blockEnd = Math.min(file.length, at - (at % LOG_BLOCK_BYTES) + LOG_BLOCK_BYTES);
    if (at - (at % LOG_BLOCK_BYTES) + LOG_BLOCK_BYTES - at < RECORD_HEADER_BYTES) {
      at = blockEnd;
      continue;
    }
    const fragment = fragmentAt(file, at, blockEnd);
    if (!fragment) return { records, fault: fragmentFollows(file, at + 1) ? 'hole' : 'tail' };
    const { type, payload } = fragment;
    if (type === RECORD.FULL || type === RECORD.FIRST) parts = [];
    parts.push(payload);
    if (type === RECORD.FULL || type === RECORD.LAST) records.push(concatBytes(parts));
    at += RECORD_HEADER_BYTES + payload.length;
  }
  return { records, fault: null };
}

function fragmentAt(
  file: Uint8Array,
  at: number,
  blockEnd: number,
): { readonly type: number; readonly payload: Uint8Array } | undefined {
  if (at + RECORD_HEADER_BYTES > blockEnd) return undefined;
  const length = (file[at + 4] ?? 0) | ((file[at + 5] ?? 0) << 8);
  const type = file[at + 6] ?? 0;
  const end = at + RECORD_HEADER_BYTES + length;
  if (type < RECORD.FULL || type > RECORD.LAST || end > blockEnd) return undefined;
  if (maskedCrc32c(file.subarray(at + 6, end)) !== u32(file, at)) return undefined;
  return { type, payload: file.subarray(at + RECORD_HEADER_BYTES, end) };
}

/** Any offset may begin one, as a length may be what is damaged. */
function fragmentFollows(file: Uint8Array, from: number): boolean {
  for (let at = from; at + RECORD_HEADER_BYTES <= file.length; at++) {
    const blockEnd = Math.min(file.length, at - (at % LOG_BLOCK_BYTES) + LOG_BLOCK_BYTES);
    if (fragmentAt(file, at, blockEnd)) return true;
  }
  return false;
}

export interface LiveFiles {
  /** Size by number. */
  readonly tables: ReadonlyMap<number, number>;
  /** Logs from this number on are replayed. */
  readonly logNumber: number;
}

const EDIT = {
  COMPARATOR: 1,
  LOG: 2,
  NEXT: 3,
  SEQUENCE: 4,
  POINTER: 5,
  DELETED: 6,
  ADDED: 7,
  PREVIOUS_LOG: 9,
} as const;

/** What the edits of a MANIFEST add up to. @throws FormatFault */
export function liveFiles(edits: readonly Uint8Array[]): LiveFiles {
  const tables = new Map<number, number>();
  let logNumber = 0;
  for (const edit of edits) {
    const bytes = new Bytes(edit);
    while (bytes.remaining > 0) {
      switch (bytes.varint()) {
        case EDIT.COMPARATOR:
          bytes.sized();
          break;
        case EDIT.LOG:
          logNumber = bytes.varint();
          break;
        case EDIT.NEXT:
        case EDIT.SEQUENCE:
        case EDIT.PREVIOUS_LOG:
          bytes.varint();
          break;
        case EDIT.POINTER:
          bytes.varint();
          bytes.sized();
          break;
        case EDIT.DELETED:
          bytes.varint();
          tables.delete(bytes.varint());
          break;
        case EDIT.ADDED: {
          bytes.varint();
          const number = bytes.varint();
          tables.set(number, bytes.varint());
          bytes.sized();
          bytes.sized();
          break;
        }
        default:
          throw new FormatFault('an edit of an unknown kind');
      }
    }
  }
  return { tables, logNumber };
}

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

interface Handle {
  readonly at: number;
  readonly size: number;
}

/** Verifies the checksum of every block of a table; nothing lies between them. @throws FormatFault */
export function checkTable(file: Uint8Array): void {
  const footer = file.subarray(Math.max(0, file.length - FOOTER_BYTES));
  if (footer.length < FOOTER_BYTES || !equalBytes(footer.subarray(FOOTER_BYTES - MAGIC.length), MAGIC)) {
    throw new FormatFault('its end is not that of a table');
  }
  const handles = new Bytes(footer);
  const metaIndex = handles.handle();
  const index = handles.handle();
  if (endOf(index) !== file.length - FOOTER_BYTES || endOf(metaIndex) !== index.at) {
    throw new FormatFault('its footer does not fit');
  }
  let at = 0;
  for (const handle of handlesOf(checkedBlock(file, index))) {
    if (handle.at !== at) throw new FormatFault('its blocks do not follow each other');
    checkBlock(file, handle);
    at = endOf(handle);
  }
  // The filter, which the index of the meta blocks names.
  if (at < metaIndex.at) checkBlock(file, { at, size: metaIndex.at - at - TRAILER_BYTES });
  checkBlock(file, metaIndex);
}

function endOf({ at, size }: Handle): number {
  return at + size + TRAILER_BYTES;
}

function checkBlock(file: Uint8Array, { at, size }: Handle): void {
  const checked = file.subarray(at, at + size + 1);
  if (size < 0 || checked.length !== size + 1 || maskedCrc32c(checked) !== u32(file, at + size + 1)) {
    throw new FormatFault('the checksum of a block is wrong');
  }
}

/** Its content, uncompressed. */
function checkedBlock(file: Uint8Array, handle: Handle): Uint8Array {
  checkBlock(file, handle);
  const stored = file.subarray(handle.at, handle.at + handle.size);
  const compression = file[handle.at + handle.size];
  if (compression === 0) return stored;
  if (compression === 1) return unsnappy(stored);
  throw new FormatFault('a block is compressed in an unknown way');
}

/** The values of an index block: where the table's blocks lie. */
function handlesOf(block: Uint8Array): Handle[] {
  const restarts = u32(block, block.length - 4);
  const entries = new Bytes(block.subarray(0, Math.max(0, block.length - 4 - restarts * 4)));
  const handles: Handle[] = [];
  while (entries.remaining > 0) {
    entries.varint();
    const keyBytes = entries.varint();
    const valueBytes = entries.varint();
    entries.take(keyBytes);
    handles.push(new Bytes(entries.take(valueBytes)).handle());
  }
  return handles;
}

/** Reads numbers as LevelDB writes them. */
class Bytes {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.take(1)[0] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new FormatFault('a number is too large');
  }

  sized(): Uint8Array {
    return this.take(this.varint());
  }

  handle(): Handle {
    return { at: this.varint(), size: this.varint() };
  }

  take(length: number): Uint8Array {
    if (length > this.remaining) throw new FormatFault('it ends early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** Blocks are some kilobytes, an index up to a few hundred. */
const MAX_UNCOMPRESSED_BYTES = 64 * 1024 * 1024;

function unsnappy(compressed: Uint8Array): Uint8Array {
  const input = new Bytes(compressed);
  const length = input.varint();
  if (length > MAX_UNCOMPRESSED_BYTES) throw new FormatFault('a block is too large');
  const output = new Uint8Array(length);
  let at = 0;
  while (input.remaining > 0) {
    const tag = input.take(1)[0] ?? 0;
    const high = tag >>> 2;
    if ((tag & 3) === 0) {
      const size = (high < 60 ? high : little(input.take(high - 59))) + 1;
      if (at + size > length) throw new FormatFault('a block does not uncompress');
      output.set(input.take(size), at);
      at += size;
      continue;
    }
    const isShort = (tag & 3) === 1;
    const size = isShort ? (high & 7) + 4 : high + 1;
    const back = isShort ? ((tag >>> 5) << 8) | little(input.take(1)) : little(input.take((tag & 3) === 2 ? 2 : 4));
    if (back === 0 || back > at || at + size > length) throw new FormatFault('a block does not uncompress');
    for (let i = 0; i < size; i++, at++) output[at] = output[at - back] ?? 0;
  }
  if (at !== length) throw new FormatFault('a block does not uncompress');
  return output;
}

function little(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return at < 0 ? 0 : little(bytes.subarray(at, at + 4));
}
