/** Small WASI programs, assembled by hand. */

const I32 = 0x7f;
const I64 = 0x7e;

/** Parameters and result of what the programs here import. */
const SIGNATURES: Readonly<Record<string, readonly [params: readonly number[], results: readonly number[]]>> = {
  fd_write: [[I32, I32, I32, I32], [I32]],
  fd_read: [[I32, I32, I32, I32], [I32]],
  fd_prestat_get: [[I32, I32], [I32]],
  path_open: [[I32, I32, I32, I32, I32, I64, I64, I32, I32], [I32]],
  args_sizes_get: [[I32, I32], [I32]],
  args_get: [[I32, I32], [I32]],
  environ_sizes_get: [[I32, I32], [I32]],
  random_get: [[I32, I32], [I32]],
  clock_time_get: [[I32, I64, I32], [I32]],
  poll_oneoff: [[I32, I32, I32, I32], [I32]],
  proc_exit: [[I32], []],
};

export interface WasmProgram {
  /** Functions imported, called by their place here. */
  readonly imports?: readonly string[];
  readonly importModule?: string;
  /** Instructions of `_start`, without its end. */
  readonly code: readonly number[];
  readonly data?: Readonly<Record<number, Uint8Array | readonly number[]>>;
  readonly pages?: number;
  readonly memories?: number;
  readonly globals?: number;
  readonly exportMemory?: boolean;
}

export const op = {
  i32: (value: number): number[] => [0x41, ...signed(value)],
  i64: (value: number): number[] => [0x42, ...signed(value)],
  call: (index: number): number[] => [0x10, index],
  drop: [0x1a],
  unreachable: [0x00],
  load: (at: number): number[] => [0x41, 0, 0x28, 2, ...unsigned(at)],
  store: (at: number, value: readonly number[]): number[] => [0x41, 0, ...value, 0x36, 2, ...unsigned(at)],
  isZero: [0x45],
  block: (...code: readonly number[]): number[] => [0x02, 0x40, ...code, 0x0b],
  loop: (...code: readonly number[]): number[] => [0x03, 0x40, ...code, 0x0b],
  branch: (depth: number): number[] => [0x0c, depth],
  branchIf: (depth: number): number[] => [0x0d, depth],
  growMemory: [0x40, 0],
};

/** Calls an import whose result is not looked at. */
export function call(index: number, ...args: readonly number[]): number[] {
  return [...args.flatMap((arg) => op.i32(arg)), ...op.call(index), ...op.drop];
}

export function assemble(program: WasmProgram): Uint8Array<ArrayBuffer> {
  const imports = program.imports ?? [];
  const types = imports.map((name) => SIGNATURES[name] ?? [[], []]);
  const main = imports.length;
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      [...types, [[], []] as const].map(([from, to]) => [0x60, ...vector(from), ...vector(to)]),
    ),
    ...section(
      2,
      imports.map((name, index) => [
        ...text(program.importModule ?? 'wasi_snapshot_preview1'),
        ...text(name),
        0x00,
        index,
      ]),
    ),
    ...section(3, [[main]]),
    ...section(
      5,
      Array.from({ length: program.memories ?? 1 }, () => [0x00, ...unsigned(program.pages ?? 1)]),
    ),
    ...section(
      6,
      Array.from({ length: program.globals ?? 0 }, () => [I32, 0x00, ...op.i32(0), 0x0b]),
    ),
    ...section(7, [
      [...text('_start'), 0x00, main],
      ...(program.exportMemory === false ? [] : [[...text('memory'), 0x02, 0x00]]),
    ]),
    ...section(10, [sized([0x00, ...program.code, 0x0b])]),
    ...section(
      11,
      Object.entries(program.data ?? {}).map(([at, bytes]) => [
        0x00,
        ...op.i32(Number(at)),
        0x0b,
        ...vector([...bytes]),
      ]),
    ),
  ]);
}

/** Little-endian. */
export function u32(...values: readonly number[]): number[] {
  return values.flatMap((value) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]);
}

/** Copies standard input to standard output. */
export const ECHO = assemble({
  imports: ['fd_read', 'fd_write'],
  // At 0 where to read to; at 8 what to write, whose length, at 12, is what was read.
  data: { 0: u32(1024, 4096, 1024, 0) },
  code: op.block(
    ...op.loop(
      ...call(0, 0, 0, 1, 12),
      ...op.load(12),
      ...op.isZero,
      ...op.branchIf(1),
      ...call(1, 1, 8, 1, 16),
      ...op.branch(0),
    ),
  ),
});

/** Writes a text to standard output or error, then goes on with `code`; its imports begin at 1. */
export function writing(
  fd: 1 | 2,
  what: string,
  code: readonly number[] = [],
  imports: readonly string[] = [],
): Uint8Array {
  const bytes = new TextEncoder().encode(what);
  return assemble({
    imports: ['fd_write', ...imports],
    data: { 0: u32(64, bytes.length), 64: bytes },
    code: [...call(0, fd, 0, 1, 16), ...code],
  });
}

/** Writes the bytes that `fill` put at 1024. */
export function showing(
  imports: readonly string[],
  fill: readonly number[],
  length: number,
  data: WasmProgram['data'] = {},
): Uint8Array<ArrayBuffer> {
  return assemble({
    imports: ['fd_write', ...imports],
    data: { ...data, 0: u32(1024, length) },
    code: [...fill, ...call(0, 1, 0, 1, 16)],
  });
}

export const FOREVER = op.loop(...op.branch(0));

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  if (entries.length === 0) return [];
  return [id, ...sized([...unsigned(entries.length), ...entries.flat()])];
}

function vector(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

function sized(bytes: readonly number[]): number[] {
  return vector(bytes);
}

function text(value: string): number[] {
  return vector([...new TextEncoder().encode(value)]);
}

function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signed(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}
