/**
 * Memory of the state tree: the nodes of all live versions in two arrays of words, so that a million leaves cost some
 * 150 MB and nothing of it is traced by the garbage collector. A node counts its owners, which are the branches and
 * versions that point to it; whoever lets the last one go frees it, so versions may end in any order.
 *
 * A reference is 0 for nothing, odd for a leaf, even for a branch; its index is the reference halved. A branch of depth d
 * parts its leaves by bit d of their paths. Its two slots hold its children and their hashes as seen at depth d + 1, the
 * levels that path compression skips included: a branch's own hash is SHA-256 of the 64 bytes of its slots.
 */
import type { Hash } from '../bytes.ts';

export type NodeRef = number;

/** Place of a child: the branch's reference, plus 1 for the right one. 0 is the place of a version's root. */
export type Slot = number;

export const ROOT_SLOT: Slot = 0;

/** Bits of a path; branches have depths below it. */
export const PATH_BITS = 256;

/** Room beyond what is asked for: what the forks of some blocks take until older versions end. */
const RESERVE = 1.125;

const HASH_WORDS = 8;
const PAIR_WORDS = 16;

// A branch: left child, right child, owners, depth, hash of the left slot, hash of the right slot. In one piece, for an
// update walks through branches in no order and waits for memory most of its time.
const BRANCH_WORDS = 4 + PAIR_WORDS;
const OWNERS = 2;
const DEPTH = 3;
const HASHES = 4;

// A leaf: path, value hash, owners.
const LEAF_WORDS = PAIR_WORDS + 1;
const LEAF_BYTES = LEAF_WORDS * 4;

export function isLeaf(ref: NodeRef): boolean {
  return (ref & 1) === 1;
}

/** Bit `depth` of a path that starts at `at`, the first bit of the first byte being 0. */
export function pathBit(bytes: Uint8Array, depth: number, at = 0): 0 | 1 {
  return ((bytes[at + (depth >>> 3)] ?? 0) >>> (7 - (depth & 7))) & 1 ? 1 : 0;
}

/** How many leading bits two paths share; 256 when they are equal. */
export function commonPrefix(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): number {
  for (let i = 0; i < 32; i++) {
    const difference = (a[aAt + i] ?? 0) ^ (b[bAt + i] ?? 0);
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return PATH_BITS;
}

/** Where a leaf's path starts in {@link NodeArena.leafBytes}; its value hash follows. */
export function leafAt(ref: NodeRef): number {
  return (ref >>> 1) * LEAF_BYTES;
}

export class NodeArena {
  // Nodes that were freed are chained through their first word. Index 0 is not used.
  #branches: Uint32Array<ArrayBuffer>;
  #branchesUsed = 1;
  #branchFree = 0;
  #branchCount = 0;

  #leaves: Uint32Array<ArrayBuffer>;
  #leafBytes: Uint8Array<ArrayBuffer>;
  #leavesUsed = 1;
  #leafFree = 0;
  #leafCount = 0;

  /** @param leaves how many to have room for at first, and for some more */
  constructor(leaves: number) {
    const capacity = Math.ceil(leaves * RESERVE) + 2;
    this.#branches = new Uint32Array(capacity * BRANCH_WORDS);
    this.#leaves = new Uint32Array(capacity * LEAF_WORDS);
    this.#leafBytes = new Uint8Array(this.#leaves.buffer);
  }

  /** Nodes in use over all live versions. */
  get live(): { readonly branches: number; readonly leaves: number } {
    return { branches: this.#branchCount, leaves: this.#leafCount };
  }

  /** Bytes reserved for nodes, used or free. */
  get byteLength(): number {
    return this.#branches.byteLength + this.#leaves.byteLength;
  }

  // Leaves

  /** A leaf without an owner yet. */
  newLeaf(path: Hash, valueHash: Hash): NodeRef {
    let index = this.#leafFree;
    if (index !== 0) this.#leafFree = this.#leaves[index * LEAF_WORDS] ?? 0;
    else {
      if ((this.#leavesUsed + 1) * LEAF_WORDS > this.#leaves.length) this.#growLeaves();
      index = this.#leavesUsed++;
    }
    this.#leafCount++;
    this.#leafBytes.set(path, index * LEAF_BYTES);
    this.#leafBytes.set(valueHash, index * LEAF_BYTES + 32);
    return index * 2 + 1;
  }

  /** All leaves, see {@link leafAt}. Valid until the next leaf is made. */
  get leafBytes(): Uint8Array {
    return this.#leafBytes;
  }

  /** Copies path and value hash of a leaf to 16 words of `target`. */
  readLeaf(ref: NodeRef, target: Uint32Array, at: number): void {
    copyWords(this.#leaves, (ref >>> 1) * LEAF_WORDS, target, at, PAIR_WORDS);
  }

  /** The leftmost leaf under a node: its path tells the bits that the node's leaves share. */
  firstLeaf(ref: NodeRef): NodeRef {
    let at = ref;
    while (!isLeaf(at)) at = this.child(at);
    return at;
  }

  // Branches

  /** Makes room for so many branches at once, and for some more. */
  reserveBranches(count: number): void {
    if ((count + 1) * BRANCH_WORDS > this.#branches.length) this.#growBranches(Math.ceil(count * RESERVE) + 2);
  }

  /** Owns its children from now on; the hashes of its slots are to be written. It has no owner itself yet. */
  newBranch(depth: number, left: NodeRef, right: NodeRef): NodeRef {
    let index = this.#branchFree;
    if (index !== 0) this.#branchFree = this.#branches[index * BRANCH_WORDS] ?? 0;
    else {
      if ((this.#branchesUsed + 1) * BRANCH_WORDS > this.#branches.length) {
        this.#growBranches(grownCapacity(this.#branchesUsed));
      }
      index = this.#branchesUsed++;
    }
    this.#branchCount++;
    const at = index * BRANCH_WORDS;
    this.#branches[at] = left;
    this.#branches[at + 1] = right;
    this.#branches[at + OWNERS] = 0;
    this.#branches[at + DEPTH] = depth;
    this.retain(left);
    this.retain(right);
    return index * 2;
  }

  depth(ref: NodeRef): number {
    return this.#branches[(ref >>> 1) * BRANCH_WORDS + DEPTH] ?? 0;
  }

  child(slot: Slot): NodeRef {
    return this.#branches[(slot >>> 1) * BRANCH_WORDS + (slot & 1)] ?? 0;
  }

  /** Copies both slots of a branch to 16 words of `target`. */
  readPair(ref: NodeRef, target: Uint32Array, at: number): void {
    copyWords(this.#branches, hashAt(ref), target, at, PAIR_WORDS);
  }

  writeHash(slot: Slot, source: Uint32Array, at: number): void {
    copyWords(source, at, this.#branches, hashAt(slot), HASH_WORDS);
  }

  copyHash(from: Slot, to: Slot): void {
    copyWords(this.#branches, hashAt(from), this.#branches, hashAt(to), HASH_WORDS);
  }

  /** A copy. */
  slotHash(slot: Slot): Hash {
    return new Uint8Array(this.#branches.buffer, hashAt(slot) * 4, 32).slice();
  }

  // Owners

  retain(ref: NodeRef): void {
    const nodes = isLeaf(ref) ? this.#leaves : this.#branches;
    const at = ownersAt(ref);
    nodes[at] = (nodes[at] ?? 0) + 1;
  }

  /** Takes one owner from a node; without any left it is freed, and so are the nodes that only it owned. */
  release(ref: NodeRef): void {
    if (ref === 0) return;
    const nodes = isLeaf(ref) ? this.#leaves : this.#branches;
    const at = ownersAt(ref);
    const owners = (nodes[at] ?? 0) - 1;
    nodes[at] = owners;
    if (owners > 0) return;
    if (isLeaf(ref)) this.#freeLeaf(ref >>> 1);
    else this.#freeBranch(ref >>> 1);
  }

  #freeLeaf(index: number): void {
    this.#leaves[index * LEAF_WORDS] = this.#leafFree;
    this.#leafFree = index;
    this.#leafCount--;
  }

  /** Recursion ends within 256 calls: depths grow downwards. */
  #freeBranch(index: number): void {
    const left = this.child(index * 2);
    const right = this.child(index * 2 + 1);
    this.#branches[index * BRANCH_WORDS] = this.#branchFree;
    this.#branchFree = index;
    this.#branchCount--;
    this.release(left);
    this.release(right);
  }

  #growLeaves(): void {
    this.#leaves = grow(this.#leaves, grownCapacity(this.#leavesUsed) * LEAF_WORDS);
    this.#leafBytes = new Uint8Array(this.#leaves.buffer);
  }

  #growBranches(capacity: number): void {
    this.#branches = grow(this.#branches, capacity * BRANCH_WORDS);
  }
}

function hashAt(slot: Slot): number {
  return (slot >>> 1) * BRANCH_WORDS + HASHES + (slot & 1) * HASH_WORDS;
}

function ownersAt(ref: NodeRef): number {
  return isLeaf(ref) ? (ref >>> 1) * LEAF_WORDS + PAIR_WORDS : (ref >>> 1) * BRANCH_WORDS + OWNERS;
}

/** Faster than `set` of a view for a few words. */
export function copyWords(source: Uint32Array, from: number, target: Uint32Array, to: number, count: number): void {
  for (let i = 0; i < count; i++) target[to + i] = source[from + i] ?? 0;
}

/** By a quarter: the arrays are large, and a doubled one would sit half empty. */
function grownCapacity(capacity: number): number {
  return Math.ceil(capacity * 1.25) + 64;
}

function grow(words: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(length);
  grown.set(words);
  return grown;
}
