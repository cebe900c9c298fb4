/** Writes test/vectors/*.json anew. The result is the same each time: nothing in it is random. */
import { writeFileSync } from 'node:fs';
import { addressVectors } from './addresses.ts';
import { chainVectors } from './chain.ts';
import { codecVectors } from './codec.ts';
import { hashVectors } from './hashes.ts';
import { marketVectors } from './market.ts';
import { signatureVectors } from './signatures.ts';
import { stateTreeVectors } from './state-tree.ts';

const files = {
  signatures: signatureVectors(),
  hashes: hashVectors(),
  addresses: addressVectors(),
  codec: codecVectors(),
  'state-tree': stateTreeVectors(),
  chain: chainVectors(),
  market: await marketVectors(),
};

for (const [name, content] of Object.entries(files)) {
  const url = new URL(`../../test/vectors/${name}.json`, import.meta.url);
  writeFileSync(url, `${JSON.stringify(content, null, 2)}\n`);
}
