/**
 * Hashes what an update left without a hash, from the deepest level of the tree upwards, with one `hashPairs` call a level
 * (one for each 8,192 nodes of it). A node's hash is needed at the depth of its slot, just below its parent: on the
 * levels that path compression skips it is paired with the empty hash, once a level.
 */
import type { Hash } from '../bytes.ts';
import { utf8 } from '../bytes.ts';
import type { Hasher } from './crypto/types.ts';
import type { NodeArena, NodeRef, Slot } from './tree-arena.ts';
import { copyWords, isLeaf, leafAt, PATH_BITS, pathBit, ROOT_SLOT } from './tree-arena.ts';

/** Most pairs hashed by one call: bounds the scratch memory, and what it touches fits a processor's cache. */
export const MAX_BATCH = 8192;

/** Second half of the outer pair of a leaf: SHA-256("AIT/leaf/1"). No node of a tree has this hash. */
export function leafTag(hasher: Hasher): Hash {
  return hasher.hash(utf8('AIT/leaf/1'));
}

export class LevelHashing {
  readonly #hasher: Hasher;
  readonly #arena: NodeArena;
  readonly #tag: Uint32Array;
  readonly #input = new Uint8Array(MAX_BATCH * 64);
  readonly #inputWords = new Uint32Array(this.#input.buffer);
  readonly #output = new Uint8Array(MAX_BATCH * 32);
  readonly #outputWords = new Uint32Array(this.#output.buffer);
  readonly #root = new Uint32Array(8);
  #rootDepth = 0;

  // Waiting: pairs of node and slot.
  #leaves = new WordList();
  #levels: (WordList | undefined)[] = [];

  constructor(hasher: Hasher, arena: NodeArena) {
    this.#hasher = hasher;
    this.#arena = arena;
    this.#tag = new Uint32Array(new Uint8Array(leafTag(hasher)).buffer);
  }

  /** Asks for the hash of a node that is new, or that is new in this slot. */
  queue(slot: Slot, ref: NodeRef): void {
    const list = isLeaf(ref) ? this.#leaves : (this.#levels[this.#arena.depth(ref)] ??= new WordList());
    list.push2(ref, slot);
  }

  /**
   * Hashes everything queued.
   *
   * @param rootDepth where the root slot lies: above 0 for a subtree, whose leaves share so many bits of their paths
   * @returns the hash of the root slot, meaningful when that was queued
   */
  run(rootDepth = 0): Hash {
    this.#rootDepth = rootDepth;
    this.#hashLeaves();
    let lifts = new Lifts();
    for (let depth = PATH_BITS - 1; depth >= 0; depth--) {
      const own = this.#levels[depth];
      if (!own && lifts.count === 0) continue;
      lifts = this.#hashLevel(depth, own ?? new WordList(), lifts);
    }
    this.#leaves = new WordList();
    this.#levels = [];
    return new Uint8Array(this.#root.buffer).slice();
  }

  #hashLeaves(): void {
    const list = this.#leaves;
    const total = list.length / 2;
    for (let start = 0; start < total; start += MAX_BATCH) {
      const count = Math.min(MAX_BATCH, total - start);
      for (let i = 0; i < count; i++) {
        this.#arena.readLeaf(list.words[(start + i) * 2] ?? 0, this.#inputWords, i * 16);
      }
      this.#hashBatch(count);
      for (let i = 0; i < count; i++) {
        copyWords(this.#outputWords, i * 8, this.#inputWords, i * 16, 8);
        copyWords(this.#tag, 0, this.#inputWords, i * 16 + 8, 8);
      }
      this.#hashBatch(count);
      for (let i = 0; i < count; i++) this.#store(list.words[(start + i) * 2 + 1] ?? 0, i * 8);
    }
  }

  /** Hashes the branches of one depth and lifts nodes from below through it. @returns what is to be lifted further */
  #hashLevel(depth: number, own: WordList, lifts: Lifts): Lifts {
    const next = new Lifts();
    const branches = own.length / 2;
    const total = branches + lifts.count;
    for (let start = 0; start < total; start += MAX_BATCH) {
      const count = Math.min(MAX_BATCH, total - start);
      for (let i = 0; i < count; i++) {
        const at = start + i;
        if (at < branches) this.#arena.readPair(own.words[at * 2] ?? 0, this.#inputWords, i * 16);
        else this.#readLift(depth, lifts, at - branches, i * 16);
      }
      this.#hashBatch(count);
      for (let i = 0; i < count; i++) {
        const at = start + i;
        const isOwn = at < branches;
        const slot = (isOwn ? own.words[at * 2 + 1] : lifts.jobs.words[(at - branches) * 2 + 1]) ?? 0;
        if (this.#slotDepth(slot) === depth) {
          this.#store(slot, i * 8);
          continue;
        }
        const leaf = isOwn
          ? this.#arena.firstLeaf(own.words[at * 2] ?? 0)
          : (lifts.jobs.words[(at - branches) * 2] ?? 0);
        next.push(leaf, slot, this.#outputWords, i * 8);
      }
    }
    return next;
  }

  #readLift(depth: number, lifts: Lifts, index: number, at: number): void {
    const leaf = lifts.jobs.words[index * 2] ?? 0;
    const side = pathBit(this.#arena.leafBytes, depth, leafAt(leaf));
    copyWords(lifts.hashes.words, index * 8, this.#inputWords, at + side * 8, 8);
    this.#inputWords.fill(0, at + (1 - side) * 8, at + (2 - side) * 8);
  }

  #hashBatch(count: number): void {
    this.#hasher.hashPairs(this.#input.subarray(0, count * 64), this.#output.subarray(0, count * 32));
  }

  #store(slot: Slot, at: number): void {
    if (slot === ROOT_SLOT) copyWords(this.#outputWords, at, this.#root, 0, 8);
    else this.#arena.writeHash(slot, this.#outputWords, at);
  }

  #slotDepth(slot: Slot): number {
    return slot === ROOT_SLOT ? this.#rootDepth : this.#arena.depth(slot) + 1;
  }
}

/** Hashes on their way up to their slot, each with a leaf below it, whose path tells the sides. */
class Lifts {
  readonly jobs = new WordList();
  readonly hashes = new WordList();

  get count(): number {
    return this.jobs.length / 2;
  }

  push(leaf: NodeRef, slot: Slot, source: Uint32Array, at: number): void {
    this.jobs.push2(leaf, slot);
    const to = this.hashes.extend(8);
    copyWords(source, at, this.hashes.words, to, 8);
  }
}

class WordList {
  words = new Uint32Array(16);
  length = 0;

  push2(first: number, second: number): void {
    const at = this.extend(2);
    this.words[at] = first;
    this.words[at + 1] = second;
  }

  /** @returns where the added words start */
  extend(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.words.length) {
      const words = new Uint32Array(this.words.length * 2);
      words.set(this.words);
      this.words = words;
    }
    return at;
  }
}
