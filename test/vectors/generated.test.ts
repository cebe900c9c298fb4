import assert from 'node:assert/strict';
import { addressVectors } from '../../scripts/vectors/addresses.ts';
import { chainVectors } from '../../scripts/vectors/chain.ts';
import { codecVectors } from '../../scripts/vectors/codec.ts';
import { hashVectors } from '../../scripts/vectors/hashes.ts';
import { marketVectors } from '../../scripts/vectors/market.ts';
import { signatureVectors } from '../../scripts/vectors/signatures.ts';
import { stateTreeVectors } from '../../scripts/vectors/state-tree.ts';
import { readVectors } from './read.ts';

describe('vector files', () => {
  const generators = {
    signatures: signatureVectors,
    hashes: hashVectors,
    addresses: addressVectors,
    codec: codecVectors,
    'state-tree': stateTreeVectors,
    chain: chainVectors,
    market: marketVectors,
  };
  for (const [name, generate] of Object.entries(generators)) {
    it(`${name}.json is what its generator makes`, async () => {
      assert.deepEqual(JSON.parse(JSON.stringify(await generate())), readVectors(name));
    });
  }
});
