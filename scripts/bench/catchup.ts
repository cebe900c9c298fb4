/** Catch-up: a fresh follower fetches a chain that validators hold, over P2P. */
import { cpSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareNodes } from '../../testnet/compare.ts';
import type { Head } from '../../testnet/compare.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { getJson } from '../../testnet/http.ts';
import { nodeLayout, loadSeedPath, readSeed } from '../../testnet/layout.ts';
import { loadAccounts, roundRobin } from '../../testnet/load/transfers.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import { createNativeSigner } from '../../src/native/crypto.ts';
import { NodeError } from '../../src/errors.ts';
import type { BenchArgs } from './args.ts';
import { ChainMaker, openFreshLedger } from './chain-maker.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { atLeast, invariant } from './result.ts';

const TRANSFERS_A_BLOCK = 10;
const SENDERS = 1000;
const HOUR_MS = 3_600_000;
const POLL_MS = 20;
const WAIT_MS = 300_000;

export async function catchup(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { blocks, nodes: validators } = args;
  // Header times must lie in the past: one interval a block, an hour to spare.
  const timeMs = Date.now() - HOUR_MS - blocks * 2000;
  return withTemporaryCluster({ validators, loadAccounts: SENDERS, timeMs }, async (cluster) => {
    tell(`making ${blocks} blocks of ${TRANSFERS_A_BLOCK} transfers …`);
    await makeChain(cluster, blocks);
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

/** Makes the chain once and gives every validator a copy of the database. */
async function makeChain(cluster: Cluster, blocks: number): Promise<void> {
  const { manifest, dataDir } = cluster;
  const genesis = clusterGenesis(dataDir);
  const layouts = manifest.nodes.map(({ home }) => nodeLayout(home, manifest.chain_id));
  const [first, ...others] = layouts;
  if (!first) return;
  const signers = layouts.map(({ validatorKey }) => createNativeSigner(readSeed(validatorKey)));
  const ledger = await openFreshLedger(first.database, genesis);
  const accounts = loadAccounts(readSeed(loadSeedPath(dataDir)), SENDERS);
  const source = roundRobin(genesis.chain, genesis.params, accounts);
  const maker = new ChainMaker(ledger, signers);
  for (let block = 0; block < blocks; block++) {
    const txs = Array.from({ length: TRANSFERS_A_BLOCK }, () => {
      const { value } = source.next();
      if (!value) throw new NodeError('INTERNAL', 'no load accounts');
      return value.tx;
    });
    await maker.next(txs);
  }
  await ledger.store.close();
  for (const layout of others) cpSync(first.database, layout.database, { recursive: true });
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
