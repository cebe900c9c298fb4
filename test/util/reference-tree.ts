/** The state tree by its definition, one line a rule and no structure: what src/chain/tree.ts is held against. */
import { createHash } from 'node:crypto';

export interface ReferenceLeaf {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array;
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

const bit = (path: Uint8Array, depth: number): number => ((path[Math.floor(depth / 8)] ?? 0) >> (7 - (depth % 8))) & 1;

/** Root of the leaves below a prefix of `depth` bits that they share. */
export function referenceRoot(leaves: readonly ReferenceLeaf[], depth = 0): Uint8Array {
  const [only] = leaves;
  if (!only) return new Uint8Array(32);
  if (leaves.length === 1) return sha256(sha256(only.path, only.valueHash), sha256(Buffer.from('AIT/leaf/1')));
  const side = (value: number): ReferenceLeaf[] => leaves.filter(({ path }) => bit(path, depth) === value);
  return sha256(referenceRoot(side(0), depth + 1), referenceRoot(side(1), depth + 1));
}

/** Siblings from the root down, and the leaf where the way of a path ends. */
export function referenceProof(
  leaves: readonly ReferenceLeaf[],
  path: Uint8Array,
  depth = 0,
): { siblings: Uint8Array[]; leaf: ReferenceLeaf | null } {
  if (leaves.length < 2) return { siblings: [], leaf: leaves[0] ?? null };
  const side = (value: number): ReferenceLeaf[] => leaves.filter((leaf) => bit(leaf.path, depth) === value);
  const below = referenceProof(side(bit(path, depth)), path, depth + 1);
  return { siblings: [referenceRoot(side(1 - bit(path, depth)), depth + 1), ...below.siblings], leaf: below.leaf };
}
