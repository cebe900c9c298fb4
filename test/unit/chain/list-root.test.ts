import assert from 'node:assert/strict';
import fc from 'fast-check';
import { equalBytes, toHex } from '../../../src/bytes.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { ListProof } from '../../../src/chain/list-root.ts';
import { listProof, listRoot, listRoots, verifyListProof } from '../../../src/chain/list-root.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';

const itemsOf = (count: number, salt = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => nativeHasher.hash(Uint8Array.of(salt, i >> 8, i & 255)));

/** What a proof is checked with. */
interface Claim {
  readonly root: Uint8Array;
  readonly item: Uint8Array;
  readonly proof: ListProof;
}

const MAX_COUNT = 70;
const lists = Array.from({ length: MAX_COUNT }, (_, count) => itemsOf(count));

describe('list root', () => {
  it('is the same for every hasher', () => {
    for (const items of lists) assert.deepEqual(listRoot(pureHasher, items), listRoot(nativeHasher, items));
  });

  it('of each beginning comes as the list grows', () => {
    const longest = lists.at(-1) ?? [];
    assert.deepEqual(
      [...listRoots(nativeHasher, longest)],
      longest.map((_, i) => listRoot(nativeHasher, longest.slice(0, i + 1))),
    );
  });

  it('differs for every length, and for lists that differ in an item or in order', () => {
    const changed = lists.flatMap((items) => [
      items,
      ...items.map((_, at) => items.with(at, new Uint8Array(32))),
      ...items.slice(1).map((item, at) => items.with(at, item).with(at + 1, items[at] ?? item)),
    ]);
    const roots = changed.map((items) => toHex(listRoot(nativeHasher, items)));
    assert.equal(new Set(roots).size, changed.length);
  });

  it('of one item that is an inner node differs from that of the two items below it', () => {
    const [a = new Uint8Array(32), b = new Uint8Array(32)] = itemsOf(2);
    const inner = nativeHasher.hash(Uint8Array.of(...a, ...b));
    assert.notDeepEqual(listRoot(nativeHasher, [inner]), listRoot(nativeHasher, [a, b]));
  });

  it('does not change its items', () => {
    const items = itemsOf(5);
    const before = items.map((item) => item.slice());
    listRoot(nativeHasher, items);
    assert.deepEqual(items, before);
  });
});

describe('list proof', () => {
  it('verifies for every item of every length', () => {
    for (const items of lists) {
      const root = listRoot(nativeHasher, items);
      items.forEach((item, index) => {
        const proof = listProof(nativeHasher, items, index);
        assert.ok(proof && verifyListProof(pureHasher, root, item, proof));
      });
    }
  });

  it('exists for no other position', () => {
    for (const index of [-1, 5, 0.5, NaN, Infinity])
      assert.equal(listProof(nativeHasher, itemsOf(5), index), undefined);
    assert.equal(listProof(nativeHasher, [], 0), undefined);
  });

  it('verifies nothing else: another item, position, count, sibling or root', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: MAX_COUNT - 1 }),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        (count, seed, at, other) => {
          const items = lists[count] ?? [];
          const index = at % count;
          const item = items[index];
          const proof = listProof(nativeHasher, items, index);
          assert.ok(item && proof);
          const root = listRoot(nativeHasher, items);
          const wrong = new Uint8Array(32).fill(seed);
          const forged: Partial<Claim>[] = [
            { item: wrong },
            { item: item.subarray(1) },
            { root: wrong },
            { proof: { ...proof, index: other } },
            { proof: { ...proof, index: -1 } },
            { proof: { ...proof, index: index + 0.5 } },
            { proof: { ...proof, count: other } },
            { proof: { ...proof, count: count + 0.5 } },
            { proof: { ...proof, count: NaN } },
            { proof: { ...proof, count: 2 ** 32 + count } },
            { proof: { ...proof, siblings: [...proof.siblings, wrong] } },
            { proof: { ...proof, siblings: proof.siblings.map((sibling) => sibling.subarray(1)) } },
            { proof: { ...proof, siblings: proof.siblings.map((old, i) => (i === other % count ? wrong : old)) } },
            { proof: { ...proof, siblings: proof.siblings.slice(0, -1) } },
          ];
          for (const change of forged) {
            const claim: Claim = { root, item, proof, ...change };
            const same: boolean =
              equalBytes(claim.item, item) &&
              claim.proof.index === index &&
              claim.proof.count === count &&
              !change.root;
            const whole: boolean =
              claim.proof.siblings.length === proof.siblings.length &&
              claim.proof.siblings.every((sibling, i) => equalBytes(sibling, proof.siblings[i] ?? wrong));
            assert.equal(verifyListProof(nativeHasher, claim.root, claim.item, claim.proof), same && whole);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});
