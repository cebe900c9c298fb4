import assert from 'node:assert/strict';
import fc from 'fast-check';
import { bytesKey, compareBytes, equalBytes, toHex, ZERO_HASH } from '../../../src/bytes.ts';
import { Writer } from '../../../src/chain/codec.ts';
import type { ChunkRef, StateEntry, StateManifest } from '../../../src/chain/state-chunks.ts';
import {
  CHUNK_BYTES,
  chunkNode,
  cutLeaves,
  decodeChunk,
  decodeManifest,
  encodeChunk,
  encodeManifest,
  entryBytes,
  manifestRoot,
  MAX_CHUNKS,
  MAX_KEY_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_VALUE_BYTES,
  subtreeHash,
  verifyChunk,
} from '../../../src/chain/state-chunks.ts';
import { statePath } from '../../../src/chain/state.ts';
import { StateTree } from '../../../src/chain/tree.ts';
import { leafTag } from '../../../src/chain/tree-hashing.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { CASES, CASES_TIMEOUT_MS } from '../../util/cases.ts';
import { referenceRoot } from '../../util/reference-tree.ts';
import { anyPath, prefixedPath, valueHash } from '../../util/tree-paths.ts';

const hasher = nativeHasher;

function mutate(valid: Uint8Array, kind: number, at: number, value: number): Uint8Array {
  const place = at % Math.max(1, valid.length);
  if (kind === 0) return valid.subarray(0, place);
  if (kind === 1) return Uint8Array.of(...valid, value & 0xff);
  const bytes = valid.slice();
  if (kind === 2) bytes[place] = value & 0xff;
  else if (kind === 3) bytes[place] = (bytes[place] ?? 0) ^ (1 << (value & 7));
  else if (kind === 4) bytes.copyWithin(place, (place + value) % bytes.length);
  else bytes[place] = value & 3;
  return bytes;
}

interface Leaf {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array;
  readonly bytes: number;
}

function sorted<L extends { readonly path: Uint8Array }>(leaves: readonly L[]): L[] {
  return leaves.toSorted((a, b) => compareBytes(a.path, b.path));
}

function manifestOf(leaves: readonly Leaf[], height = 7): StateManifest {
  const chunks = [...cutLeaves(sorted(leaves), ZERO_HASH, 0)].map(
    ({ prefix, depth, leaves: own }): ChunkRef => ({ prefix, depth, node: chunkNode(hasher, own, depth) }),
  );
  return { height, chunks };
}

/** Entries of a small state; the sizes make some of them cut. */
function makeState(count: number, valueBytes: number, seed: string): StateEntry[] {
  const entries = Array.from({ length: count }, (_, i): StateEntry => {
    const value = new Uint8Array(valueBytes).fill(i & 0xff);
    return [`\u0001${seed}${i}`, value];
  });
  return entries.sort(([a], [b]) => compareBytes(statePath(hasher, a), statePath(hasher, b)));
}

function leavesOf(entries: readonly StateEntry[]): (Leaf & { readonly entry: StateEntry })[] {
  return entries.map((entry) => {
    const [key, value] = entry;
    const bytes = entryBytes(key.length, value.length);
    return { entry, path: statePath(hasher, key), valueHash: hasher.hash(value), bytes };
  });
}

const anyLeaves = fc.uniqueArray(
  fc.record({
    path: anyPath,
    valueHash: fc.nat(3).map(valueHash),
    bytes: fc.oneof(fc.constant(100), fc.constant(CHUNK_BYTES / 2), fc.constant(CHUNK_BYTES + 1)),
  }),
  { selector: ({ path }) => toHex(path), maxLength: 24 },
);

function isBadProof(error: unknown): boolean {
  return isNodeError(error) && error.code === 'BAD_PROOF';
}

function isCodec(error: unknown): boolean {
  return isNodeError(error) && error.code === 'CODEC';
}

describe('chunks of the state', () => {
  it('amount to the root of the tree, whatever the leaves and wherever they are cut', () => {
    fc.assert(
      fc.property(anyLeaves, (leaves) => {
        const manifest = manifestOf(leaves);
        const { root } = StateTree.load(hasher, leaves).head;
        assert.deepEqual(manifestRoot(hasher, manifest), root);
        assert.deepEqual(root, referenceRoot(leaves));
        const decoded = decodeManifest(hasher, encodeManifest(manifest));
        assert.deepEqual(decoded, manifest);
        assert.deepEqual(manifestRoot(hasher, decoded), root);
      }),
      { numRuns: 2_000 },
    );
  });

  it('hash as subtrees of the tree do, at any depth', () => {
    for (const depth of [0, 1, 7, 8, 9, 40]) {
      for (const count of [0, 1, 2, 3, 17]) {
        const leaves = sorted(
          Array.from({ length: count }, (_, n) => ({ path: prefixedPath(1, depth, n), valueHash: valueHash(n) })),
        );
        assert.deepEqual(subtreeHash(hasher, leaves, depth), referenceRoot(leaves, depth), `${count} at ${depth}`);
      }
    }
  });

  it('are cut by size, and a single large entry is a chunk of its own', () => {
    const entries = [...makeState(3_000, 900, 'a'), ...makeState(2, 400_000, 'large')];
    const cuts = [...cutLeaves(sorted(leavesOf(entries)), ZERO_HASH, 0)];
    for (const { leaves } of cuts) {
      const bytes = encodeChunk(leaves.map(({ entry }) => entry)).length;
      assert.equal(
        bytes,
        leaves.reduce((sum, leaf) => sum + leaf.bytes, 0),
      );
      assert.ok(leaves.length <= 1 || bytes <= CHUNK_BYTES);
    }
    assert.equal(
      cuts.reduce((sum, { leaves }) => sum + leaves.length, 0),
      entries.length,
    );
    assert.ok(cuts.length > 12 && cuts.length < 64, String(cuts.length));
  });

  it('verify by the manifest alone, and nothing else passes for them', () => {
    const entries = makeState(1_500, 900, 'b');
    const cuts = [...cutLeaves(leavesOf(entries), ZERO_HASH, 0)];
    const { chunks } = manifestOf(leavesOf(entries));
    const texts = cuts.map(({ leaves }) => leaves.map(({ entry }) => entry));
    chunks.forEach((chunk, i) => {
      const own = texts[i] ?? [];
      verifyChunk(hasher, chunk, encodeChunk(own));
      assert.deepEqual(decodeChunk(encodeChunk(own)), own);
      const [first, second, ...rest] = own;
      const other = texts[(i + 1) % texts.length] ?? [];
      assert.ok(first && second);
      const wrong: readonly StateEntry[][] = [
        [],
        other,
        own.slice(1),
        own.slice(0, -1),
        [...own, ...other.slice(0, 1)],
        [second, first, ...rest],
        [first, first, second, ...rest],
        [[first[0], Uint8Array.of(1)], second, ...rest],
        [['\u0001elsewhere', first[1]], second, ...rest],
      ];
      for (const text of wrong) assert.throws(() => verifyChunk(hasher, chunk, encodeChunk(text)), isBadProof);
      assert.throws(() => verifyChunk(hasher, chunk, encodeChunk(own).subarray(1)), isBadProof);
    });
  });

  it('of no entry and of one are told without a hash', () => {
    const [entry] = makeState(1, 5, 'c');
    assert.ok(entry);
    const [chunk] = manifestOf(leavesOf([entry])).chunks;
    assert.equal(chunk?.node.kind, 'leaf');
    verifyChunk(hasher, chunk, encodeChunk([entry]));
    assert.throws(() => verifyChunk(hasher, chunk, encodeChunk([[entry[0], new Uint8Array(5).fill(9)]])), isBadProof);
    assert.throws(() => verifyChunk(hasher, chunk, new Uint8Array()), isBadProof);
    const nothing = manifestOf([]);
    assert.deepEqual(manifestRoot(hasher, nothing), ZERO_HASH);
    verifyChunk(hasher, nothing.chunks[0] as ChunkRef, new Uint8Array());
  });
});

describe('decoder of a state manifest', () => {
  const samples = fc.sample(anyLeaves, { numRuns: 200, seed: 3 }).map((leaves) => encodeManifest(manifestOf(leaves)));

  it(`refuses ${CASES} broken inputs, or they are the one encoding`, function () {
    this.timeout(CASES_TIMEOUT_MS);
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(199), fc.nat(5), fc.nat(4_095), fc.nat(0xffff), (sample, kind, at, value) => {
        const bytes = mutate(samples[sample] ?? new Uint8Array(), kind, at, value);
        try {
          assert.ok(equalBytes(encodeManifest(decodeManifest(hasher, bytes)), bytes));
        } catch (error) {
          if (!isCodec(error)) throw error;
          refused += 1;
        }
      }),
      { numRuns: CASES },
    );
    assert.ok(refused > CASES / 4 && refused < CASES, String(refused));
  });

  const head = (): Writer => new Writer().u64(1);
  const refuses = (bytes: Uint8Array, reason: string): void => {
    assert.throws(
      () => decodeManifest(hasher, bytes),
      (error) => isCodec(error) && (error as { data: { reason?: unknown } }).data.reason === reason,
    );
  };

  it('refuses splits above fewer than two leaves: they would not be in the root', () => {
    refuses(head().u8(0).u8(1).u8(1).finish(), 'non-canonical');
    const path = new Uint8Array(32).fill(0x80);
    refuses(head().u8(0).u8(1).u8(2).fixed(path, 32).fixed(path, 32).finish(), 'non-canonical');
    refuses(head().u8(0).u8(2).fixed(ZERO_HASH, 32).fixed(path, 32).u8(1).finish(), 'non-canonical');
  });

  it('refuses a leaf outside of its prefix, a leaf passed off as a branch, and unknown nodes', () => {
    const path = new Uint8Array(32).fill(0x80);
    refuses(head().u8(0).u8(2).fixed(path, 32).fixed(path, 32).u8(3).fixed(path, 32).finish(), 'non-canonical');
    refuses(head().u8(3).fixed(leafTag(hasher), 32).finish(), 'non-canonical');
    refuses(head().u8(3).fixed(ZERO_HASH, 32).finish(), 'non-canonical');
    refuses(head().u8(4).finish(), 'non-canonical');
  });

  it('refuses more chunks and deeper ones than there can be', () => {
    refuses(head().raw(new Uint8Array(300)).finish(), 'over-cap');
    const hash = new Uint8Array(33).fill(3);
    const balanced = (depth: number): Uint8Array[] =>
      depth === 0 ? [hash] : [Uint8Array.of(0), ...balanced(depth - 1), ...balanced(depth - 1)];
    const bytes = Buffer.concat([head().finish(), ...balanced(15)]);
    assert.equal(decodeManifest(hasher, bytes).chunks.length, MAX_CHUNKS);
    assert.ok(bytes.length <= MAX_MANIFEST_BYTES);
    refuses(Buffer.concat([head().finish(), ...balanced(16)]), 'over-cap');
  });
});

describe('decoder of a state chunk', () => {
  const samples = Array.from({ length: 64 }, (_, i) => encodeChunk(makeState(i % 9, i % 40, `s${i}`)));

  it(`refuses ${CASES} broken inputs, or they are the one encoding`, function () {
    this.timeout(CASES_TIMEOUT_MS);
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(63), fc.nat(5), fc.nat(4_095), fc.nat(0xffff), (sample, kind, at, value) => {
        const bytes = mutate(samples[sample] ?? new Uint8Array(), kind, at, value);
        try {
          assert.ok(equalBytes(encodeChunk(decodeChunk(bytes)), bytes));
        } catch (error) {
          if (!isCodec(error)) throw error;
          refused += 1;
        }
      }),
      { numRuns: CASES },
    );
    assert.ok(refused > CASES / 10 && refused < CASES, String(refused));
  });

  it('refuses keys and values above their caps, and more bytes than a chunk may have', () => {
    const entry = (key: number, value: number): Uint8Array =>
      new Writer().u16(key).raw(new Uint8Array(key)).u32(value).raw(new Uint8Array(value)).finish();
    assert.equal(decodeChunk(entry(MAX_KEY_BYTES, MAX_VALUE_BYTES)).length, 1);
    for (const bytes of [entry(MAX_KEY_BYTES + 1, 0), entry(1, MAX_VALUE_BYTES + 1), entry(0, 5)]) {
      assert.throws(() => decodeChunk(bytes), isCodec);
    }
    const two = Buffer.concat([entry(MAX_KEY_BYTES, MAX_VALUE_BYTES), entry(1, 1)]);
    assert.throws(() => decodeChunk(two), isCodec);
    assert.throws(() => encodeChunk([[bytesKey(new Uint8Array(3)), new Uint8Array(MAX_VALUE_BYTES + 1)]]), {
      code: 'TOO_LARGE',
    });
  });
});
