/**
 * Commits blocks that are functions of their heights until it is killed or a write fails, one acknowledged height a
 * line; ends with the codes of the failed write and of the next one.
 *
 *     node commit-loop.ts FOLDER
 */
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { bytesKey } from '../../../src/bytes.ts';
import { toNodeError } from '../../../src/errors.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { CHAIN_ID, chainOf, filled, GENESIS_HASH } from './fixtures.ts';

const [folder = ''] = process.argv.slice(2);
const store = await openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher });
await store.initialise(new Map());

const codeOf = async (work: Promise<void>): Promise<string> => {
  try {
    await work;
    return 'none';
  } catch (error) {
    return toNodeError(error).code;
  }
};

for (;;) {
  const head = store.head();
  const height = (head?.height ?? 0) + 1;
  const blocks = chainOf(1 + (height % 3), height, head?.blockId ?? GENESIS_HASH);
  store.journal.add(bytesKey(filled(height % 256)), filled(height % 256, 500));
  const code = await codeOf(store.commit(blocks));
  if (code !== 'none') {
    process.stdout.write(`${code} ${await codeOf(store.commit(blocks))}\n`);
    break;
  }
  process.stdout.write(`${store.head()?.height ?? 0}\n`);
}
await store.close();
