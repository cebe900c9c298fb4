/** The work that jobs of the kill test have done: a WASI program that counts for a while and writes, again and again. */

const PIECE_BYTES = 1024;
const PIECES = 10;
/** Some 0.1 s of computing each. */
const COUNTS = 100_000_000n;

/** What it writes. */
export const OUTPUT = 'The quick brown fox jumps over the lazy dog 1234567890 times. '
  .repeat(17)
  .slice(0, PIECE_BYTES)
  .repeat(PIECES);

const [I32, I64] = [0x7f, 0x7e];
/** Where the text lies, behind the list of what is written and the count of it. */
const TEXT = 64;

/** Base64 of the module. */
export function slowWriter(): string {
  const [countDown, piece] = [0, 1];
  const work = [
    ...[0x42, ...signed(0n), 0x21, countDown],
    ...loop(0x20, countDown, 0x42, 1, 0x7c, 0x22, countDown, 0x42, ...signed(COUNTS), 0x54, 0x0d, 0),
    // fd_write(stdout, list, 1, written)
    ...[0x41, 1, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a],
    ...[0x20, piece, 0x41, 1, 0x6a, 0x22, piece, 0x41, PIECES, 0x49, 0x0d, 0],
  ];
  const body = [2, 1, I64, 1, I32, ...loop(...work), 0x0b];
  const list = [TEXT, 0, 0, 0, PIECE_BYTES & 0xff, PIECE_BYTES >> 8, 0, 0];
  const module = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [2, 0x60, 4, I32, I32, I32, I32, 1, I32, 0x60, 0, 0]),
    ...section(2, [1, ...name('wasi_snapshot_preview1'), ...name('fd_write'), 0, 0]),
    ...section(3, [1, 1]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('_start'), 0, 1]),
    ...section(10, [1, ...sized(body)]),
    ...section(11, [
      2,
      ...[0, 0x41, 0, 0x0b, ...sized(list)],
      ...[0, 0x41, ...signed(BigInt(TEXT)), 0x0b, ...sized([...Buffer.from(OUTPUT.slice(0, PIECE_BYTES))])],
    ]),
  ];
  return Buffer.from(module).toString('base64');
}

function loop(...code: readonly number[]): number[] {
  return [0x03, 0x40, ...code, 0x0b];
}

function section(id: number, body: readonly number[]): number[] {
  return [id, ...sized(body)];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

function sized(bytes: readonly number[]): number[] {
  const length: number[] = [];
  let left = bytes.length;
  for (; left > 0x7f; left >>= 7) length.push((left & 0x7f) | 0x80);
  return [...length, left, ...bytes];
}

/** LEB128. */
function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let left = value; ; ) {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    if ((left === 0n && (low & 0x40) === 0) || (left === -1n && (low & 0x40) !== 0)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}
