/**
 * Memory of the state tree: the nodes of all live versions as a struct of arrays, so that a million leaves cost some
 * 150 MB and nothing of it is traced by the garbage collector. A node counts its owners, which are the branches and
 * versions that point to it; whoever lets the last one go frees it, so versions may end in any order.
 *
 * A reference is 0 for nothing, odd for a leaf, even for a branch; its index is the reference halved. A branch at depth d
 * parts its leaves by bit d of their paths. Its two slots hold its children and their hashes as seen at depth d + 1, the
 * levels that path compression skips included: a branch's own hash is SHA-256 of its 64 bytes of slots.
 */
import type { Hash } from '../bytes.ts';

export type NodeRef = number;

/** Place of a child: twice the branch's index, plus 1 for the right one. 0 is the place of a version's root. */
export type Slot = number;

export const ROOT_SLOT: Slot = 0;

/** Bits of a path; branches have depths below it. */
export const PATH_BITS = 256;

/** Room beyond what is asked for: what the forks of some blocks take until older versions end. */
const RESERVE = 1.125;

const HASH_WORDS = 8;
const PAIR_WORDS = 16;

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

export class NodeArena {
  // Branches; index 0 is not used. `#children` and `#hashes` are addressed by slot.
  #children: Uint32Array<ArrayBuffer>;
  #hashes: Uint32Array<ArrayBuffer>;
  #depths: Uint8Array<ArrayBuffer>;
  #branchOwners: Uint32Array<ArrayBuffer>;
  #branchesUsed = 1;
  #branchFree = 0;
  #branchCount = 0;

  // Leaves: 32 bytes path, 32 bytes value hash. The same buffer as bytes and as words.
  #leafBytes: Uint8Array<ArrayBuffer>;
  #leafWords: Uint32Array<ArrayBuffer>;
  #leafOwners: Uint32Array<ArrayBuffer>;
  #leavesUsed = 1;
  #leafFree = 0;
  #leafCount = 0;

  /** @param leaves how many to have room for at first, and for some more */
  constructor(leaves: number) {
    const capacity = Math.ceil(leaves * RESERVE) + 2;
    this.#children = new Uint32Array(capacity * 2);
    this.#hashes = new Uint32Array(capacity * PAIR_WORDS);
    this.#depths = new Uint8Array(capacity);
    this.#branchOwners = new Uint32Array(capacity);
    this.#leafBytes = new Uint8Array(capacity * 64);
    this.#leafWords = new Uint32Array(this.#leafBytes.buffer);
    this.#leafOwners = new Uint32Array(capacity);
  }

  /** Nodes in use over all live versions. */
  get live(): { readonly branches: number; readonly leaves: number } {
    return { branches: this.#branchCount, leaves: this.#leafCount };
  }

  /** Bytes reserved for nodes, used or free. */
  get byteLength(): number {
    const arrays = [this.#children, this.#hashes, this.#depths, this.#branchOwners, this.#leafBytes, this.#leafOwners];
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  // Leaves

  /** A leaf without an owner yet. */
  newLeaf(path: Hash, valueHash: Hash): NodeRef {
    let index = this.#leafFree;
    if (index !== 0) this.#leafFree = this.#leafWords[index * PAIR_WORDS] ?? 0;
    else {
      if (this.#leavesUsed === this.#leafOwners.length) this.#growLeaves(grownCapacity(this.#leavesUsed));
      index = this.#leavesUsed++;
    }
    this.#leafCount++;
    this.#leafBytes.set(path, index * 64);
    this.#leafBytes.set(valueHash, index * 64 + 32);
    return index * 2 + 1;
  }

  /** Path and value hash of leaf `index` start at 64 x index. Valid until the next leaf is made. */
  get leafBytes(): Uint8Array {
    return this.#leafBytes;
  }

  /** Copies path and value hash of a leaf to 16 words of `target`. */
  readLeaf(index: number, target: Uint32Array, at: number): void {
    const words = this.#leafWords;
    const from = index * PAIR_WORDS;
    for (let i = 0; i < PAIR_WORDS; i++) target[at + i] = words[from + i] ?? 0;
  }

  /** Index of the leftmost leaf under a node: its path tells the bits that the node's leaves share. */
  firstLeaf(ref: NodeRef): number {
    let at = ref;
    while (!isLeaf(at)) at = this.#children[at] ?? 0;
    return at >>> 1;
  }

  // Branches

  /** Makes room for so many branches at once, and for some more. */
  reserveBranches(count: number): void {
    if (count >= this.#branchOwners.length) this.#growBranches(Math.ceil(count * RESERVE));
  }

  /** Owns its children from now on; the hashes of its slots are to be written. It has no owner itself yet. */
  newBranch(depth: number, left: NodeRef, right: NodeRef): NodeRef {
    let index = this.#branchFree;
    if (index !== 0) this.#branchFree = this.#children[index * 2] ?? 0;
    else {
      if (this.#branchesUsed === this.#branchOwners.length) this.#growBranches(grownCapacity(this.#branchesUsed));
      index = this.#branchesUsed++;
    }
    this.#branchCount++;
    this.#depths[index] = depth;
    this.#children[index * 2] = left;
    this.#children[index * 2 + 1] = right;
    this.retain(left);
    this.retain(right);
    return index * 2;
  }

  depth(index: number): number {
    return this.#depths[index] ?? 0;
  }

  child(slot: Slot): NodeRef {
    return this.#children[slot] ?? 0;
  }

  /** Copies both slots of a branch to 16 words of `target`. */
  readPair(index: number, target: Uint32Array, at: number): void {
    const words = this.#hashes;
    const from = index * PAIR_WORDS;
    for (let i = 0; i < PAIR_WORDS; i++) target[at + i] = words[from + i] ?? 0;
  }

  writeHash(slot: Slot, source: Uint32Array, at: number): void {
    const words = this.#hashes;
    const to = slot * HASH_WORDS;
    for (let i = 0; i < HASH_WORDS; i++) words[to + i] = source[at + i] ?? 0;
  }

  copyHash(from: Slot, to: Slot): void {
    this.writeHash(to, this.#hashes, from * HASH_WORDS);
  }

  /** A copy. */
  slotHash(slot: Slot): Hash {
    return new Uint8Array(this.#hashes.buffer, slot * 32, 32).slice();
  }

  // Owners

  retain(ref: NodeRef): void {
    const owners = isLeaf(ref) ? this.#leafOwners : this.#branchOwners;
    owners[ref >>> 1] = (owners[ref >>> 1] ?? 0) + 1;
  }

  /** Takes one owner from a node; without any left it is freed, and so are the nodes that only it owned. */
  release(ref: NodeRef): void {
    if (ref === 0) return;
    const index = ref >>> 1;
    const owners = isLeaf(ref) ? this.#leafOwners : this.#branchOwners;
    const left = (owners[index] ?? 0) - 1;
    owners[index] = left;
    if (left > 0) return;
    if (isLeaf(ref)) this.#freeLeaf(index);
    else this.#freeBranch(index);
  }

  // Freed nodes are chained through their first word.

  #freeLeaf(index: number): void {
    this.#leafWords[index * PAIR_WORDS] = this.#leafFree;
    this.#leafFree = index;
    this.#leafCount--;
  }

  /** Recursion ends within 256 calls: depths grow downwards. */
  #freeBranch(index: number): void {
    const left = this.child(index * 2);
    const right = this.child(index * 2 + 1);
    this.#children[index * 2] = this.#branchFree;
    this.#branchFree = index;
    this.#branchCount--;
    this.release(left);
    this.release(right);
  }

  #growLeaves(capacity: number): void {
    this.#leafBytes = grow(this.#leafBytes, new Uint8Array(capacity * 64));
    this.#leafWords = new Uint32Array(this.#leafBytes.buffer);
    this.#leafOwners = grow(this.#leafOwners, new Uint32Array(capacity));
  }

  #growBranches(capacity: number): void {
    this.#children = grow(this.#children, new Uint32Array(capacity * 2));
    this.#hashes = grow(this.#hashes, new Uint32Array(capacity * PAIR_WORDS));
    this.#depths = grow(this.#depths, new Uint8Array(capacity));
    this.#branchOwners = grow(this.#branchOwners, new Uint32Array(capacity));
  }
}

/** By a quarter: the arrays are large, and a doubled one would sit half empty. */
function grownCapacity(capacity: number): number {
  return Math.ceil(capacity * 1.25) + 64;
}

function grow<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
