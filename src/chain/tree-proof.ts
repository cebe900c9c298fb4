/**
 * Proof that a path of the state tree holds a value or holds nothing: verifies with the state root of a header alone.
 *
 * The canonical bytes are: depth u16 (at most 256); a bitmap of ceil(depth / 8) bytes, bit i (from the most significant)
 * set when sibling i is not empty, spare bits zero; the siblings that are not empty; a presence byte; and, when it is 1,
 * path and value hash of the leaf.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes, toHex, ZERO_HASH } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';
import { checkKeys, jsonArray, jsonHex, jsonObject } from './json.ts';
import type { Json, JsonObject } from './modules/types.ts';
import { commonPrefix, PATH_BITS, pathBit } from './tree-arena.ts';
import { leafTag } from './tree-hashing.ts';

export interface StateProof {
  /** Hashes beside the way, from the root down; 32 zero bytes for an empty subtree, which the last one never is. */
  readonly siblings: readonly Hash[];
  /** What the way ends at: the only leaf with this prefix, or nothing. */
  readonly leaf: { readonly path: Hash; readonly valueHash: Hash } | null;
}

/**
 * @param path of the key, see `statePath`; 32 bytes
 * @param expectedValue the value that the key holds; null when it holds nothing
 * @returns whether the proof shows exactly this; never throws
 */
export function verifyStateProof(
  hasher: Hasher,
  root: Hash,
  path: Hash,
  expectedValue: Uint8Array | null,
  proof: StateProof,
): boolean {
  const tag = leafTag(hasher);
  if (root.length !== 32 || path.length !== 32 || !wellFormed(proof, tag)) return false;
  const { siblings, leaf } = proof;
  if (leaf && commonPrefix(leaf.path, 0, path, 0) < siblings.length) return false;
  const present = leaf !== null && equalBytes(leaf.path, path);
  if (present !== (expectedValue !== null)) return false;
  if (leaf && expectedValue && !equalBytes(leaf.valueHash, hasher.hash(expectedValue))) return false;

  let node = leaf ? hashPair(hasher, hashPair(hasher, leaf.path, leaf.valueHash), tag) : ZERO_HASH;
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const sibling = siblings[depth] ?? ZERO_HASH;
    node = pathBit(path, depth) === 0 ? hashPair(hasher, node, sibling) : hashPair(hasher, sibling, node);
  }
  return equalBytes(node, root);
}

/**
 * A sibling equal to the leaf tag would read a leaf's outer pair as a branch. Whoever may choose 63 bytes of a key and
 * set its value to the tag's text could then pass the key off as the leaf of another path.
 */
function wellFormed({ siblings, leaf }: StateProof, tag: Hash): boolean {
  const last = siblings.at(-1);
  return (
    siblings.length <= PATH_BITS &&
    siblings.every((sibling) => sibling.length === 32 && !equalBytes(sibling, tag)) &&
    (last === undefined || !equalBytes(last, ZERO_HASH)) &&
    (leaf === null || (leaf.path.length === 32 && leaf.valueHash.length === 32))
  );
}

function hashPair(hasher: Hasher, left: Hash, right: Hash): Hash {
  const pair = new Uint8Array(64);
  pair.set(left);
  pair.set(right, 32);
  return hasher.hash(pair);
}

function writeStateProof(writer: Writer, proof: StateProof): void {
  const { siblings, leaf } = proof;
  const filled = siblings.filter((sibling) => !equalBytes(sibling, ZERO_HASH));
  const bitmap = new Uint8Array(Math.ceil(siblings.length / 8));
  siblings.forEach((sibling, i) => {
    if (!equalBytes(sibling, ZERO_HASH)) bitmap[i >>> 3] = (bitmap[i >>> 3] ?? 0) | (0x80 >>> (i & 7));
  });
  writer.u16(siblings.length).raw(bitmap);
  for (const sibling of filled) writer.fixed(sibling, 32);
  writer.bool(leaf !== null);
  if (leaf) writer.fixed(leaf.path, 32).fixed(leaf.valueHash, 32);
}

function readStateProof(reader: Reader): StateProof {
  const depth = reader.count16(PATH_BITS, 0);
  const bitmap = reader.fixed(Math.ceil(depth / 8));
  for (let i = depth; i < bitmap.length * 8; i++) if (pathBit(bitmap, i) === 1) throw reader.reject('non-canonical');
  if (depth > 0 && pathBit(bitmap, depth - 1) === 0) throw reader.reject('non-canonical');
  const siblings: Hash[] = [];
  for (let i = 0; i < depth; i++) {
    const sibling = pathBit(bitmap, i) === 1 ? reader.fixed(32) : null;
    if (sibling && equalBytes(sibling, ZERO_HASH)) throw reader.reject('non-canonical');
    siblings.push(sibling ?? ZERO_HASH);
  }
  const leaf = reader.bool() ? { path: reader.fixed(32), valueHash: reader.fixed(32) } : null;
  return { siblings, leaf };
}

export function encodeStateProof(proof: StateProof): Uint8Array {
  const writer = new Writer(1024);
  writeStateProof(writer, proof);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeStateProof(bytes: Uint8Array): StateProof {
  const reader = new Reader(bytes, 'state proof');
  const proof = readStateProof(reader);
  reader.end();
  return proof;
}

/** `{siblings: [hex or null], leaf: {path, value_hash} or null}`; null is an empty sibling. */
export function stateProofToJson({ siblings, leaf }: StateProof): JsonObject {
  return {
    siblings: siblings.map((sibling) => (equalBytes(sibling, ZERO_HASH) ? null : toHex(sibling))),
    leaf: leaf && { path: toHex(leaf.path), value_hash: toHex(leaf.valueHash) },
  };
}

/** Takes exactly what `stateProofToJson` gives. @throws NodeError INVALID_PARAMS or CODEC */
export function stateProofFromJson(value: Json): StateProof {
  const json = jsonObject(value, 'proof');
  checkKeys(json, ['siblings', 'leaf']);
  const list = jsonArray(json['siblings'], 'siblings');
  if (list.length > PATH_BITS) throw invalid(`"siblings" has more than ${PATH_BITS} items`);
  const siblings = list.map((item) => (item === null ? ZERO_HASH : jsonHex(item, 'siblings', 32)));
  if (siblings.some((sibling) => sibling !== ZERO_HASH && equalBytes(sibling, ZERO_HASH))) {
    throw invalid('an empty sibling is null');
  }
  // Through the bytes, so that both forms refuse the same proofs.
  return decodeStateProof(encodeStateProof({ siblings, leaf: leafFromJson(json['leaf']) }));
}

function leafFromJson(value: Json | undefined): StateProof['leaf'] {
  if (value === null) return null;
  const leaf = jsonObject(value, 'leaf');
  checkKeys(leaf, ['path', 'value_hash']);
  return { path: jsonHex(leaf['path'], 'path', 32), valueHash: jsonHex(leaf['value_hash'], 'value_hash', 32) };
}

function invalid(reason: string): NodeError {
  return new NodeError('INVALID_PARAMS', `not the JSON form of a state proof: ${reason}`);
}
