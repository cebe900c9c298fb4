import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/bytes.ts';
import { pureHasher } from '../../src/chain/crypto/pure.ts';
import { StateTree } from '../../src/chain/tree.ts';
import { leafTag } from '../../src/chain/tree-hashing.ts';
import type { StateProof } from '../../src/chain/tree-proof.ts';
import {
  decodeStateProof,
  encodeStateProof,
  stateProofFromJson,
  stateProofToJson,
  verifyStateProof,
} from '../../src/chain/tree-proof.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { referenceProof, referenceRoot, sha256 } from '../util/reference-tree.ts';
import type { stateTreeVectors } from '../../scripts/vectors/state-tree.ts';
import { readVectors } from './read.ts';

const vectors = readVectors<ReturnType<typeof stateTreeVectors>>('state-tree');

const valueOf = (hex: string | null): Uint8Array | null => (hex === null ? null : fromHex(hex));
const leafOf = ({ path, value }: { path: string; value: string }): { path: Uint8Array; valueHash: Uint8Array } => ({
  path: fromHex(path, 32),
  valueHash: sha256(fromHex(value)),
});

for (const [name, hasher] of Object.entries({ pure: pureHasher, native: nativeHasher })) {
  describe(`state tree vectors, ${name} hashes`, () => {
    it('tag and paths', () => {
      assert.equal(toHex(leafTag(hasher)), vectors.leafTag);
      for (const entry of vectors.trees.flatMap(({ entries }) => entries)) {
        if (entry.key) assert.equal(toHex(hasher.hash(fromHex(entry.key))), entry.path);
      }
    });

    for (const { name: title, entries, root, proofs } of vectors.trees) {
      it(`tree: ${title}`, () => {
        const leaves = entries.map(leafOf);
        const tree = StateTree.load(hasher, leaves);
        assert.equal(toHex(tree.head.root), root);
        assert.equal(toHex(referenceRoot(leaves)), root);
        for (const { path, value, proof, json } of proofs) {
          const made = tree.prove(tree.head, fromHex(path));
          assert.deepEqual(made, referenceProof(leaves, fromHex(path)));
          assert.equal(toHex(encodeStateProof(made)), proof);
          assert.deepEqual(stateProofToJson(made), json);
          assert.deepEqual(stateProofFromJson(json), made);
          assert.ok(
            verifyStateProof(hasher, fromHex(root), fromHex(path), valueOf(value), decodeStateProof(fromHex(proof))),
          );
        }
      });
    }

    it('updates', () => {
      const tree = StateTree.load(hasher, []);
      for (const { changes, root } of vectors.updates) {
        const hashed = changes.map(({ path, value }) => ({
          path: fromHex(path, 32),
          valueHash: value === null ? null : sha256(fromHex(value)),
        }));
        tree.commit(tree.fork(tree.head, hashed));
        assert.equal(toHex(tree.head.root), root);
      }
    });

    for (const { name: title, root, path, value, proof } of vectors.falseClaims) {
      it(`false claim: ${title}`, () => {
        const decoded: StateProof = decodeStateProof(fromHex(proof));
        assert.equal(verifyStateProof(hasher, fromHex(root), fromHex(path), valueOf(value), decoded), false);
      });
    }
  });
}

describe('state tree vectors', () => {
  for (const { name, bytes, reason } of vectors.badEncodings) {
    it(`bad encoding: ${name}`, () => {
      assert.throws(() => decodeStateProof(fromHex(bytes)), {
        code: 'CODEC',
        data: { reason, what: 'state proof' },
      });
    });
  }
});
