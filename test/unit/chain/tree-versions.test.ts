import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes.ts';
import type { TreeVersion } from '../../../src/chain/tree.ts';
import { MAX_VERSIONS, StateTree } from '../../../src/chain/tree.ts';
import type { TreeChange } from '../../../src/chain/tree-update.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import type { ReferenceLeaf } from '../../util/reference-tree.ts';
import { referenceProof, referenceRoot } from '../../util/reference-tree.ts';
import { anyChanges, spreadPath, valueHash } from '../../util/tree-paths.ts';

type Model = ReadonlyMap<string, ReferenceLeaf>;

function applied(model: Model, changes: readonly TreeChange[]): Model {
  const next = new Map(model);
  for (const { path, valueHash } of changes) {
    if (valueHash) next.set(toHex(path), { path, valueHash });
    else next.delete(toHex(path));
  }
  return next;
}

const change = (n: number, value: number): TreeChange => ({ path: spreadPath(n), valueHash: valueHash(value) });
const range = (count: number, value: number): TreeChange[] =>
  Array.from({ length: count }, (_, i) => change(i, value + i));

/** Nodes in use, against those of a tree that never held anything else. */
function assertNoLeak(tree: StateTree, model: Model): void {
  const fresh = StateTree.load(nativeHasher, model.values());
  assert.equal(toHex(tree.head.root), toHex(fresh.head.root));
  assert.deepEqual({ ...tree.usage, bytes: 0 }, { ...fresh.usage, bytes: 0 });
}

/** Every proof of a version still leads to its root, so no node that it needs was given away. */
function assertIntact(tree: StateTree, version: TreeVersion, model: Model): void {
  const leaves = [...model.values()];
  assert.equal(toHex(version.root), toHex(referenceRoot(leaves)));
  for (const { path } of leaves) assert.deepEqual(tree.prove(version, path), referenceProof(leaves, path));
}

describe('chain/tree: versions', () => {
  const base = applied(new Map(), range(40, 0));
  const left = range(20, 100);
  const right = [...range(10, 200), { path: spreadPath(30), valueHash: null }, change(77, 1)];

  for (const order of ['commit then release', 'release then commit']) {
    it(`keeps one of two forks of a base and frees the other: ${order}`, () => {
      const tree = StateTree.load(nativeHasher, base.values());
      const a = tree.fork(tree.head, left);
      const b = tree.fork(tree.head, right);
      if (order === 'commit then release') {
        tree.commit(a);
        assertIntact(tree, b, applied(base, right));
        tree.release(b);
      } else {
        tree.release(b);
        assertIntact(tree, a, applied(base, left));
        tree.commit(a);
      }
      assertIntact(tree, tree.head, applied(base, left));
      assertNoLeak(tree, applied(base, left));
    });
  }

  it('commits a chain of forks one by one or by its last', () => {
    for (const inOneStep of [false, true]) {
      const tree = StateTree.load(nativeHasher, base.values());
      const a = tree.fork(tree.head, left);
      const b = tree.fork(a, right);
      if (!inOneStep) tree.commit(a);
      tree.commit(b);
      if (inOneStep) {
        assertIntact(tree, a, applied(base, left));
        tree.release(a);
      }
      assertNoLeak(tree, applied(applied(base, left), right));
    }
  });

  it('lets a fork outlive the version it was made from', () => {
    const tree = StateTree.load(nativeHasher, base.values());
    const a = tree.fork(tree.head, left);
    const b = tree.fork(a, right);
    tree.release(a);
    assertIntact(tree, b, applied(applied(base, left), right));
    tree.commit(b);
    assertNoLeak(tree, applied(applied(base, left), right));
  });

  it('gives back all nodes whatever the order of forks, commits and releases', () => {
    const step = fc.record({
      kind: fc.constantFrom('fork', 'fork', 'commit', 'release'),
      pick: fc.nat(),
      changes: anyChanges,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const tree = StateTree.load(nativeHasher, []);
        const live = new Map<TreeVersion, { model: Model; ancestors: ReadonlySet<TreeVersion> }>();
        live.set(tree.head, { model: new Map(), ancestors: new Set() });
        for (const { kind, pick, changes } of steps) {
          const [version, state] = [...live][pick % live.size] as [
            TreeVersion,
            { model: Model; ancestors: Set<TreeVersion> },
          ];
          if (kind === 'fork') {
            const ancestors = new Set([...state.ancestors, version]);
            live.set(tree.fork(version, changes), { model: applied(state.model, changes), ancestors });
          } else if (kind === 'release' && version !== tree.head) {
            tree.release(version);
            live.delete(version);
          } else if (kind === 'commit' && state.ancestors.has(tree.head)) {
            live.delete(tree.head);
            tree.commit(version);
          }
          for (const [each, { model }] of live)
            assert.equal(toHex(each.root), toHex(referenceRoot([...model.values()])));
        }
        for (const [each, { model }] of live) assertIntact(tree, each, model);
        const head = live.get(tree.head);
        for (const each of live.keys()) if (each !== tree.head) tree.release(each);
        assertNoLeak(tree, head?.model ?? new Map());
      }),
      { numRuns: 60 },
    );
  });

  it('reserves no more memory for a thousand blocks than for ten', () => {
    const tree = StateTree.load(nativeHasher, base.values());
    let bytes = 0;
    for (let height = 0; height < 1000; height++) {
      const other = tree.fork(tree.head, range(15, height + 1));
      tree.commit(tree.fork(tree.head, range(10, height)));
      tree.release(other);
      if (height === 10) ({ bytes } = tree.usage);
    }
    assert.equal(tree.usage.bytes, bytes);
  });

  it('refuses versions that ended, that are not its own, or that do not build on the head', () => {
    const tree = StateTree.load(nativeHasher, base.values());
    const genesis = tree.head;
    const a = tree.fork(genesis, left);
    const sibling = tree.fork(genesis, right);
    const internal = { code: 'INTERNAL' };
    assert.throws(() => {
      tree.release(tree.head);
    }, internal);
    assert.throws(() => {
      tree.commit(tree.head);
    }, internal);
    tree.commit(a);
    for (const version of [genesis, StateTree.load(nativeHasher, []).head, { root: a.root, size: a.size }]) {
      assert.throws(() => tree.fork(version, []), internal);
      assert.throws(() => tree.prove(version, spreadPath(0)), internal);
      assert.throws(() => {
        tree.release(version);
      }, internal);
      assert.throws(() => {
        tree.commit(version);
      }, internal);
    }
    assert.throws(() => {
      tree.commit(sibling);
    }, internal);
    tree.release(sibling);
    assert.throws(() => {
      tree.release(sibling);
    }, internal);
    assertNoLeak(tree, applied(base, left));
  });

  it('holds a bounded number of versions', () => {
    const tree = StateTree.load(nativeHasher, []);
    const forks = Array.from({ length: MAX_VERSIONS - 1 }, () => tree.fork(tree.head, []));
    assert.throws(() => tree.fork(tree.head, []), { code: 'INTERNAL', message: /too many versions/ });
    tree.release(forks[0] as TreeVersion);
    tree.release(tree.fork(tree.head, range(3, 0)));
    assert.equal(tree.usage.versions, MAX_VERSIONS - 1);
  });
});
