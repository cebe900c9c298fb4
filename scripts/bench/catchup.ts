/** Catch-up: a fresh follower fetches a chain that validators hold, over P2P. */
import { setTimeout as sleep } from 'node:timers/promises';
import { compareNodes } from '../../testnet/compare.ts';
import type { Head } from '../../testnet/compare.ts';
import { getJson } from '../../testnet/http.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import { NodeError } from '../../src/errors.ts';
import type { BenchArgs } from './args.ts';
import { makeClusterChain, timeOfChain } from './cluster-chain.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { atLeast, invariant } from './result.ts';

const TRANSFERS_A_BLOCK = 10;
const SENDERS = 1000;
const POLL_MS = 20;
const WAIT_MS = 300_000;

export async function catchup(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { blocks, nodes: validators } = args;
  const timeMs = timeOfChain(blocks);
  return withTemporaryCluster({ validators, loadAccounts: SENDERS, timeMs }, async (cluster) => {
    tell(`making ${blocks} blocks of ${TRANSFERS_A_BLOCK} transfers …`);
    await makeClusterChain(cluster, { blocks, transfersABlock: TRANSFERS_A_BLOCK, senders: SENDERS });
    await cluster.start(true);
    await cluster.waitReady();
    tell('a fresh follower joins …');
    const added = cluster.node(await cluster.add());
    const startedAt = performance.now();
    const usage = measureUsage(cluster);
    await waitHeight(added.rpc, blocks);
    const seconds = (performance.now() - startedAt) / 1000;
    const used = usage();
    const compared = await compareNodes(cluster);
    const rate = Math.round(blocks / seconds);
    return {
      checks: [
        atLeast('blocks a second', rate, 300, '/s'),
        invariant('equal blocks and states on all nodes', compared.equal && compared.height >= blocks, compared.height),
      ],
      figures: {
        blocks_per_s: rate,
        seconds: Math.round(seconds * 1000) / 1000,
        blocks,
        transfers_a_block: TRANSFERS_A_BLOCK,
        usage: used,
        measured_as: `from the first answer of the follower's RPC, connecting included, until its head is the validators', asked every ${POLL_MS} ms`,
      },
    };
  });
}

async function waitHeight(url: string, height: number): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const head = await getJson<Head>(`${url}/rpc/head`);
    if ((head?.height ?? 0) >= height) return;
    if (performance.now() > deadline) {
      throw new NodeError('TIMEOUT', 'the follower did not catch up', { data: { height: head?.height ?? 0 } });
    }
    await sleep(POLL_MS);
  }
}
