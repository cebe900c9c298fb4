// A process that prunes a chain's database, one line a step, until it is killed.
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { CHAIN_ID, GENESIS_HASH } from './fixtures.ts';

const folder = process.argv[2] ?? '';
const store = await openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher });
for (let keepFrom = store.base() + 40; ; keepFrom = Math.min(keepFrom + 5, 400)) {
  await store.prune(keepFrom);
  console.log(keepFrom);
  await new Promise((resolve) => setTimeout(resolve, 2));
}
