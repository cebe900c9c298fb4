/**
 * Root of a list of 32-byte items: pairs are hashed level by level, an odd last item moves up unchanged, and the root is
 * SHA-256(u32 count ‖ top). The count fixes the shape, so no item can stand for an inner node.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes, ZERO_HASH } from '../bytes.ts';
import { Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';

/** Positions are walked with 32-bit shifts. */
const MAX_PROVABLE_ITEMS = 2 ** 31 - 1;

/** Siblings from the item upwards; levels where the item moved up alone have none. */
export interface ListProof {
  readonly index: number;
  readonly count: number;
  readonly siblings: readonly Hash[];
}

export function listRoot(hasher: Hasher, items: readonly Hash[]): Hash {
  return rootOf(hasher, flat(items));
}

/** The same of items that are strings of one character a byte. */
export function listRootOfKeys(hasher: Hasher, keys: readonly string[]): Hash {
  const bytes = new Uint8Array(keys.length * 32);
  keys.forEach((key, i) => {
    for (let at = 0; at < 32; at++) bytes[i * 32 + at] = key.charCodeAt(at);
  });
  return rootOf(hasher, bytes);
}

function rootOf(hasher: Hasher, items: Uint8Array): Hash {
  return seal(hasher, items.length / 32, levels(hasher, items).at(-1) ?? ZERO_HASH);
}

/** The root of each beginning of the list, the shortest first: what a list that grew had as its root on the way. */
export function* listRoots(hasher: Hasher, items: readonly Hash[]): Generator<Hash> {
  // Of each size of full subtree at most one: as a binary counter has it.
  const full: (Hash | undefined)[] = [];
  for (const [i, item] of items.entries()) {
    let node = item;
    let level = 0;
    for (let left = full[level]; left; left = full[level]) {
      node = joined(hasher, left, node);
      full[level++] = undefined;
    }
    full[level] = node;
    let top: Hash | undefined;
    for (const each of full) if (each) top = top ? joined(hasher, each, top) : each;
    yield seal(hasher, i + 1, top ?? ZERO_HASH);
  }
}

/** @returns undefined when there is no such item */
export function listProof(hasher: Hasher, items: readonly Hash[], index: number): ListProof | undefined {
  if (!Number.isInteger(index) || index < 0 || index >= items.length) return;
  const siblings: Hash[] = [];
  let at = index;
  for (const level of levels(hasher, flat(items))) {
    const sibling = (at ^ 1) * 32;
    if (level.length > 32 && sibling < level.length) siblings.push(level.slice(sibling, sibling + 32));
    at >>= 1;
  }
  return { index, count: items.length, siblings };
}

export function verifyListProof(hasher: Hasher, root: Hash, item: Hash, proof: ListProof): boolean {
  const { index, count, siblings } = proof;
  if (!Number.isInteger(index) || !Number.isInteger(count) || item.length !== 32) return false;
  if (index < 0 || index >= count || count > MAX_PROVABLE_ITEMS) return false;
  let node = item;
  let at = index;
  let used = 0;
  const pair = new Uint8Array(64);
  for (let size = count; size > 1; size = Math.ceil(size / 2)) {
    if ((at ^ 1) < size) {
      const sibling = siblings[used++];
      if (sibling?.length !== 32) return false;
      pair.set(node, (at & 1) * 32);
      pair.set(sibling, ((at & 1) ^ 1) * 32);
      node = hasher.hash(pair);
    }
    at >>= 1;
  }
  return used === siblings.length && equalBytes(seal(hasher, count, node), root);
}

function flat(items: readonly Hash[]): Uint8Array {
  const bytes = new Uint8Array(items.length * 32);
  items.forEach((item, i) => {
    bytes.set(item, i * 32);
  });
  return bytes;
}

/** Every level as flat bytes, the items first, the top (32 bytes) last; nothing for an empty list. */
function levels(hasher: Hasher, items: Uint8Array): Uint8Array[] {
  if (items.length === 0) return [];
  let level = items;
  const all = [level];
  // One buffer for all of them: the upper ones are small, and small arrays are dear to native code.
  const rest = new Uint8Array(items.length + 32 * Math.ceil(Math.log2(items.length)));
  for (let used = 0; level.length > 32; used += level.length) {
    const pairs = Math.floor(level.length / 64);
    const odd = level.length % 64;
    const next = rest.subarray(used, used + pairs * 32 + odd);
    hasher.hashPairs(level.subarray(0, pairs * 64), next.subarray(0, pairs * 32));
    if (odd) next.set(level.subarray(pairs * 64), pairs * 32);
    level = next;
    all.push(level);
  }
  return all;
}

function joined(hasher: Hasher, left: Hash, right: Hash): Hash {
  const pair = new Uint8Array(64);
  pair.set(left);
  pair.set(right, 32);
  return hasher.hash(pair);
}

function seal(hasher: Hasher, count: number, top: Hash): Hash {
  return hasher.hash(new Writer(36).u32(count).raw(top).finish());
}
