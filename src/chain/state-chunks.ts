/**
 * The state of a height in pieces that can be proven: the tree of src/chain/tree.ts is cut at path prefixes into
 * subtrees, each a chunk of entries in path order, and the manifest is the top of the tree down to these cuts.
 *
 * A manifest proves itself by the state root of a header, and a chunk by the manifest: an inner node has one pair of
 * children, a lone leaf is told by its path and value hash and not by a hash that could be passed off as it, and a
 * branch equal to the leaf tag is refused (see tree-proof.ts). So whatever manifest verifies says the truth about the
 * state; only where it is cut is its maker's choice, and makers follow one rule (`isChunk`).
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, compareBytes, equalBytes, keyBytes, ZERO_HASH } from '../bytes.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';
import type { StateKey } from './state.ts';
import { statePath } from './state.ts';
import { NodeArena, PATH_BITS, pathBit, ROOT_SLOT } from './tree-arena.ts';
import { leafTag, LevelHashing } from './tree-hashing.ts';
import { buildSubtree } from './tree-update.ts';

/** A prefix with more than this is cut further; some 5,000 accounts. */
export const CHUNK_BYTES = 256 * 1024;
/** Caps of keys and values in chunks: no module writes half of it. A larger value makes a state without snapshots. */
export const MAX_KEY_BYTES = 1_024;
export const MAX_VALUE_BYTES = 1024 * 1024;
/** A single entry may exceed {@link CHUNK_BYTES}. */
export const MAX_CHUNK_BYTES = 6 + MAX_KEY_BYTES + MAX_VALUE_BYTES;
/** At some 200 KiB each, a state of 6 GiB. */
export const MAX_CHUNKS = 32_768;

const MIN_ENTRY_BYTES = 2 + 1 + 4;
const NODE = { SPLIT: 0, EMPTY: 1, LEAF: 2, BRANCH: 3 } as const;
/** Of an encoded manifest: there are fewer splits than chunks. */
export const MAX_MANIFEST_BYTES = 8 + MAX_CHUNKS * (1 + 1 + 64);

export type StateEntry = readonly [key: StateKey, value: Uint8Array];

export interface TreeLeafHashes {
  readonly path: Hash;
  readonly valueHash: Hash;
}

/** What is below a cut: nothing, one leaf, or a branch by its hash. */
export type ChunkNode =
  | { readonly kind: 'empty' }
  | ({ readonly kind: 'leaf' } & TreeLeafHashes)
  | { readonly kind: 'branch'; readonly hash: Hash };

/** A subtree: all leaves whose paths begin with the first `depth` bits of `prefix`, whose other bits are zero. */
export interface ChunkRef {
  readonly prefix: Hash;
  readonly depth: number;
  readonly node: ChunkNode;
}

/** Chunks in path order; together they are the whole space of paths. */
export interface StateManifest {
  readonly height: number;
  readonly chunks: readonly ChunkRef[];
}

/** The one rule of cutting, by which all makers come to the same manifest. @param bytes of the encoded entries */
export function isChunk(bytes: number, entries: number): boolean {
  return entries <= 1 || bytes <= CHUNK_BYTES;
}

/** A leaf to be cut, with what its entry takes in a chunk. */
export interface SizedLeaf extends TreeLeafHashes {
  readonly bytes: number;
}

export interface Cut<L> {
  readonly prefix: Hash;
  readonly depth: number;
  readonly leaves: readonly L[];
}

/** Cuts leaves, sorted by path, that share the first `depth` bits with the prefix: pieces in path order. */
export function* cutLeaves<L extends SizedLeaf>(leaves: readonly L[], prefix: Hash, depth: number): Generator<Cut<L>> {
  const bytes = leaves.reduce((sum, leaf) => sum + leaf.bytes, 0);
  if (isChunk(bytes, leaves.length)) {
    yield { prefix, depth, leaves };
    return;
  }
  const firstRight = leaves.findIndex(({ path }) => pathBit(path, depth) === 1);
  const middle = firstRight < 0 ? leaves.length : firstRight;
  yield* cutLeaves(leaves.slice(0, middle), prefix, depth + 1);
  yield* cutLeaves(leaves.slice(middle), withBit(prefix, depth), depth + 1);
}

/** What an entry takes in a chunk. */
export function entryBytes(keyLength: number, valueLength: number): number {
  return 6 + keyLength + valueLength;
}

// Chunks

/** Entries in path order, each as u16 key length, key, u32 value length, value. */
export function encodeChunk(entries: readonly StateEntry[]): Uint8Array {
  const size = entries.reduce((sum, [key, value]) => sum + entryBytes(key.length, value.length), 0);
  const writer = new Writer(size);
  for (const [key, value] of entries) {
    if (key.length > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES) throw tooLarge(key, value);
    writer.bytes16(keyBytes(key)).bytes32(value);
  }
  return writer.finish();
}

function tooLarge(key: StateKey, value: Uint8Array): NodeError {
  return new NodeError('TOO_LARGE', 'an entry of the state is too large for a snapshot', {
    data: { keyBytes: key.length, valueBytes: value.length, maxValueBytes: MAX_VALUE_BYTES },
  });
}

/** Values are views of `bytes`. @throws NodeError CODEC */
export function decodeChunk(bytes: Uint8Array): StateEntry[] {
  const reader = new Reader(bytes, 'state chunk');
  if (bytes.length > MAX_CHUNK_BYTES) throw reader.reject('over-cap');
  const entries: StateEntry[] = [];
  while (reader.remaining > 0) {
    if (reader.remaining < MIN_ENTRY_BYTES) throw reader.reject('truncated');
    const key = reader.bytes16(MAX_KEY_BYTES);
    if (key.length === 0) throw reader.reject('out-of-range');
    entries.push([bytesKey(key), reader.bytes32(MAX_VALUE_BYTES)]);
  }
  return entries;
}

/** An entry with its place in the tree. */
export interface HashedEntry extends TreeLeafHashes {
  readonly key: StateKey;
  readonly value: Uint8Array;
}

/** Entries of a chunk as they stand there, which proves nothing yet. @throws NodeError CODEC */
export function readChunk(hasher: Hasher, bytes: Uint8Array): HashedEntry[] {
  return decodeChunk(bytes).map(([key, value]) => ({
    key,
    value,
    path: statePath(hasher, key),
    valueHash: hasher.hash(value),
  }));
}

/** Do these bytes hold what the manifest says is there, all of it and nothing else? @throws NodeError BAD_PROOF */
export function verifyChunk(hasher: Hasher, { prefix, depth, node }: ChunkRef, bytes: Uint8Array): void {
  let leaves: HashedEntry[];
  try {
    leaves = readChunk(hasher, bytes);
  } catch (error) {
    throw badChunk(depth, toNodeError(error).message);
  }
  leaves.forEach(({ path }, i) => {
    const previous = leaves[i - 1];
    if (!sharesPrefix(path, prefix, depth)) throw badChunk(depth, 'an entry belongs elsewhere');
    if (previous && compareBytes(previous.path, path) >= 0) throw badChunk(depth, 'entries are not in path order');
  });
  if (!sameNode(chunkNode(hasher, leaves, depth), node)) {
    throw badChunk(depth, 'its entries are not those of the manifest');
  }
}

function sameNode(found: ChunkNode, told: ChunkNode): boolean {
  if (told.kind === 'empty') return found.kind === 'empty';
  if (told.kind === 'branch') return found.kind === 'branch' && equalBytes(found.hash, told.hash);
  return found.kind === 'leaf' && equalBytes(found.path, told.path) && equalBytes(found.valueHash, told.valueHash);
}

function badChunk(depth: number, reason: string): NodeError {
  return new NodeError('BAD_PROOF', `a chunk of the state does not verify: ${reason}`, { data: { depth, reason } });
}

/** The tree's hash of leaves that share `depth` bits of their paths, sorted by path, as their parent holds it. */
export function subtreeHash(hasher: Hasher, leaves: readonly TreeLeafHashes[], depth: number): Hash {
  if (leaves.length === 0) return ZERO_HASH;
  const arena = new NodeArena(leaves.length);
  const hashing = new LevelHashing(hasher, arena);
  const refs = leaves.map(({ path, valueHash }) => arena.newLeaf(path, valueHash));
  hashing.queue(ROOT_SLOT, buildSubtree(arena, hashing, refs, 0, refs.length));
  return hashing.run(depth);
}

/** What the manifest says of leaves at a cut. */
export function chunkNode(hasher: Hasher, leaves: readonly TreeLeafHashes[], depth: number): ChunkNode {
  const [first] = leaves;
  if (!first) return { kind: 'empty' };
  if (leaves.length === 1) return { kind: 'leaf', path: first.path.slice(), valueHash: first.valueHash.slice() };
  return { kind: 'branch', hash: subtreeHash(hasher, leaves, depth) };
}

// Manifests

/**
 * u64 height, then the top of the tree from the left in preorder: 0 and two subtrees, or 1 nothing, 2 path and value hash
 * of one leaf, 3 hash of a branch. Nothing else can be said than prefixes that cover all paths once.
 */
export function encodeManifest({ height, chunks }: StateManifest): Uint8Array {
  const writer = new Writer(64 + chunks.length * 40).u64(height);
  let depth = 0;
  chunks.forEach((chunk, i) => {
    // After a chunk the walk goes on at the right of the lowest split that has one left.
    if (i > 0) depth = splitDepth(chunk.prefix) + 1;
    for (; depth < chunk.depth; depth++) writer.u8(NODE.SPLIT);
    writeNode(writer, chunk.node);
  });
  return writer.finish();
}

/** Depth of the split whose right side begins at this prefix: its last bit that is set. */
function splitDepth(prefix: Hash): number {
  for (let bit = PATH_BITS - 1; bit >= 0; bit--) if (pathBit(prefix, bit) === 1) return bit;
  return -1;
}

function writeNode(writer: Writer, node: ChunkNode): void {
  if (node.kind === 'empty') writer.u8(NODE.EMPTY);
  else if (node.kind === 'leaf') writer.u8(NODE.LEAF).fixed(node.path, 32).fixed(node.valueHash, 32);
  else writer.u8(NODE.BRANCH).fixed(node.hash, 32);
}

/** @throws NodeError CODEC, also for a split that the rule of cutting never makes: one above less than two leaves */
export function decodeManifest(hasher: Hasher, bytes: Uint8Array): StateManifest {
  const reader = new Reader(bytes, 'state manifest');
  const height = reader.u64();
  const tag = leafTag(hasher);
  const chunks: ChunkRef[] = [];
  // Prefixes still to come, the next one last; of each open split the least leaves below its finished sides.
  const ahead: { prefix: Hash; depth: number }[] = [{ prefix: ZERO_HASH, depth: 0 }];
  const open: number[][] = [];
  for (let place = ahead.pop(); place; place = ahead.pop()) {
    const { prefix, depth } = place;
    const kind = reader.u8();
    if (kind === NODE.SPLIT) {
      if (depth >= PATH_BITS) throw reader.reject('over-cap');
      open.push([]);
      ahead.push({ prefix: withBit(prefix, depth), depth: depth + 1 }, { prefix, depth: depth + 1 });
      continue;
    }
    if (chunks.length >= MAX_CHUNKS) throw reader.reject('over-cap');
    const node = readNode(reader, kind, tag, prefix, depth);
    chunks.push({ prefix, depth, node });
    closeSplits(reader, open, node.kind === 'empty' ? 0 : node.kind === 'leaf' ? 1 : 2);
  }
  reader.end();
  return { height, chunks };
}

/** Counts the leaves of a finished side, and of all splits that it finishes. */
function closeSplits(reader: Reader, open: number[][], leaves: number): void {
  let count = leaves;
  for (let split = open.at(-1); split; split = open.at(-1)) {
    split.push(count);
    if (split.length < 2) return;
    count = (split[0] ?? 0) + (split[1] ?? 0);
    if (count < 2) throw reader.reject('non-canonical');
    open.pop();
  }
}

function readNode(reader: Reader, kind: number, tag: Hash, prefix: Hash, depth: number): ChunkNode {
  if (kind === NODE.EMPTY) return { kind: 'empty' };
  if (kind === NODE.LEAF) {
    const path = reader.fixed(32);
    if (!sharesPrefix(path, prefix, depth)) throw reader.reject('non-canonical');
    return { kind: 'leaf', path, valueHash: reader.fixed(32) };
  }
  if (kind !== NODE.BRANCH) throw reader.reject('non-canonical');
  const hash = reader.fixed(32);
  if (equalBytes(hash, tag) || equalBytes(hash, ZERO_HASH)) throw reader.reject('non-canonical');
  return { kind: 'branch', hash };
}

/** The state root that a manifest amounts to. */
export function manifestRoot(hasher: Hasher, { chunks }: StateManifest): Hash {
  const done: { readonly depth: number; readonly hash: Hash }[] = [];
  for (const { prefix, depth, node } of chunks) {
    let at = depth;
    let hash = nodeHash(hasher, node);
    // A right side finishes its split, and maybe those above it.
    while (at > 0 && pathBit(prefix, at - 1) === 1) {
      const left = done.pop();
      if (!left || left.depth !== at)
        throw new NodeError('INTERNAL', 'the chunks of a manifest do not follow each other');
      hash = hashPair(hasher, left.hash, hash);
      at -= 1;
    }
    done.push({ depth: at, hash });
  }
  const [root] = done;
  if (!root || done.length !== 1) throw new NodeError('INTERNAL', 'the chunks of a manifest do not cover all paths');
  return root.hash;
}

function nodeHash(hasher: Hasher, node: ChunkNode): Hash {
  if (node.kind === 'empty') return ZERO_HASH;
  if (node.kind === 'branch') return node.hash;
  return hashPair(hasher, hashPair(hasher, node.path, node.valueHash), leafTag(hasher));
}

function hashPair(hasher: Hasher, left: Hash, right: Hash): Hash {
  const pair = new Uint8Array(64);
  pair.set(left);
  pair.set(right, 32);
  return hasher.hash(pair);
}

/** The prefix with one more bit, a set one. */
export function withBit(prefix: Hash, bit: number): Hash {
  const next = prefix.slice();
  next[bit >>> 3] = (next[bit >>> 3] ?? 0) | (0x80 >>> (bit & 7));
  return next;
}

function sharesPrefix(path: Hash, prefix: Hash, depth: number): boolean {
  const whole = depth >>> 3;
  for (let i = 0; i < whole; i++) if (path[i] !== prefix[i]) return false;
  const rest = depth & 7;
  return rest === 0 || ((path[whole] ?? 0) ^ (prefix[whole] ?? 0)) >>> (8 - rest) === 0;
}
