import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  blobRoot,
  decodeLeafList,
  encodeLeafList,
  LEAF_BYTES,
  leafBytesAt,
  LEAF_TEXT_BYTES,
  leafNonce,
  leavesOf,
  MAX_BLOB_BYTES,
  MAX_LEAF_LIST_BYTES,
  MAX_LEAVES,
  sealedBytesOf,
} from '../../../../src/chain/market/blob.ts';
import { decodeContent, encodeContent } from '../../../../src/chain/market/content.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';

const size = fc.integer({ min: 1, max: MAX_BLOB_BYTES });
const listOf = (bytes: number) => ({
  sealedBytes: sealedBytesOf(bytes),
  leaves: Array.from({ length: leavesOf(bytes) }, (_, i) => new Uint8Array(32).fill(i)),
});

describe('market: blob', () => {
  it('has whole leaves but for the last one, which holds something', () => {
    fc.assert(
      fc.property(size, (bytes) => {
        const { sealedBytes, leaves } = listOf(bytes);
        const sizes = leaves.map((_, i) => leafBytesAt(sealedBytes, i));
        assert.equal(
          sizes.reduce((sum, each) => sum + each, 0),
          sealedBytes,
        );
        assert.ok(sizes.slice(0, -1).every((each) => each === LEAF_BYTES));
        assert.ok((sizes.at(-1) ?? 0) > LEAF_BYTES - LEAF_TEXT_BYTES);
      }),
    );
  });

  it('has one encoding a list of leaves', () => {
    fc.assert(
      fc.property(size, (bytes) => {
        const list = listOf(bytes);
        const encoded = encodeLeafList(list);
        assert.deepEqual(decodeLeafList(encoded), list);
        assert.throws(() => decodeLeafList(encoded.slice(0, -1)), { code: 'CODEC' });
        assert.throws(() => decodeLeafList(Uint8Array.from([...encoded, 0])), { code: 'CODEC' });
      }),
      { numRuns: 50 },
    );
  });

  it('bound: leaves and bytes of a list', () => {
    const most = encodeLeafList(listOf(MAX_BLOB_BYTES));
    assert.equal(most.length, MAX_LEAF_LIST_BYTES);
    assert.equal(decodeLeafList(most).leaves.length, MAX_LEAVES);
    for (const sealedBytes of [0, 16, LEAF_BYTES + 16, sealedBytesOf(MAX_BLOB_BYTES) + 1]) {
      const leaves = Array<Uint8Array>(Math.ceil(sealedBytes / LEAF_BYTES)).fill(new Uint8Array(32));
      assert.throws(() => decodeLeafList(encodeLeafList({ sealedBytes, leaves })), { code: 'CODEC' }, `${sealedBytes}`);
    }
  });

  it('has another root with any other leaf, order or size', () => {
    const list = listOf(3 * LEAF_TEXT_BYTES);
    const roots = [
      list,
      { ...list, sealedBytes: list.sealedBytes - 1 },
      { ...list, leaves: list.leaves.toReversed() },
      { ...list, leaves: [...list.leaves.slice(0, 2), new Uint8Array(32).fill(9)] },
    ].map((each) => Buffer.from(blobRoot(nativeCrypto, each)).toString('hex'));
    assert.equal(new Set(roots).size, roots.length);
  });

  it('has a nonce of its own for each leaf, and for the last one', () => {
    const nonces = [0, 1, 256].flatMap((leaf) => [leafNonce(leaf, false), leafNonce(leaf, true)]);
    assert.equal(new Set(nonces.map((nonce) => Buffer.from(nonce).toString('hex'))).size, nonces.length);
    assert.ok(nonces.every(({ length }) => length === 12));
  });

  it('bound: bytes of all blobs of a job', () => {
    const blob = (bytes: number) => ({
      ...{ role: '', mediaType: '' },
      blob: { root: new Uint8Array(32), bytes, key: new Uint8Array(32), textHash: new Uint8Array(32) },
    });
    const content = (...sizes: number[]) =>
      encodeContent({ salt: new Uint8Array(32), params: [], parts: sizes.map(blob) });
    assert.equal(decodeContent(content(MAX_BLOB_BYTES)).parts.length, 1);
    assert.equal(decodeContent(content(MAX_BLOB_BYTES / 2, MAX_BLOB_BYTES / 2)).parts.length, 2);
    for (const bytes of [content(0), content(MAX_BLOB_BYTES + 1), content(MAX_BLOB_BYTES, 1)]) {
      assert.throws(() => decodeContent(bytes), { code: 'CODEC' });
    }
  });
});
