import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex, utf8, ZERO_HASH } from '../../../src/bytes.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { StateTree } from '../../../src/chain/tree.ts';
import type { StateProof } from '../../../src/chain/tree-proof.ts';
import { stateProofFromJson, stateProofToJson, verifyStateProof } from '../../../src/chain/tree-proof.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { sha256 } from '../../util/reference-tree.ts';
import { anyPath, groundPath, spreadPath } from '../../util/tree-paths.ts';

const value = (n: number): Uint8Array => Buffer.from(`value ${n}`);
const leaf = (path: Uint8Array, n: number): { path: Uint8Array; valueHash: Uint8Array } => ({
  path,
  valueHash: sha256(value(n)),
});

/** Spread leaves, and some that share 40 and 200 bits with leaf 0. */
const SET = [
  ...Array.from({ length: 40 }, (_, i) => leaf(spreadPath(i), i)),
  leaf(groundPath(0, 40, 1), 40),
  leaf(groundPath(0, 200, 2), 41),
];
const tree = StateTree.load(nativeHasher, SET);
const { root } = tree.head;
const prove = (path: Uint8Array): StateProof => tree.prove(tree.head, path);
const verify = (path: Uint8Array, expected: Uint8Array | null, proof: StateProof, at = root): boolean =>
  verifyStateProof(nativeHasher, at, path, expected, proof);

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >>> 3] = (copy[bit >>> 3] ?? 0) ^ (0x80 >>> (bit & 7));
  return copy;
}

/** Absent paths that end at nothing, beside a shared prefix, and at another leaf. */
const ABSENT = [groundPath(0, 30, 9), groundPath(0, 120, 9), groundPath(0, 201, 9), ...[50, 51, 52].map(spreadPath)];

/** The proof with one thing changed, for every single thing that can be. */
function* mutants(proof: StateProof): Generator<StateProof> {
  const { siblings } = proof;
  for (let i = 0; i < siblings.length; i++) {
    const sibling = siblings[i] as Uint8Array;
    for (let bit = 0; bit < 256; bit += 17) yield { ...proof, siblings: siblings.with(i, flipped(sibling, bit)) };
    yield { ...proof, siblings: siblings.toSpliced(i, 1) };
    yield { ...proof, siblings: siblings.toSpliced(i, 0, ZERO_HASH) };
    yield { ...proof, siblings: siblings.toSpliced(i, 0, sibling) };
    yield { ...proof, siblings: siblings.with(i, sibling.slice(1)) };
    yield { ...proof, siblings: siblings.slice(0, i) };
    const below = siblings[i + 1];
    if (below && toHex(below) !== toHex(sibling))
      yield { ...proof, siblings: siblings.with(i, below).with(i + 1, sibling) };
  }
  for (const end of [ZERO_HASH, root, spreadPath(1), new Uint8Array(0)])
    yield { ...proof, siblings: [...siblings, end] };
  yield { ...proof, leaf: proof.leaf ? null : leaf(spreadPath(0), 0) };
  if (!proof.leaf) return;
  const { path, valueHash } = proof.leaf;
  for (let bit = 0; bit < 256; bit += 5) {
    yield { ...proof, leaf: { path: flipped(path, bit), valueHash } };
    yield { ...proof, leaf: { path, valueHash: flipped(valueHash, bit) } };
  }
  yield { ...proof, leaf: { path: valueHash, valueHash: path } };
  yield { ...proof, leaf: { path: path.slice(1), valueHash } };
  yield { ...proof, leaf: { path, valueHash: new Uint8Array(0) } };
}

describe('chain/tree-proof', () => {
  it('shows what a path holds, and nothing else', () => {
    SET.forEach(({ path }, i) => {
      const proof = prove(path);
      assert.equal(verify(path, value(i), proof), true);
      assert.equal(verifyStateProof(pureHasher, root, path, value(i), proof), true);
      assert.equal(verify(path, value(i + 1), proof), false);
      assert.equal(verify(path, new Uint8Array(0), proof), false);
      assert.equal(verify(path, null, proof), false);
    });
  });

  it('shows that a path holds nothing, and nothing else', () => {
    assert.deepEqual(new Set(ABSENT.map((path) => prove(path).leaf === null)), new Set([true, false]));
    for (const path of ABSENT) {
      const proof = prove(path);
      assert.equal(verify(path, null, proof), true);
      for (let i = 0; i < SET.length; i++) assert.equal(verify(path, value(i), proof), false);
    }
  });

  it('tells an empty value from none', () => {
    const path = spreadPath(1);
    const one = StateTree.load(nativeHasher, [{ path, valueHash: sha256(new Uint8Array(0)) }]).head;
    const none = StateTree.load(nativeHasher, []).head;
    const held: StateProof = { siblings: [], leaf: { path, valueHash: sha256(new Uint8Array(0)) } };
    const empty: StateProof = { siblings: [], leaf: null };
    assert.equal(verify(path, new Uint8Array(0), held, one.root), true);
    assert.equal(verify(path, null, held, one.root), false);
    assert.equal(verify(path, null, empty, none.root), true);
    assert.equal(verify(path, new Uint8Array(0), empty, none.root), false);
  });

  it('does not verify after any single change', () => {
    for (const path of [spreadPath(0), spreadPath(7), ...ABSENT]) {
      const at = SET.findIndex((item) => toHex(item.path) === toHex(path));
      const expected = at < 0 ? null : value(at);
      let count = 0;
      for (const mutant of mutants(prove(path))) {
        count++;
        assert.equal(verify(path, expected, mutant), false);
      }
      assert.ok(count > 30);
    }
  });

  it('does not verify for another path, value or root, except that one way ends for all absent paths below it', () => {
    const paths = [...SET.map(({ path }) => path), ...ABSENT];
    for (const path of paths) {
      for (const other of paths.filter((item) => item !== path)) {
        SET.forEach((_, i) => {
          if (other !== SET[i]?.path) assert.equal(verify(other, value(i), prove(path)), false);
        });
        const isPresent = SET.some((item) => item.path === other);
        if (isPresent) assert.equal(verify(other, null, prove(path)), false);
      }
      assert.equal(verify(path, null, prove(path), spreadPath(3)), false);
      assert.equal(verify(path, null, prove(path), new Uint8Array(0)), false);
    }
  });

  describe('attacks', () => {
    const target = SET[5] as (typeof SET)[number];
    const honest = prove(target.path);

    it('absence by a different leaf: it must share the way', () => {
      const other = prove((SET[6] as (typeof SET)[number]).path);
      assert.equal(verify(target.path, null, other), false);
      assert.equal(verify(target.path, null, { ...honest, leaf: other.leaf }), false);
    });

    it('absence by an empty end above or below the leaf', () => {
      assert.equal(verify(target.path, null, { siblings: honest.siblings, leaf: null }), false);
      for (let depth = 0; depth < honest.siblings.length; depth++) {
        assert.equal(verify(target.path, null, { siblings: honest.siblings.slice(0, depth), leaf: null }), false);
      }
    });

    it('an inner node as a leaf', () => {
      const at = honest.siblings.length - 1;
      const children = { path: honest.siblings[at] as Uint8Array, valueHash: spreadPath(1) };
      assert.equal(verify(target.path, null, { siblings: honest.siblings.slice(0, at), leaf: children }), false);
    });

    it('a leaf as an inner node, by a key and value made to look like one', () => {
      // The forged leaf is on the left of the pretended branch, so its path begins with 0.
      const forged = { path: Uint8Array.of(0x01, ...spreadPath(9).subarray(1)), valueHash: sha256(value(99)) };
      // A key that spells the forged leaf's inner pair, its first byte as module number, holding the tag's text.
      const key = new Uint8Array([...forged.path, ...forged.valueHash]);
      const planted = { path: sha256(key), valueHash: sha256(utf8('AIT/leaf/1')) };
      const victim = StateTree.load(nativeHasher, [planted]);
      const tag = sha256(utf8('AIT/leaf/1'));
      const forgedHash = sha256(sha256(forged.path, forged.valueHash), tag);
      assert.deepEqual(sha256(forgedHash, tag), victim.head.root, 'the hashes alone would admit it');
      assert.equal(verify(forged.path, value(99), { siblings: [tag], leaf: forged }, victim.head.root), false);
      assert.equal(verify(planted.path, utf8('AIT/leaf/1'), { siblings: [], leaf: planted }, victim.head.root), true);
    });

    it('more than 256 levels', () => {
      const siblings = Array.from({ length: 257 }, () => spreadPath(1));
      assert.equal(verify(target.path, null, { siblings, leaf: null }), false);
      assert.equal(verify(target.path, value(5), { siblings, leaf: target }), false);
    });
  });

  describe('JSON form', () => {
    it('goes both ways', () => {
      fc.assert(
        fc.property(anyPath, (path) => {
          const proof = prove(path);
          assert.deepEqual(stateProofFromJson(JSON.parse(JSON.stringify(stateProofToJson(proof)))), proof);
        }),
      );
    });

    it('is strict', () => {
      const good = stateProofToJson(prove(spreadPath(0))) as { siblings: (string | null)[]; leaf: { path: string } };
      const zero = toHex(ZERO_HASH);
      const bad: [unknown, string][] = [
        [null, 'INVALID_PARAMS'],
        [[], 'INVALID_PARAMS'],
        [{ siblings: good.siblings }, 'INVALID_PARAMS'],
        [{ ...good, more: 1 }, 'INVALID_PARAMS'],
        [{ ...good, leaf: { ...good.leaf, more: 1 } }, 'INVALID_PARAMS'],
        [{ ...good, leaf: { path: good.leaf.path } }, 'INVALID_PARAMS'],
        [{ ...good, leaf: 1 }, 'INVALID_PARAMS'],
        [{ ...good, siblings: 'all' }, 'INVALID_PARAMS'],
        [{ ...good, siblings: [zero.slice(2)] }, 'INVALID_PARAMS'],
        [{ ...good, siblings: [good.leaf.path.toUpperCase()] }, 'INVALID_PARAMS'],
        [{ ...good, siblings: [zero, good.leaf.path] }, 'INVALID_PARAMS'],
        [{ ...good, siblings: Array.from({ length: 257 }, () => good.leaf.path) }, 'INVALID_PARAMS'],
        [{ ...good, siblings: [good.leaf.path, null] }, 'CODEC'],
      ];
      for (const [json, code] of bad) assert.throws(() => stateProofFromJson(json as never), { code });
    });
  });
});
