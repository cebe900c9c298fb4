import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex, ZERO_HASH } from '../../../src/bytes.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { StateTree } from '../../../src/chain/tree.ts';
import type { TreeVersion } from '../../../src/chain/tree.ts';
import type { TreeChange } from '../../../src/chain/tree-update.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import type { ReferenceLeaf } from '../../util/reference-tree.ts';
import { referenceProof, referenceRoot, sha256 } from '../../util/reference-tree.ts';
import { anyChanges, anyPath, groundPath, spreadPath, valueHash } from '../../util/tree-paths.ts';

/** The same changes on a map. */
function applied(
  model: ReadonlyMap<string, ReferenceLeaf>,
  changes: readonly TreeChange[],
): Map<string, ReferenceLeaf> {
  const next = new Map(model);
  for (const { path, valueHash } of changes) {
    if (valueHash) next.set(toHex(path), { path, valueHash });
    else next.delete(toHex(path));
  }
  return next;
}

function checkVersion(version: TreeVersion, model: ReadonlyMap<string, ReferenceLeaf>): void {
  assert.equal(toHex(version.root), toHex(referenceRoot([...model.values()])));
  assert.equal(version.size, model.size);
}

const leaves = (count: number): ReferenceLeaf[] =>
  Array.from({ length: count }, (_, i) => ({ path: spreadPath(i), valueHash: valueHash(i) }));

describe('chain/tree', () => {
  it('commits to nothing with zeros, to one leaf with its hash, to two with a branch', () => {
    const [a, b] = leaves(2) as [ReferenceLeaf, ReferenceLeaf];
    const leafHash = ({ path, valueHash }: ReferenceLeaf): Uint8Array =>
      sha256(sha256(path, valueHash), sha256(Buffer.from('AIT/leaf/1')));
    assert.deepEqual(StateTree.load(pureHasher, []).head.root, ZERO_HASH);
    assert.deepEqual(StateTree.load(pureHasher, [a]).head.root, leafHash(a));

    const left = { ...a, path: Uint8Array.of(0x40, ...a.path.subarray(1)) };
    const right = { ...b, path: Uint8Array.of(0xc0, ...b.path.subarray(1)) };
    assert.deepEqual(StateTree.load(pureHasher, [right, left]).head.root, sha256(leafHash(left), leafHash(right)));

    // Both begin with 0: the root is a branch with an empty right side, not the branch below it.
    const below = { ...b, path: Uint8Array.of(0x00, ...b.path.subarray(1)) };
    const branch = sha256(leafHash(below), leafHash(left));
    assert.deepEqual(StateTree.load(pureHasher, [left, below]).head.root, sha256(branch, ZERO_HASH));
  });

  it('has the root of the definition after any batches of inserts, updates and deletes', () => {
    fc.assert(
      fc.property(fc.array(anyChanges, { maxLength: 6 }), fc.boolean(), (batches, isPure) => {
        const tree = StateTree.load(isPure ? pureHasher : nativeHasher, []);
        let model = new Map<string, ReferenceLeaf>();
        for (const changes of batches) {
          tree.commit(tree.fork(tree.head, changes));
          model = applied(model, changes);
          checkVersion(tree.head, model);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has one root for one set, whatever the order and the batches', () => {
    fc.assert(
      fc.property(anyChanges, fc.integer({ min: 1, max: 5 }), fc.infiniteStream(fc.nat()), (changes, size, order) => {
        const shuffled = changes.map((change) => ({ change, rank: order.next().value as number }));
        shuffled.sort((a, b) => a.rank - b.rank);
        const tree = StateTree.load(nativeHasher, []);
        for (let i = 0; i < shuffled.length; i += size) {
          tree.commit(
            tree.fork(
              tree.head,
              shuffled.slice(i, i + size).map(({ change }) => change),
            ),
          );
        }
        const set = [...applied(new Map(), changes).values()];
        assert.deepEqual(tree.head.root, StateTree.load(nativeHasher, set).head.root);
        checkVersion(tree.head, applied(new Map(), changes));
      }),
    );
  });

  it('proves present and absent paths as the definition does', () => {
    fc.assert(
      fc.property(anyChanges, fc.array(anyPath, { maxLength: 10 }), (changes, others) => {
        const set = [...applied(new Map(), changes).values()];
        const tree = StateTree.load(nativeHasher, set);
        for (const path of [...changes.map(({ path }) => path), ...others]) {
          assert.deepEqual(tree.prove(tree.head, path), referenceProof(set, path));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('keeps pairs of paths that differ in the last bit only', () => {
    const set = [0, 1].flatMap((n) => [
      { path: spreadPath(n), valueHash: valueHash(n) },
      { path: groundPath(n, 255, n), valueHash: valueHash(n + 10) },
    ]);
    const tree = StateTree.load(nativeHasher, set);
    assert.equal(toHex(tree.head.root), toHex(referenceRoot(set)));
    assert.equal(tree.prove(tree.head, spreadPath(0)).siblings.length, 256);
  });

  it('makes no node for changes that change nothing', () => {
    const set = leaves(100);
    const tree = StateTree.load(nativeHasher, set);
    const { branches, leaves: count } = tree.usage;
    const version = tree.fork(tree.head, [
      ...set.slice(0, 50),
      ...Array.from({ length: 50 }, (_, i) => ({ path: spreadPath(1000 + i), valueHash: null })),
    ]);
    assert.deepEqual(version.root, tree.head.root);
    assert.equal(version.size, 100);
    assert.deepEqual({ ...tree.usage, bytes: 0 }, { versions: 2, branches, leaves: count, bytes: 0 });
  });

  it('is empty again once all is deleted', () => {
    const set = leaves(50);
    const tree = StateTree.load(nativeHasher, set);
    tree.commit(
      tree.fork(
        tree.head,
        set.map(({ path }) => ({ path, valueHash: null })),
      ),
    );
    assert.deepEqual(tree.head.root, ZERO_HASH);
    assert.deepEqual({ ...tree.usage, bytes: 0 }, { versions: 1, branches: 0, leaves: 0, bytes: 0 });
  });

  it('refuses a path twice and hashes of a wrong length, and is unchanged by it', () => {
    const [a, b] = leaves(2) as [ReferenceLeaf, ReferenceLeaf];
    const tree = StateTree.load(nativeHasher, [a]);
    const before = tree.usage;
    const internal = { code: 'INTERNAL' };
    assert.throws(() => tree.fork(tree.head, [b, { path: b.path, valueHash: null }]), internal);
    assert.throws(() => tree.fork(tree.head, [b, { path: new Uint8Array(31), valueHash: null }]), internal);
    assert.throws(() => tree.fork(tree.head, [b, { path: a.path, valueHash: new Uint8Array(33) }]), internal);
    assert.throws(() => tree.prove(tree.head, new Uint8Array(20)), internal);
    assert.deepEqual(tree.usage, before);
    assert.throws(() => StateTree.load(nativeHasher, [a, b, a]), { code: 'CORRUPT' });
    assert.throws(() => StateTree.load(nativeHasher, [{ ...a, path: new Uint8Array(0) }]), internal);
  });

  it('loads leaves one by one, once', () => {
    const set = leaves(3000);
    const loader = StateTree.loader(nativeHasher, 10);
    for (const { path, valueHash } of set) loader.add(path, valueHash);
    const tree = loader.finish();
    assert.equal(tree.size, 3000);
    assert.deepEqual(tree.head.root, referenceRoot(set));
    assert.throws(() => loader.finish(), { code: 'INTERNAL' });
    assert.throws(
      () => {
        loader.add(spreadPath(1), valueHash(1));
      },
      { code: 'INTERNAL' },
    );
  });

  it('keeps what it holds when its arrays grow', () => {
    const tree = StateTree.load(nativeHasher, []);
    let model = new Map<string, ReferenceLeaf>();
    for (let from = 0; from < 6000; from += 2000) {
      const changes = leaves(from + 2000).slice(from);
      const { bytes } = tree.usage;
      tree.commit(tree.fork(tree.head, changes));
      model = applied(model, changes);
      assert.ok(tree.usage.bytes > bytes);
      checkVersion(tree.head, model);
    }
  });
});
