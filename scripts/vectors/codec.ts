/** Every primitive of the codec: values with their one encoding, and byte strings that no decoder may accept. */
import { toHex } from '../../src/bytes.ts';
import type { CodecFault } from '../../src/chain/codec.ts';

type Primitive =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'i32'
  | 'i64'
  | 'bool'
  | 'fixed'
  | 'bytes8'
  | 'bytes16'
  | 'bytes32'
  | 'ascii8';

interface CodecVector {
  readonly type: Primitive | 'count16' | 'count32';
  /** Integers in decimal, booleans in words, bytes in hex, ASCII as it is. */
  readonly value: string;
  readonly hex: string;
  /** Largest length or count the decoder is given; for `fixed` the length. */
  readonly cap?: number;
  /** Least size of an item, for counts. */
  readonly itemBytes?: number;
}

interface Rejected {
  readonly type: CodecVector['type'];
  readonly hex: string;
  readonly reason: CodecFault;
  readonly cap?: number;
  readonly itemBytes?: number;
}

const MAX_SAFE = 2n ** 53n - 1n;

function big(value: bigint, bytes: number): string {
  return BigInt.asUintN(bytes * 8, value)
    .toString(16)
    .padStart(bytes * 2, '0');
}

function integers(type: Primitive, bytes: number, values: readonly bigint[]): CodecVector[] {
  return values.map((value) => ({ type, value: value.toString(), hex: big(value, bytes) }));
}

function strings(type: 'bytes8' | 'bytes16' | 'bytes32', prefixBytes: number): CodecVector[] {
  return [0, 1, 2, 32, 255].map((length) => {
    const bytes = toHex(Uint8Array.from({ length }, (_, i) => i));
    return { type, value: bytes, hex: big(BigInt(length), prefixBytes) + bytes, cap: 255 };
  });
}

function ascii(text: string): CodecVector {
  return { type: 'ascii8', value: text, hex: big(BigInt(text.length), 1) + Buffer.from(text).toString('hex'), cap: 95 };
}

function valid(): CodecVector[] {
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join('');
  return [
    ...integers('u8', 1, [0n, 1n, 127n, 128n, 255n]),
    ...integers('u16', 2, [0n, 1n, 255n, 256n, 65535n]),
    ...integers('u32', 4, [0n, 1n, 65536n, 2n ** 31n, 2n ** 32n - 1n]),
    ...integers('u64', 8, [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 52n + 1n, MAX_SAFE]),
    ...integers('i32', 4, [0n, 1n, -1n, 2n ** 31n - 1n, -(2n ** 31n)]),
    ...integers('i64', 8, [0n, 1n, -1n, 2n ** 32n, -(2n ** 32n), MAX_SAFE, -MAX_SAFE]),
    { type: 'bool', value: 'false', hex: '00' },
    { type: 'bool', value: 'true', hex: '01' },
    { type: 'fixed', value: '', hex: '', cap: 0 },
    { type: 'fixed', value: '010203', hex: '010203', cap: 3 },
    ...strings('bytes8', 1),
    ...strings('bytes16', 2),
    ...strings('bytes32', 4),
    ascii(''),
    ascii('ait-devnet'),
    ascii(printable),
    { type: 'count16', value: '3', hex: '0003000000', cap: 3, itemBytes: 1 },
    { type: 'count32', value: '2', hex: '0000000201020304', cap: 5, itemBytes: 2 },
  ];
}

function truncated(): Rejected[] {
  const short: readonly (readonly [CodecVector['type'], string])[] = [
    ['u8', ''],
    ['u16', '00'],
    ['u32', '000000'],
    ['u64', '00000000000000'],
    ['i32', '000000'],
    ['i64', '00000000000000'],
    ['bool', ''],
    ['fixed', '0102'],
    ['bytes8', ''],
    ['bytes8', '0201'],
    ['bytes16', '00'],
    ['bytes16', '00020a'],
    ['bytes32', '000000'],
    ['bytes32', '000000020a'],
    ['ascii8', '0261'],
    ['count16', '00'],
    ['count32', '000000'],
  ];
  return short.map(([type, hex]) => ({ type, hex, reason: 'truncated', cap: 3, itemBytes: 1 }));
}

function trailing(): Rejected[] {
  return valid()
    .filter(({ type }) => !type.startsWith('count'))
    .filter((vector, i, all) => all.findIndex(({ type }) => type === vector.type) === i)
    .map(({ type, hex, cap }) => ({
      type,
      hex: `${hex}00`,
      reason: 'trailing',
      ...(cap === undefined ? {} : { cap }),
    }));
}

function rejected(): Rejected[] {
  return [
    ...truncated(),
    ...trailing(),
    { type: 'u64', hex: big(MAX_SAFE + 1n, 8), reason: 'out-of-range' },
    { type: 'u64', hex: 'ffffffffffffffff', reason: 'out-of-range' },
    { type: 'i64', hex: big(MAX_SAFE + 1n, 8), reason: 'out-of-range' },
    { type: 'i64', hex: big(-MAX_SAFE - 1n, 8), reason: 'out-of-range' },
    { type: 'i64', hex: '8000000000000000', reason: 'out-of-range' },
    { type: 'bool', hex: '02', reason: 'non-canonical' },
    { type: 'bool', hex: 'ff', reason: 'non-canonical' },
    { type: 'bytes8', hex: '0401020304', reason: 'over-cap', cap: 3 },
    { type: 'bytes8', hex: 'ff', reason: 'over-cap', cap: 3 },
    { type: 'bytes16', hex: 'ffff', reason: 'over-cap', cap: 65534 },
    { type: 'bytes32', hex: 'ffffffff', reason: 'over-cap', cap: 1048576 },
    { type: 'ascii8', hex: '0461626364', reason: 'over-cap', cap: 3 },
    { type: 'ascii8', hex: '011f', reason: 'non-canonical', cap: 3 },
    { type: 'ascii8', hex: '017f', reason: 'non-canonical', cap: 3 },
    { type: 'ascii8', hex: '02c3a9', reason: 'non-canonical', cap: 3 },
    { type: 'ascii8', hex: '0100', reason: 'non-canonical', cap: 3 },
    { type: 'count16', hex: '000400000000', reason: 'over-cap', cap: 3, itemBytes: 1 },
    { type: 'count16', hex: '00030000', reason: 'truncated', cap: 3, itemBytes: 1 },
    { type: 'count32', hex: 'ffffffff00', reason: 'over-cap', cap: 1000, itemBytes: 1 },
    { type: 'count32', hex: '000003e800', reason: 'truncated', cap: 1000, itemBytes: 100 },
  ];
}

export function codecVectors() {
  return { valid: valid(), rejected: rejected() };
}
