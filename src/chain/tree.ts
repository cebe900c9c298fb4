/**
 * The authenticated state: a binary sparse Merkle tree over the 256-bit paths SHA-256(module u8 ‖ key).
 *
 *   empty = 32 zero bytes      leaf = H( H(path ‖ SHA-256(value)) ‖ SHA-256("AIT/leaf/1") )      inner = H(left ‖ right)
 *
 * A subtree with one leaf is that leaf, at whatever depth; one with two or more is an inner node on every level, even
 * when one side is empty. So the root depends on the set of leaves alone. What a root costs to compute is bounded by the
 * bits that paths share; what it costs to keep is one branch for each leaf.
 *
 * Versions share nodes. `fork` makes one from any live version; several may live at once, forks of forks too, and each
 * ends by `release`, or, when `commit` made it the head, by the commit of the next one. Every order of these calls is
 * legal: a node is freed when the last version that reaches it ends.
 */
import type { Hash } from '../bytes.ts';
import { ZERO_HASH } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Hasher } from './crypto/types.ts';
import type { NodeRef } from './tree-arena.ts';
import { commonPrefix, isLeaf, leafAt, NodeArena, pathBit, ROOT_SLOT } from './tree-arena.ts';
import { LevelHashing } from './tree-hashing.ts';
import type { StateProof } from './tree-proof.ts';
import type { TreeChange } from './tree-update.ts';
import { buildSubtree, compareHashes, TreeUpdate } from './tree-update.ts';

/** Versions alive at once, the head included: beyond any use there is, so that one never released shows early. */
export const MAX_VERSIONS = 1024;

export interface TreeLeaf {
  readonly path: Hash;
  readonly valueHash: Hash;
}

export interface TreeLoader {
  add(path: Hash, valueHash: Hash): void;
  /** Once, and nothing after it. @throws NodeError CORRUPT when a path came twice */
  finish(): StateTree;
}

/** One state of the tree. `root` and `size` (leaves) stay readable after its end, nothing else does. */
export interface TreeVersion {
  readonly root: Hash;
  readonly size: number;
}

class Version implements TreeVersion {
  readonly root: Hash;
  readonly size: number;
  readonly node: NodeRef;
  /** What it was forked from; null once it is or was the head, so that history is not kept alive. */
  base: Version | null;

  constructor(root: Hash, size: number, node: NodeRef, base: Version | null) {
    this.root = root;
    this.size = size;
    this.node = node;
    this.base = base;
  }
}

export class StateTree {
  readonly #hasher: Hasher;
  readonly #arena: NodeArena;
  readonly #hashing: LevelHashing;
  readonly #live = new Set<Version>();
  #head: Version;

  private constructor(hasher: Hasher, arena: NodeArena, hashing: LevelHashing, leaves: ArrayLike<NodeRef>) {
    this.#hasher = hasher;
    this.#arena = arena;
    this.#hashing = hashing;
    arena.reserveBranches(leaves.length);
    const node = buildSubtree(arena, hashing, leaves, 0, leaves.length);
    this.#head = this.#version(node, leaves.length, null);
  }

  /** The tree of these leaves, in any order. @throws NodeError CORRUPT when a path comes twice */
  static load(hasher: Hasher, leaves: Iterable<TreeLeaf>): StateTree {
    const loader = StateTree.loader(hasher);
    for (const { path, valueHash } of leaves) loader.add(path, valueHash);
    return loader.finish();
  }

  /**
   * Takes the leaves one by one, so that a caller who reads them from a disk need not hold them; `finish` makes the tree.
   *
   * @param expectedLeaves room to reserve
   */
  static loader(hasher: Hasher, expectedLeaves = 1024): TreeLoader {
    let arena: NodeArena | null = new NodeArena(expectedLeaves);
    const open = (): NodeArena => {
      if (arena) return arena;
      throw new NodeError('INTERNAL', 'the loader of a state tree was used after it finished');
    };
    return {
      add: (path, valueHash) => {
        checkLength(path);
        checkLength(valueHash);
        open().newLeaf(path, valueHash);
      },
      finish: () => {
        const full = open();
        arena = null;
        return new StateTree(hasher, full, new LevelHashing(hasher, full), sortedLeaves(full));
      },
    };
  }

  get head(): TreeVersion {
    return this.#head;
  }

  /** Leaves of the head. */
  get size(): number {
    return this.#head.size;
  }

  /** For metrics: live versions, nodes that they use together, bytes reserved. */
  get usage(): {
    readonly versions: number;
    readonly branches: number;
    readonly leaves: number;
    readonly bytes: number;
  } {
    return { versions: this.#live.size, ...this.#arena.live, bytes: this.#arena.byteLength };
  }

  /**
   * A new version: `base` with changes, in any order. Deleting what is not there changes nothing. The caller ends it by
   * `commit` or `release`.
   *
   * @throws NodeError INTERNAL when a path comes twice, `base` is not live, or too many versions are; nothing is changed
   */
  fork(base: TreeVersion, changes: readonly TreeChange[]): TreeVersion {
    const from = this.#own(base);
    if (this.#live.size >= MAX_VERSIONS) {
      throw new NodeError('INTERNAL', 'too many versions of the state tree are alive', {
        data: { versions: this.#live.size },
        hint: 'release candidates that were not committed',
      });
    }
    const update = new TreeUpdate(this.#arena, this.#hashing, sortedChanges(changes));
    const node = update.run(from.node);
    return this.#version(node, from.size + update.added, from);
  }

  /**
   * Makes a version the head and ends the one that was. Other versions live on until they are released.
   *
   * @throws NodeError INTERNAL when it is not live or was not forked, directly or through others, from the head
   */
  commit(version: TreeVersion): void {
    const next = this.#own(version);
    let ancestor = next.base;
    while (ancestor && ancestor !== this.#head) ancestor = ancestor.base;
    if (!ancestor) throw new NodeError('INTERNAL', 'a version was committed that does not build on the head');
    const previous = this.#head;
    this.#head = next;
    next.base = null;
    this.#end(previous);
  }

  /** Ends a version that is not the head. @throws NodeError INTERNAL when it is, or when it is not live */
  release(version: TreeVersion): void {
    const ended = this.#own(version);
    if (ended === this.#head) throw new NodeError('INTERNAL', 'the head of the state tree was released');
    this.#end(ended);
  }

  /** Proof of what a path holds, or that it holds nothing. @throws NodeError INTERNAL when the version is not live */
  prove(version: TreeVersion, path: Hash): StateProof {
    checkLength(path);
    const siblings: Hash[] = [];
    let ref = this.#own(version).node;
    while (ref !== 0 && !isLeaf(ref)) {
      const depth = this.#arena.depth(ref);
      const at = leafAt(this.#arena.firstLeaf(ref));
      const shared = Math.min(depth, commonPrefix(path, 0, this.#arena.leafBytes, at));
      while (siblings.length < shared) siblings.push(ZERO_HASH);
      if (shared < depth) {
        siblings.push(this.#hashAt(ref, shared + 1));
        return { siblings, leaf: null };
      }
      const side = pathBit(path, depth);
      siblings.push(this.#arena.slotHash(ref + 1 - side));
      ref = this.#arena.child(ref + side);
    }
    if (ref === 0) return { siblings, leaf: null };
    const at = leafAt(ref);
    const bytes = this.#arena.leafBytes;
    return { siblings, leaf: { path: bytes.slice(at, at + 32), valueHash: bytes.slice(at + 32, at + 64) } };
  }

  /** Hash of a branch as seen at a depth above its own. */
  #hashAt(ref: NodeRef, depth: number): Hash {
    const at = leafAt(this.#arena.firstLeaf(ref));
    const pair = new Uint8Array(64);
    pair.set(this.#arena.slotHash(ref));
    pair.set(this.#arena.slotHash(ref + 1), 32);
    let hash = this.#hasher.hash(pair);
    for (let level = this.#arena.depth(ref) - 1; level >= depth; level--) {
      pair.fill(0);
      pair.set(hash, pathBit(this.#arena.leafBytes, level, at) * 32);
      hash = this.#hasher.hash(pair);
    }
    return hash;
  }

  #version(node: NodeRef, size: number, base: Version | null): Version {
    const isSame = base !== null && node === base.node;
    if (!isSame && node !== 0) this.#hashing.queue(ROOT_SLOT, node);
    const root = isSame ? base.root : node === 0 ? ZERO_HASH : this.#hashing.run();
    if (node !== 0) this.#arena.retain(node);
    const version = new Version(root, size, node, base);
    this.#live.add(version);
    return version;
  }

  #end(version: Version): void {
    this.#live.delete(version);
    this.#arena.release(version.node);
  }

  #own(version: TreeVersion): Version {
    if (version instanceof Version && this.#live.has(version)) return version;
    throw new NodeError('INTERNAL', 'this version of the state tree has ended or belongs to another tree');
  }
}

function sortedChanges(changes: readonly TreeChange[]): readonly TreeChange[] {
  const sorted = changes.toSorted((a, b) => compareHashes(a.path, 0, b.path, 0));
  sorted.forEach(({ path, valueHash }, i) => {
    checkLength(path);
    if (valueHash) checkLength(valueHash);
    const previous = sorted[i - 1];
    if (previous && compareHashes(previous.path, 0, path, 0) === 0) {
      throw new NodeError('INTERNAL', 'one update of the state tree changes a path twice');
    }
  });
  return sorted;
}

/** All leaves of a fresh arena by path. */
function sortedLeaves(arena: NodeArena): Uint32Array {
  const bytes = arena.leafBytes;
  const compare = (a: NodeRef, b: NodeRef): number => compareHashes(bytes, leafAt(a), bytes, leafAt(b));
  const refs = new Uint32Array(arena.live.leaves).map((_, i) => (i + 1) * 2 + 1).sort(compare);
  for (let i = 1; i < refs.length; i++) {
    if (compare(refs[i - 1] ?? 0, refs[i] ?? 0) === 0) throw new NodeError('CORRUPT', 'the state holds a path twice');
  }
  return refs;
}

function checkLength(hash: Hash): void {
  if (hash.length === 32) return;
  throw new NodeError('INTERNAL', `a path or value hash of the state tree has ${hash.length} bytes instead of 32`);
}
