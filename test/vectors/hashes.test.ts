import assert from 'node:assert/strict';
import { bytesKey, fromHex, toHex } from '../../src/bytes.ts';
import { pureHasher } from '../../src/chain/crypto/pure.ts';
import { listRoot } from '../../src/chain/list-root.ts';
import { hashtreeLoaded, nativeHasher } from '../../src/native/hasher.ts';
import { readVectors } from './read.ts';

interface HashVectors {
  readonly messages: readonly { message: string; hash: string }[];
  readonly pairs: readonly { input: string; output: string }[];
  readonly listRoots: readonly { items: string[]; root: string }[];
}

const vectors = readVectors<HashVectors>('hashes');

describe('hash vectors', () => {
  it('are run against the tree-hashing binary where there is one', () => {
    assert.equal(hashtreeLoaded, true);
  });

  for (const [name, hasher] of Object.entries({ pureHasher, nativeHasher })) {
    it(`of messages hold for ${name}, as plain byte arrays of their own`, () => {
      for (const { message, hash } of vectors.messages) {
        const bytes = hasher.hash(fromHex(message));
        assert.equal(toHex(bytes), hash);
        assert.equal(bytes.constructor, Uint8Array);
        assert.equal(bytes.buffer.byteLength, 32);
        assert.equal(hasher.hashKey(fromHex(message)), bytesKey(bytes));
      }
    });

    it(`of pairs hold for ${name}, views included`, () => {
      for (const { input, output } of vectors.pairs) {
        const view = new Uint8Array(input.length / 2 + 9).subarray(9);
        view.set(fromHex(input));
        const out = new Uint8Array(output.length / 2 + 7).subarray(3, 3 + output.length / 2);
        hasher.hashPairs(view, out);
        assert.equal(toHex(out), output);
        assert.deepEqual(new Uint8Array(out.buffer).subarray(0, 3), new Uint8Array(3));
        assert.deepEqual(new Uint8Array(out.buffer).subarray(3 + out.length), new Uint8Array(4));
      }
    });

    it(`of lists hold for ${name}`, () => {
      for (const { items, root } of vectors.listRoots) {
        assert.equal(
          toHex(
            listRoot(
              hasher,
              items.map((item) => fromHex(item)),
            ),
          ),
          root,
        );
      }
    });
  }
});
