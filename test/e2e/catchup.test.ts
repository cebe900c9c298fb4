import assert from 'node:assert/strict';
import type { Liar } from '../../scripts/bench/liar.ts';
import { replaceByLiar } from '../../scripts/bench/liar.ts';
import { makeClusterChain, timeOfChain } from '../../scripts/bench/cluster-chain.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import type { Head } from '../../testnet/compare.ts';
import { getJson } from '../../testnet/http.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import { until } from './support.ts';

const BLOCKS = 1_500;
const SIZE = { blocks: BLOCKS, transfersABlock: 4, senders: 100 };

describe('a fresh follower', function () {
  this.timeout(180_000);

  const withChain = (use: (cluster: Cluster) => Promise<void>): Promise<void> =>
    withTemporaryCluster(
      { validators: 3, loadAccounts: SIZE.senders, timeMs: timeOfChain(BLOCKS) },
      async (cluster) => {
        await makeClusterChain(cluster, SIZE);
        await cluster.start(true);
        await cluster.waitReady();
        await use(cluster);
      },
    );

  const heightOf = async (url: string): Promise<number> => (await getJson<Head>(`${url}/rpc/head`))?.height ?? 0;

  it('names and bans a peer that alters blocks, is killed on the way, and goes on where it was', () =>
    withChain(async (cluster) => {
      let liar: Liar | undefined;
      try {
        liar = await replaceByLiar(cluster, 3, 'transaction');
        const { namedBy } = liar;
        // So that it is asked: the honest ones might have given everything before.
        for (const honest of [1, 2]) await cluster.pause(honest);
        const index = await cluster.add();
        const { rpc, home } = cluster.node(index);
        const said = (): string[] => namedBy(home).map(({ message }) => message);
        await until('the liar is banned', () => Promise.resolve(said().includes('peer banned')));
        for (const honest of [1, 2]) await cluster.resume(honest);
        await until('some blocks are here', async () => (await heightOf(rpc)) > 0);
        await cluster.kill([index]);
        await cluster.restart([index]);
        const resumedAt = await heightOf(rpc);
        assert.ok(resumedAt > 0, 'what was imported is on the disk');
        await until('all blocks are here', async () => (await heightOf(rpc)) >= BLOCKS);
        const { equal, height } = await compareNodes(cluster);
        assert.ok(equal && height >= BLOCKS, String(height));
        assert.ok(said().includes('a peer sent an invalid block'), said().join(', '));
      } finally {
        await liar?.stop();
      }
    }));
});
