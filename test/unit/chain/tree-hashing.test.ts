import assert from 'node:assert/strict';
import type { Hasher } from '../../../src/chain/crypto/types.ts';
import { StateTree } from '../../../src/chain/tree.ts';
import { MAX_BATCH } from '../../../src/chain/tree-hashing.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { prefixedPath, spreadPath, valueHash } from '../../util/tree-paths.ts';

/** Counts calls and pairs of level hashing. */
class CountingHasher implements Hasher {
  calls = 0;
  pairs = 0;
  largest = 0;

  hash(bytes: Uint8Array): Uint8Array {
    return nativeHasher.hash(bytes);
  }

  hashKey(bytes: Uint8Array): string {
    return nativeHasher.hashKey(bytes);
  }

  hashPairs(input: Uint8Array, out: Uint8Array): void {
    assert.equal(input.length, out.length * 2);
    this.calls++;
    this.pairs += input.length / 64;
    this.largest = Math.max(this.largest, input.length / 64);
    nativeHasher.hashPairs(input, out);
  }

  take(): { calls: number; pairs: number } {
    const taken = { calls: this.calls, pairs: this.pairs };
    this.calls = 0;
    this.pairs = 0;
    return taken;
  }
}

const KEYS = 20_000;

/** What it costs to load 20,000 leaves, to update 1,000 of them, and to insert and delete 1,000. */
function costs(pathOf: (n: number) => Uint8Array): Record<'load' | 'update' | 'insert' | 'remove', number> {
  const hasher = new CountingHasher();
  const leaves = Array.from({ length: KEYS }, (_, i) => ({ path: pathOf(i), valueHash: valueHash(i) }));
  const tree = StateTree.load(hasher, leaves);
  const load = hasher.take().pairs;
  tree.commit(
    tree.fork(
      tree.head,
      leaves.slice(0, 1000).map(({ path }) => ({ path, valueHash: valueHash(-1) })),
    ),
  );
  const update = hasher.take().pairs;
  const extra = Array.from({ length: 1000 }, (_, i) => ({ path: pathOf(KEYS + i), valueHash: valueHash(i) }));
  tree.commit(tree.fork(tree.head, extra));
  const insert = hasher.take().pairs;
  tree.commit(
    tree.fork(
      tree.head,
      extra.map(({ path }) => ({ path, valueHash: null })),
    ),
  );
  return { load, update, insert, remove: hasher.take().pairs };
}

describe('chain/tree: hashing', () => {
  it('hashes a level in one call', () => {
    const hasher = new CountingHasher();
    const leaves = Array.from({ length: 5000 }, (_, i) => ({ path: spreadPath(i), valueHash: valueHash(i) }));
    const tree = StateTree.load(hasher, leaves);
    const depth = Math.max(...leaves.map(({ path }) => tree.prove(tree.head, path).siblings.length));
    hasher.take();
    tree.fork(
      tree.head,
      leaves.slice(0, 3000).map(({ path }) => ({ path, valueHash: valueHash(-1) })),
    );
    // Two for the leaves, one for each level of branches.
    assert.ok(hasher.take().calls <= depth + 2);
    tree.fork(
      tree.head,
      leaves.slice(0, 1).map(({ path }) => ({ path, valueHash: valueHash(-1) })),
    );
    assert.ok(hasher.take().pairs <= depth + 2);
  });

  it('bounds a call', () => {
    const hasher = new CountingHasher();
    StateTree.load(
      hasher,
      Array.from({ length: MAX_BATCH + 1 }, (_, i) => ({ path: spreadPath(i), valueHash: valueHash(i) })),
    );
    assert.equal(hasher.largest, MAX_BATCH);
  });

  it('hashes nothing when nothing changes', () => {
    const hasher = new CountingHasher();
    const leaf = { path: spreadPath(1), valueHash: valueHash(1) };
    const tree = StateTree.load(hasher, [leaf]);
    hasher.take();
    tree.fork(tree.head, [leaf, { path: spreadPath(2), valueHash: null }]);
    assert.deepEqual(hasher.take(), { calls: 0, pairs: 0 });
  });

  it('costs as much for keys ground to one 16-bit prefix as for spread ones', () => {
    const spread = costs(spreadPath);
    const ground = costs((n) => prefixedPath(0, 16, n));
    // The 16 shared levels hold one node each; paths below them are as spread as others are below the root.
    for (const kind of ['load', 'update', 'insert', 'remove'] as const) {
      assert.ok(ground[kind] <= spread[kind] * 1.05 + 16, `${kind}: ${ground[kind]} against ${spread[kind]}`);
    }
  });
});
