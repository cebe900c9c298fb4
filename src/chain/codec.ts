/**
 * The one canonical encoding: fixed-width big-endian integers, length-prefixed byte strings, nothing optional without a
 * presence byte of 0 or 1. A value has exactly one encoding, and a decoder accepts exactly that one: it checks every
 * count and length against its cap and against the bytes left before it allocates, and rejects trailing bytes.
 */
import { NodeError } from '../errors.ts';

/** Largest integer a u64 field may hold here: amounts and heights stay exact as JavaScript numbers. */
export const MAX_U64 = Number.MAX_SAFE_INTEGER;

const TWO_32 = 2 ** 32;

export type CodecFault = 'truncated' | 'trailing' | 'non-canonical' | 'over-cap' | 'out-of-range';

function fault(reason: CodecFault, what: string): NodeError {
  return new NodeError('CODEC', `cannot decode ${what}: ${reason}`, { data: { reason, what } });
}

function unencodable(what: string): NodeError {
  const reason: CodecFault = 'out-of-range';
  return new NodeError('CODEC', `cannot encode: not ${what}`, { data: { reason, what } });
}

interface Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Buffers of finished writers, for the next ones: making one costs more than what is mostly written to it. */
const spare: Scratch[] = [];
const MAX_SPARE = 16;
/** Larger ones are left to the garbage collector; smaller ones are not made. */
const MAX_SPARE_BYTES = 4096;
const MIN_SCRATCH_BYTES = 512;

function scratchOf(size: number): Scratch {
  const bytes = new Uint8Array(Math.max(size, MIN_SCRATCH_BYTES));
  return { bytes, view: new DataView(bytes.buffer) };
}

/** Results of middling size are cut from one buffer: memory of their own costs more than the encoding. */
const SLAB_BYTES = 4096;
const CUT_BYTES = { above: 64, upTo: 512 };
let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;

function copyOf(bytes: Uint8Array, length: number): Uint8Array {
  if (length <= CUT_BYTES.above || length > CUT_BYTES.upTo) return bytes.slice(0, length);
  if (slabUsed + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const copy = slab.subarray(slabUsed, slabUsed + length);
  copy.set(bytes.subarray(0, length));
  slabUsed += length;
  return copy;
}

const SPENT = { bytes: new Uint8Array(), view: new DataView(new ArrayBuffer()) };

/** Appends to a buffer that grows, until finished. Encoders throw NodeError CODEC on values that have no encoding. */
export class Writer {
  #scratch: Scratch;
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(sizeHint = 256) {
    this.#scratch = sizeHint > MAX_SPARE_BYTES ? scratchOf(sizeHint) : (spare.pop() ?? scratchOf(sizeHint));
    this.#bytes = this.#scratch.bytes;
    this.#view = this.#scratch.view;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written, as a copy of exact size that may share its buffer with others. Ends the writer. */
  finish(): Uint8Array {
    if (this.#scratch === SPENT) throw new NodeError('INTERNAL', 'a writer was used after its end');
    const bytes = copyOf(this.#bytes, this.#length);
    if (this.#bytes.length <= MAX_SPARE_BYTES && spare.length < MAX_SPARE) spare.push(this.#scratch);
    this.#use(SPENT);
    return bytes;
  }

  u8(value: number): this {
    const at = this.#grow(1, value, 0xff);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2, value, 0xffff);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4, value, 0xffff_ffff);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: number): this {
    const at = this.#grow(8, value, MAX_U64);
    this.#view.setUint32(at, Math.floor(value / TWO_32));
    this.#view.setUint32(at + 4, value % TWO_32);
    return this;
  }

  i32(value: number): this {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff) throw unencodable('an i32');
    const at = this.#grow(4, 0, 0);
    this.#view.setInt32(at, value);
    return this;
  }

  /** Two's complement, within ±(2^53 − 1). */
  i64(value: number): this {
    if (!Number.isSafeInteger(value)) throw unencodable('an i64');
    const at = this.#grow(8, 0, 0);
    this.#view.setInt32(at, Math.floor(value / TWO_32));
    this.#view.setUint32(at + 4, value >>> 0);
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** Exactly `length` bytes, no prefix. */
  fixed(bytes: Uint8Array, length: number): this {
    if (bytes.length !== length) throw unencodable(`${length} bytes`);
    return this.raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length, 0, 0);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** u8 length, then the bytes. */
  bytes8(bytes: Uint8Array): this {
    return this.u8(bytes.length).raw(bytes);
  }

  /** u16 length, then the bytes. */
  bytes16(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  /** u32 length, then the bytes. */
  bytes32(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** u8 length, then printable ASCII. */
  ascii8(text: string): this {
    this.u8(text.length);
    const at = this.#grow(text.length, 0, 0);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code > 0x7e) throw unencodable('printable ASCII');
      this.#bytes[at + i] = code;
    }
    return this;
  }

  #grow(size: number, value: number, max: number): number {
    if (!Number.isInteger(value) || value < 0 || value > max) throw unencodable(`an integer up to ${max}`);
    const at = this.#length;
    const needed = at + size;
    if (needed > this.#bytes.length) this.#enlarge(needed);
    this.#length = needed;
    return at;
  }

  #enlarge(needed: number): void {
    if (this.#scratch === SPENT) throw new NodeError('INTERNAL', 'a writer was used after its end');
    const larger = scratchOf(Math.max(needed, this.#bytes.length * 2));
    larger.bytes.set(this.#bytes.subarray(0, this.#length));
    this.#use(larger);
  }

  #use(scratch: Scratch): void {
    this.#scratch = scratch;
    this.#bytes = scratch.bytes;
    this.#view = scratch.view;
  }
}

/** Nothing can be written to it, so one serves all. */
const NO_BYTES = new Uint8Array();

/** Reads one value from bytes. Byte strings come back as views of the input: do not mutate it afterwards. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what names the value in errors, e.g. "transaction" */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  get position(): number {
    return this.#at;
  }

  u8(): number {
    return this.#byte(this.#take(1));
  }

  u16(): number {
    const at = this.#take(2);
    return (this.#byte(at) << 8) | this.#byte(at + 1);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high > 0x1f_ffff) throw fault('out-of-range', this.#what);
    return high * TWO_32 + low;
  }

  /** Without a DataView: making one costs more than most readers read. */
  i32(): number {
    const at = this.#take(4);
    const [a, b, c, d] = [this.#byte(at), this.#byte(at + 1), this.#byte(at + 2), this.#byte(at + 3)];
    return (a << 24) | (b << 16) | (c << 8) | d;
  }

  i64(): number {
    const value = this.i32() * TWO_32 + this.u32();
    if (!Number.isSafeInteger(value)) throw fault('out-of-range', this.#what);
    return value;
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw fault('non-canonical', this.#what);
    return value === 1;
  }

  fixed(length: number): Uint8Array {
    const at = this.#take(length);
    return length === 0 ? NO_BYTES : this.#bytes.subarray(at, at + length);
  }

  /** Passes over so many bytes. */
  skip(length: number): void {
    this.#take(length);
  }

  /** Passes over what `bytes32` would read. */
  skipBytes32(cap: number): void {
    this.#take(this.#capped(this.u32(), cap));
  }

  bytes8(cap: number): Uint8Array {
    return this.fixed(this.#capped(this.u8(), cap));
  }

  bytes16(cap: number): Uint8Array {
    return this.fixed(this.#capped(this.u16(), cap));
  }

  bytes32(cap: number): Uint8Array {
    return this.fixed(this.#capped(this.u32(), cap));
  }

  ascii8(cap: number): string {
    let text = '';
    for (const code of this.bytes8(cap)) {
      if (code < 0x20 || code > 0x7e) throw fault('non-canonical', this.#what);
      text += String.fromCharCode(code);
    }
    return text;
  }

  /** A u16 count of items that take at least `itemBytes` each. */
  count16(cap: number, itemBytes: number): number {
    return this.#counted(this.u16(), cap, itemBytes);
  }

  /** A u32 count of items that take at least `itemBytes` each. */
  count32(cap: number, itemBytes: number): number {
    return this.#counted(this.u32(), cap, itemBytes);
  }

  /** Rejects bytes after the value. Every top-level decoder ends with this. */
  end(): void {
    if (this.remaining !== 0) throw fault('trailing', this.#what);
  }

  /** For decoders that find a value whose form is not the canonical one (order, duplicates, spare bits). */
  reject(reason: CodecFault): NodeError {
    return fault(reason, this.#what);
  }

  #byte(at: number): number {
    return this.#bytes[at] as number;
  }

  #take(size: number): number {
    if (size > this.remaining) throw fault('truncated', this.#what);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  #capped(length: number, cap: number): number {
    if (length > cap) throw fault('over-cap', this.#what);
    return length;
  }

  #counted(count: number, cap: number, itemBytes: number): number {
    if (count > cap) throw fault('over-cap', this.#what);
    if (count * itemBytes > this.remaining) throw fault('truncated', this.#what);
    return count;
  }
}
