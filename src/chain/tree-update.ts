/**
 * Structural changes of the state tree. Nodes are never changed in place: an update makes new nodes on the way to what
 * differs and shares all others with its base. The hashes of new nodes are queued, not computed.
 */
import type { Hash } from '../bytes.ts';
import type { NodeArena, NodeRef } from './tree-arena.ts';
import { commonPrefix, isLeaf, leafAt, pathBit } from './tree-arena.ts';
import type { LevelHashing } from './tree-hashing.ts';

/** `valueHash` null deletes. Both have 32 bytes. */
export interface TreeChange {
  readonly path: Hash;
  readonly valueHash: Hash | null;
}

/** Applies changes that are sorted by path and name no path twice. */
export class TreeUpdate {
  readonly #arena: NodeArena;
  readonly #hashing: LevelHashing;
  readonly #changes: readonly TreeChange[];
  #added = 0;

  constructor(arena: NodeArena, hashing: LevelHashing, changes: readonly TreeChange[]) {
    this.#arena = arena;
    this.#hashing = hashing;
    this.#changes = changes;
  }

  /** Leaves made less leaves deleted. */
  get added(): number {
    return this.#added;
  }

  /** @returns `root` itself when nothing changes */
  run(root: NodeRef): NodeRef {
    return this.#apply(root, 0, 0, this.#changes.length);
  }

  /** Applies changes [low, high), which share the first `depth` bits of their paths with all leaves of the node. */
  #apply(ref: NodeRef, depth: number, low: number, high: number): NodeRef {
    if (low === high) return ref;
    if (ref === 0 || isLeaf(ref)) return this.#merge(ref, low, high);
    const own = this.#arena.depth(ref);
    const shared = own === depth ? own : this.#sharedDepth(ref, own, low, high);
    const middle = this.#split(shared, low, high);
    if (shared === own) {
      const left = this.#apply(this.#arena.child(ref), own + 1, low, middle);
      const right = this.#apply(this.#arena.child(ref + 1), own + 1, middle, high);
      return this.#replace(ref, left, right);
    }
    // Some changes leave the node's prefix at bit `shared`, where it has no branch yet.
    return pathBit(this.#arena.leafBytes, shared, leafAt(this.#arena.firstLeaf(ref))) === 0
      ? join(
          this.#arena,
          this.#hashing,
          shared,
          this.#apply(ref, shared + 1, low, middle),
          this.#merge(0, middle, high),
        )
      : join(
          this.#arena,
          this.#hashing,
          shared,
          this.#merge(0, low, middle),
          this.#apply(ref, shared + 1, middle, high),
        );
  }

  /** How many leading bits all the changes share with a branch's leaves, at most the branch's depth. */
  #sharedDepth(ref: NodeRef, own: number, low: number, high: number): number {
    const at = leafAt(this.#arena.firstLeaf(ref));
    const bytes = this.#arena.leafBytes;
    const first = commonPrefix(this.#path(low), 0, bytes, at);
    const last = commonPrefix(this.#path(high - 1), 0, bytes, at);
    return Math.min(own, first, last);
  }

  /** First change in [low, high) whose path has bit `depth` set. */
  #split(depth: number, low: number, high: number): number {
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (pathBit(this.#path(middle), depth) === 1) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  /** Changes in a place that holds one leaf or nothing. */
  #merge(ref: NodeRef, low: number, high: number): NodeRef {
    const leaves: NodeRef[] = [];
    let pending = ref;
    for (let i = low; i < high; i++) {
      const change = this.#changes[i] as TreeChange;
      const order = pending === 0 ? 1 : this.#compare(pending, change.path);
      const leaf = this.#leaf(change, order === 0 ? pending : 0);
      if (order < 0) leaves.push(pending);
      if (order <= 0) pending = 0;
      if (leaf !== 0) leaves.push(leaf);
    }
    if (pending !== 0) leaves.push(pending);
    this.#added += leaves.length - (ref === 0 ? 0 : 1);
    return buildSubtree(this.#arena, this.#hashing, leaves, 0, leaves.length);
  }

  /** The leaf that a change asks for: none, the one there when its value is the same, or a new one. */
  #leaf({ path, valueHash }: TreeChange, old: NodeRef): NodeRef {
    if (!valueHash) return 0;
    const at = leafAt(old);
    const same = old !== 0 && compareHashes(this.#arena.leafBytes, at + 32, valueHash, 0) === 0;
    return same ? old : this.#arena.newLeaf(path, valueHash);
  }

  #compare(leaf: NodeRef, path: Hash): number {
    const at = leafAt(leaf);
    return compareHashes(this.#arena.leafBytes, at, path, 0);
  }

  /** A branch with other children; what stays in its slot keeps its hash. */
  #replace(old: NodeRef, left: NodeRef, right: NodeRef): NodeRef {
    if (left === 0) return right;
    if (right === 0) return left;
    const keepsLeft = left === this.#arena.child(old);
    const keepsRight = right === this.#arena.child(old + 1);
    if (keepsLeft && keepsRight) return old;
    const ref = this.#arena.newBranch(this.#arena.depth(old), left, right);
    if (keepsLeft) this.#arena.copyHash(old, ref);
    else this.#hashing.queue(ref, left);
    if (keepsRight) this.#arena.copyHash(old + 1, ref + 1);
    else this.#hashing.queue(ref + 1, right);
    return ref;
  }

  #path(index: number): Hash {
    return (this.#changes[index] as TreeChange).path;
  }
}

/** The order of the 32 bytes at two places. Hashes nearly always differ in their first: a loop costs a tenth of a call for all. */
export function compareHashes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): number {
  for (let i = 0; i < 32; i++) {
    const order = (a[aAt + i] ?? 0) - (b[bAt + i] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

/** The tree of leaves [low, high), which are sorted by path and have no path twice. */
export function buildSubtree(
  arena: NodeArena,
  hashing: LevelHashing,
  leaves: ArrayLike<NodeRef>,
  low: number,
  high: number,
): NodeRef {
  const first = leaves[low] ?? 0;
  if (high - low < 2) return low === high ? 0 : first;
  const bytes = arena.leafBytes;
  const last = leaves[high - 1] ?? 0;
  const depth = commonPrefix(bytes, leafAt(first), bytes, leafAt(last));
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (pathBit(bytes, depth, leafAt(leaves[middle] ?? 0)) === 1) to = middle;
    else from = middle + 1;
  }
  const left = buildSubtree(arena, hashing, leaves, low, from);
  return join(arena, hashing, depth, left, buildSubtree(arena, hashing, leaves, from, high));
}

/** A new branch over two subtrees, or the one that is not empty. */
function join(arena: NodeArena, hashing: LevelHashing, depth: number, left: NodeRef, right: NodeRef): NodeRef {
  if (left === 0) return right;
  if (right === 0) return left;
  const ref = arena.newBranch(depth, left, right);
  hashing.queue(ref, left);
  hashing.queue(ref + 1, right);
  return ref;
}
