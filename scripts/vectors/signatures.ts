/**
 * Signatures at every edge of the verification rule. Each is built on the curve's points so that, wherever possible,
 * the equation itself holds and only the one rule that the vector names decides.
 */
import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes, fromHex, toHex, utf8 } from '../../src/bytes.ts';
import { createPureSigner } from '../../src/chain/crypto/pure.ts';
import { NodeError } from '../../src/errors.ts';

export interface SignatureVector {
  readonly name: string;
  readonly message: string;
  readonly signature: string;
  readonly publicKey: string;
  readonly valid: boolean;
  readonly note: string;
}

const { Point } = ed25519;
type Point = InstanceType<typeof Point>;

const L = Point.Fn.ORDER;
const P = Point.Fp.ORDER;
const TORSION = ED25519_TORSION_SUBGROUP.map((hex) => Point.fromHex(hex, true));
const [, T8 = Point.ZERO, T4 = Point.ZERO, , T2 = Point.ZERO] = TORSION;

/** The six encodings of points of small order that are not canonical. */
const NON_CANONICAL_SMALL: readonly (readonly [string, string])[] = [
  ['identity with sign bit', `01${'00'.repeat(30)}80`],
  ['identity as y = p + 1', `ee${'ff'.repeat(30)}7f`],
  ['identity as y = p + 1 with sign bit', `ee${'ff'.repeat(30)}ff`],
  ['order 2 with sign bit', `ec${'ff'.repeat(30)}ff`],
  ['order 4 as y = p', `ed${'ff'.repeat(30)}7f`],
  ['order 4 as y = p with sign bit', `ed${'ff'.repeat(30)}ff`],
];

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.slice().reverse())}`);
}

function bytes32(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).reverse();
}

function scalarOf(label: string): bigint {
  return littleEndian(sha512(utf8(label))) % L;
}

const a = scalarOf('a');
const r = scalarOf('r');
const A = Point.BASE.multiply(a);
const R = Point.BASE.multiply(r);
const pureA = A.toBytes();

function challenge(encodedR: Uint8Array, encodedA: Uint8Array, message: Uint8Array): bigint {
  return littleEndian(sha512(concatBytes([encodedR, encodedA, message]))) % L;
}

interface Parts {
  readonly message: Uint8Array;
  readonly encodedR: Uint8Array;
  readonly encodedA: Uint8Array;
  readonly s: bigint;
}

function vector(name: string, parts: Parts, valid: boolean, note: string): SignatureVector {
  return {
    name,
    message: toHex(parts.message),
    signature: toHex(parts.encodedR) + toHex(bytes32(parts.s)),
    publicKey: toHex(parts.encodedA),
    valid,
    note,
  };
}

/**
 * A signature by key `keyScalar`·B + torsionA with nonce `nonce`·B + torsionR: messages are tried until the torsion parts
 * cancel as asked: then `[S]B = R + [k]A` holds, or fails while 8 times both sides are equal.
 */
function mixed(
  torsionA: Point,
  torsionR: Point,
  holds: boolean,
  options: { encodedA?: Uint8Array; encodedR?: Uint8Array; keyScalar?: bigint; nonce?: bigint } = {},
): Parts {
  const { keyScalar = a, nonce = r } = options;
  const encodedA = options.encodedA ?? Point.BASE.multiplyUnsafe(keyScalar).add(torsionA).toBytes();
  const encodedR = options.encodedR ?? Point.BASE.multiplyUnsafe(nonce).add(torsionR).toBytes();
  for (let i = 0; i < 1000; i++) {
    const message = utf8(`message ${i}`);
    const k = challenge(encodedR, encodedA, message);
    if (torsionA.multiplyUnsafe(k).add(torsionR).is0() === holds) {
      return { message, encodedR, encodedA, s: (nonce + k * keyScalar) % L };
    }
  }
  throw new NodeError('INTERNAL', 'no message makes the torsion parts fit');
}

const RFC_8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
] as const;

function ordinary(): SignatureVector[] {
  const rfc = RFC_8032.map(([seed, message, signature], i) => {
    const { publicKey } = createPureSigner(fromHex(seed));
    const note = 'RFC 8032, 7.1';
    return { name: `RFC 8032 test ${i + 1}`, message, signature, publicKey: toHex(publicKey), valid: true, note };
  });
  const signer = createPureSigner(sha512(utf8('seed')).subarray(0, 32));
  const sized = [0, 1, 1023, 1024, 1025].map((size) => {
    const message = new Uint8Array(size).map((_, i) => i % 251);
    const signature = toHex(signer.sign(message));
    const publicKey = toHex(signer.publicKey);
    return { name: `message of ${size} bytes`, message: toHex(message), signature, publicKey, valid: true, note: '' };
  });
  return [...rfc, ...sized];
}

/** Keys and nonces that have a part of small order beside the one of prime order. */
function mixedOrder(): SignatureVector[] {
  const orders: readonly (readonly [number, Point])[] = [
    [2, T2],
    [4, T4],
    [8, T8],
  ];
  const cofactored = 'only 8 times the equation holds: a cofactored verifier would accept';
  return orders.flatMap(([order, torsion]) => {
    const parts = mixed(torsion, Point.ZERO, true);
    return [
      vector(`mixed-order A (${order}), equation holds`, parts, true, 'A has a part of small order, k cancels it'),
      vector(`mixed-order A (${order}), equation fails`, mixed(torsion, Point.ZERO, false), false, cofactored),
      vector(
        `mixed-order A and R (${order}), equation holds`,
        mixed(torsion, torsion, true),
        true,
        'the parts of small order of R and [k]A cancel each other',
      ),
      vector(`mixed-order A and R (${order}), equation fails`, mixed(torsion, torsion, false), false, cofactored),
      vector(`mixed-order R (${order}) with A of prime order`, mixed(Point.ZERO, torsion, false), false, cofactored),
    ];
  });
}

/** Keys and nonces of small order, in all 14 encodings, the equation holding. */
function smallOrder(): SignatureVector[] {
  const encodings = [
    ...TORSION.map((point) => [point.is0() ? 'identity' : `order ${orderOf(point)}`, point.toHex(), ''] as const),
    ...NON_CANONICAL_SMALL.map(([name, hex]) => [name, hex, ', and its encoding is not canonical'] as const),
  ];
  return encodings.flatMap(([name, hex, note]) => {
    const point = Point.fromHex(hex, true);
    const bytes = fromHex(hex);
    return [
      vector(
        `small-order A: ${name}, ${hex.slice(0, 4)}…${hex.slice(-2)}`,
        mixed(point, Point.ZERO, true, { encodedA: bytes, keyScalar: 0n }),
        false,
        `the equation holds but A is of small order${note}`,
      ),
      vector(
        `small-order R: ${name}, ${hex.slice(0, 4)}…${hex.slice(-2)}`,
        mixed(point.negate(), point, true, { encodedR: bytes, nonce: 0n }),
        false,
        `the equation holds but R is of small order${note}`,
      ),
    ];
  });
}

function orderOf(point: Point): number {
  let order = 1;
  for (let sum = point; !sum.is0(); sum = sum.add(point)) order += 1;
  return order;
}

/** y of 2 to 18, written as y + p: points of large order whose scalar nobody knows, so the equation cannot hold. */
function nonCanonicalY(): SignatureVector[] {
  const good = mixed(Point.ZERO, Point.ZERO, true);
  return Array.from({ length: 17 }, (_, i) => BigInt(i + 2)).flatMap((y) => {
    const encoded = bytes32(y + P);
    const kind = onCurve(bytes32(y)) ? 'on the curve' : 'not on the curve';
    const note = `y = p + ${y}, ${kind} after reduction`;
    return [
      vector(`non-canonical y of A: p + ${y}`, { ...good, encodedA: encoded }, false, note),
      vector(`non-canonical y of R: p + ${y}`, { ...good, encodedR: encoded }, false, note),
    ];
  });
}

function onCurve(bytes: Uint8Array): boolean {
  try {
    Point.fromBytes(bytes);
    return true;
  } catch {
    return false;
  }
}

function scalars(): SignatureVector[] {
  const good = mixed(Point.ZERO, Point.ZERO, true);
  const changed = (name: string, s: bigint, note: string): SignatureVector => vector(name, { ...good, s }, false, note);
  const same = 'the equation holds, but S is not below L';
  return [
    vector('built on points', good, true, 'the ground of the vectors that follow'),
    changed('S + L', good.s + L, same),
    changed('S + 2L', good.s + 2n * L, same),
    changed('S + 7L', good.s + 7n * L, same),
    changed('S + 15L', good.s + 15n * L, 'the equation holds, but S is not below L and has its topmost bit set'),
    changed('S = 0', 0n, ''),
    changed('S = L', L, ''),
    changed('S = L - 1', L - 1n, 'canonical, but the equation fails'),
    changed('S + 1', good.s + 1n, ''),
    changed('-S', L - good.s, ''),
    changed('S of 32 bytes ff', 2n ** 256n - 1n, ''),
  ];
}

function flipped(): SignatureVector[] {
  const good = vector('', mixed(Point.ZERO, Point.ZERO, true), false, 'one bit flipped');
  const flip = (field: 'message' | 'signature' | 'publicKey', bit: number): SignatureVector => {
    const bytes = fromHex(good[field]);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return { ...good, name: `bit ${bit} of ${field} flipped`, [field]: toHex(bytes) };
  };
  return [
    ...[0, 7, 40].map((bit) => flip('message', bit)),
    ...[0, 100, 254, 255, 256, 300, 507, 508, 509, 510, 511].map((bit) => flip('signature', bit)),
    ...[0, 100, 254, 255].map((bit) => flip('publicKey', bit)),
  ];
}

function misfits(): SignatureVector[] {
  const parts = mixed(Point.ZERO, Point.ZERO, true);
  const good = vector('', parts, false, '');
  const bad = (name: string, change: Partial<SignatureVector>): SignatureVector => ({ ...good, name, ...change });
  const { signature, publicKey, message } = good;
  return [
    bad('halves of the signature swapped', { signature: signature.slice(64) + signature.slice(0, 64) }),
    bad("another's key", { publicKey: toHex(Point.BASE.multiply(scalarOf('b')).toBytes()) }),
    bad('-A', { publicKey: A.negate().toHex() }),
    bad('-R', { signature: R.negate().toHex() + signature.slice(64) }),
    bad('message with a byte more', { message: `${message}00` }),
    bad('message with a byte less', { message: message.slice(2) }),
    bad('A not on the curve', { publicKey: toHex(bytes32(2n)), note: 'y = 2 has no x' }),
    bad('R not on the curve', { signature: toHex(bytes32(2n)) + signature.slice(64), note: 'y = 2 has no x' }),
    bad('zero signature', { signature: '00'.repeat(64) }),
    bad('zero key and signature', { publicKey: '00'.repeat(32), signature: '00'.repeat(64) }),
    bad('signature of 0 bytes', { signature: '' }),
    bad('signature of 63 bytes', { signature: signature.slice(0, -2) }),
    bad('signature of 65 bytes', { signature: `${signature}00` }),
    bad('signature of 32 bytes', { signature: signature.slice(0, 64) }),
    bad('key of 0 bytes', { publicKey: '' }),
    bad('key of 31 bytes', { publicKey: publicKey.slice(0, -2) }),
    bad('key of 33 bytes', { publicKey: `${publicKey}00` }),
    bad('key of 64 bytes', { publicKey: toHex(pureA).repeat(2) }),
  ];
}

export function signatureVectors(): SignatureVector[] {
  return [
    ...ordinary(),
    ...scalars(),
    ...mixedOrder(),
    ...smallOrder(),
    ...nonCanonicalY(),
    ...flipped(),
    ...misfits(),
  ];
}
