/**
 * Which instructions a module holds: those of WebAssembly 2.0 (webassembly.github.io/spec/versions/core) and no others.
 * What came later is refused: relaxed SIMD and threads, whose results differ from machine to machine; garbage collection,
 * exceptions and several memories, which a computation over bytes can do without.
 *
 * Only for modules that the engine has compiled: their structure is known to be sound.
 */

const MEMORY_SECTION = 5;
const CODE_SECTION = 10;
const HEADER_BYTES = 8;
/** A minimum alone, or with a maximum; other flags are for shared and 64-bit memories. */
const PLAIN_LIMITS: readonly number[] = [0, 1];
/** In the alignment of an access: the memory is named. */
const NAMES_MEMORY = 0x40;
const LAST_SIMD = 0xff;

/** What follows an instruction, one letter each: unsigned or signed number, memory access, byte, … */
type Immediates = string;

/** Null for an instruction that is not part of WebAssembly 2.0. */
function immediatesOf(opcode: number): Immediates | null {
  if (opcode <= 0x01 || opcode === 0x05 || opcode === 0x0b || opcode === 0x0f) return '';
  if (opcode <= 0x04) return 'u';
  if (opcode === 0x0c || opcode === 0x0d || opcode === 0x10) return 'u';
  if (opcode === 0x0e) return 'vu';
  if (opcode === 0x11) return 'uu';
  if (opcode === 0x1a || opcode === 0x1b) return '';
  if (opcode === 0x1c) return 'v';
  if (opcode >= 0x20 && opcode <= 0x26) return 'u';
  if (opcode >= 0x28 && opcode <= 0x3e) return 'm';
  if (opcode >= 0x3f && opcode <= 0x42) return 'u';
  if (opcode === 0x43) return 'bbbb';
  if (opcode === 0x44) return 'bbbbbbbb';
  if (opcode >= 0x45 && opcode <= 0xc4) return '';
  if (opcode === 0xd0 || opcode === 0xd2) return 'u';
  return opcode === 0xd1 ? '' : null;
}

/** After the prefix 0xfc: saturating conversions, memory and table in bulk. */
const BULK: readonly Immediates[] = [
  '',
  '',
  '',
  '',
  '',
  '',
  '',
  '',
  'uu',
  'u',
  'uu',
  'u',
  'uu',
  'u',
  'uu',
  'u',
  'u',
  'u',
];

/** After the prefix 0xfd. */
function simdImmediatesOf(opcode: number): Immediates | null {
  if (opcode > LAST_SIMD) return null;
  if (opcode <= 11 || opcode === 92 || opcode === 93) return 'm';
  if (opcode <= 13) return 'b'.repeat(16);
  if (opcode >= 21 && opcode <= 34) return 'b';
  return opcode >= 84 && opcode <= 91 ? 'mb' : '';
}

/** What a module holds beyond WebAssembly 2.0, in words; null for nothing. */
export function beyondWasm2(module: Uint8Array): string | null {
  const reader = new ByteReader(module, HEADER_BYTES);
  while (reader.offset < module.length) {
    const section = reader.byte();
    const size = reader.number();
    const end = reader.offset + size;
    const found =
      section === MEMORY_SECTION ? memoryBeyond(reader) : section === CODE_SECTION ? codeBeyond(reader) : null;
    if (found !== null) return found;
    reader.offset = end;
  }
  return null;
}

function memoryBeyond(reader: ByteReader): string | null {
  // The limit of memory holds for each: one is what it was chosen for.
  if (reader.number() > 1) return 'more than one memory';
  return PLAIN_LIMITS.includes(reader.byte()) ? null : 'a memory that is shared or not addressed by 32 bits';
}

function codeBeyond(reader: ByteReader): string | null {
  for (let functions = reader.number(); functions > 0; functions--) {
    const size = reader.number();
    const end = reader.offset + size;
    for (let locals = reader.number(); locals > 0; locals--) {
      reader.number();
      reader.number();
    }
    while (reader.offset < end) {
      const unknown = skipInstruction(reader);
      if (unknown !== null) return `the instruction 0x${unknown.toString(16)}`;
    }
  }
  return null;
}

/** The instruction itself when it is not one of WebAssembly 2.0. */
function skipInstruction(reader: ByteReader): number | null {
  const opcode = reader.byte();
  if (opcode === 0xfc || opcode === 0xfd) {
    const second = reader.number();
    const immediates = opcode === 0xfc ? BULK[second] : simdImmediatesOf(second);
    return skipImmediates(reader, immediates ?? null) ? null : opcode * 0x1000 + second;
  }
  return skipImmediates(reader, immediatesOf(opcode)) ? null : opcode;
}

function skipImmediates(reader: ByteReader, immediates: Immediates | null): boolean {
  if (immediates === null) return false;
  for (const immediate of immediates) {
    if (immediate === 'b') reader.byte();
    else if (immediate === 'u') reader.number();
    else if (immediate === 'v') for (let left = reader.number(); left > 0; left--) reader.number();
    else if ((reader.number() & NAMES_MEMORY) !== 0) return false;
    else reader.number();
  }
  return true;
}

class ByteReader {
  readonly #bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  byte(): number {
    return this.#bytes[this.offset++] ?? 0;
  }

  /** LEB128; of signed and large ones only the end is of interest. */
  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0) return value;
    }
  }
}
