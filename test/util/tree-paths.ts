/** Paths and value hashes for tests of the state tree, and fast-check sources of colliding ones. */
import fc from 'fast-check';
import { sha256 } from './reference-tree.ts';

/** A spread path, the same for the same number. */
export function spreadPath(n: number): Uint8Array {
  return sha256(Buffer.from(`path ${n}`));
}

/** A path that shares its first `bits` bits with path `base`, differs in the next one, and is spread below. */
export function groundPath(base: number, bits: number, n: number): Uint8Array {
  const from = spreadPath(base);
  const path = spreadPath(n + 1_000_000);
  for (let i = 0; i <= Math.min(bits, 255); i++) {
    const mask = 0x80 >> (i % 8);
    const at = Math.floor(i / 8);
    const flip = i === bits ? mask : 0;
    path[at] = ((path[at] ?? 0) & ~mask) | (((from[at] ?? 0) & mask) ^ flip);
  }
  return path;
}

/** As {@link groundPath}, without the difference: `bits` bits are shared at least. */
export function prefixedPath(base: number, bits: number, n: number): Uint8Array {
  const from = spreadPath(base);
  const path = spreadPath(n + 1_000_000);
  for (let i = 0; i < bits; i++) {
    const mask = 0x80 >> (i % 8);
    const at = Math.floor(i / 8);
    path[at] = ((path[at] ?? 0) & ~mask) | ((from[at] ?? 0) & mask);
  }
  return path;
}

export function valueHash(n: number): Uint8Array {
  return sha256(Buffer.from(`value ${n}`));
}

/** A small world of paths: spread ones, and others that share 8 to 255 bits with one of three. */
export const anyPath: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.nat(20).map(spreadPath),
  fc.tuple(fc.nat(2), fc.integer({ min: 8, max: 255 }), fc.nat(2)).map(([base, bits, n]) => groundPath(base, bits, n)),
);

/** One batch of changes, no path twice. */
export const anyChanges: fc.Arbitrary<{ path: Uint8Array; valueHash: Uint8Array | null }[]> = fc.uniqueArray(
  fc.record({ path: anyPath, valueHash: fc.option(fc.nat(3).map(valueHash), { freq: 3 }) }),
  { selector: ({ path }) => Buffer.from(path).toString('hex'), maxLength: 24 },
);
