/** Catch-up: a fresh follower fetches a chain that validators hold, over P2P. */
import { setTimeout as sleep } from 'node:timers/promises';
import { compareNodes } from '../../testnet/compare.ts';
import type { Head } from '../../testnet/compare.ts';
import { getJson } from '../../testnet/http.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import { NodeError } from '../../src/errors.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import type { BenchArgs, Lie } from './args.ts';
import { makeClusterChain, timeOfChain } from './cluster-chain.ts';
import type { Liar } from './liar.ts';
import { replaceByLiar } from './liar.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { atLeast, invariant } from './result.ts';

const TRANSFERS_A_BLOCK = 10;
const SENDERS = 1000;
/** A question takes the follower some 0.8 ms, which at 50 a second would be felt. */
const POLL_MS = 100;
const WAIT_MS = 300_000;
const BAR_PER_S = 1_000;
/** Followers that join after the first, at most, until one has asked the liar for blocks. */
const MOST_FOLLOWERS = 5;
/** A log is written after the answer was judged. */
const NAMED_WITHIN_MS = 5_000;
/** Lies that are named and banned at once; the others cost a peer its claim, and a few points each time. */
const PROVABLE: ReadonlySet<Lie> = new Set<Lie>(['transaction', 'certificate']);

type Named = ReturnType<Liar['namedBy']>;

export async function catchup(
  args: BenchArgs,
  partsAlonePerSecond: number,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { blocks, nodes: validators } = args;
  const timeMs = timeOfChain(blocks);
  return withTemporaryCluster({ validators, loadAccounts: SENDERS, timeMs }, async (cluster) => {
    tell(`making ${blocks} blocks of ${TRANSFERS_A_BLOCK} transfers …`);
    await makeClusterChain(cluster, { blocks, transfersABlock: TRANSFERS_A_BLOCK, senders: SENDERS });
    await cluster.start(true);
    await cluster.waitReady();
    const liar = args.liar && (await replaceByLiar(cluster, validators, args.liar));
    try {
      return await measureFollower(args, partsAlonePerSecond, cluster, liar, tell);
    } finally {
      await liar?.stop();
    }
  });
}

async function measureFollower(
  args: BenchArgs,
  partsAlonePerSecond: number,
  cluster: Cluster,
  liar: Liar | undefined,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { blocks } = args;
  tell(liar ? `a fresh follower joins; ${liar.peerId} lies …` : 'a fresh follower joins …');
  const added = cluster.node(await cluster.add());
  const startedAt = performance.now();
  const usage = measureUsage(cluster);
  await waitHeight(added.rpc, blocks);
  const seconds = (performance.now() - startedAt) / 1000;
  const used = usage();
  const named = liar && (await followersNaming(cluster, liar, args, added.home, tell));
  const compared = await compareNodes(cluster);
  const rate = Math.round(blocks / seconds);
  const checks = [
    atLeast('blocks a second', rate, BAR_PER_S, '/s'),
    invariant('equal blocks and states on all nodes', compared.equal && compared.height >= blocks, compared.height),
  ];
  if (args.liar && named) {
    const what = PROVABLE.has(args.liar) ? 'the liar is named and banned' : 'the liar is named';
    // Who never answers may still be waited for when the others have delivered everything.
    const ok = args.liar === 'stall' || isNamed(args.liar, named);
    checks.push(invariant(what, ok, named.map(({ message }) => message).join(', ')));
  }
  return {
    checks,
    figures: {
      blocks_per_s: rate,
      ratio_to_parts_alone: Math.round((rate * TRANSFERS_A_BLOCK * 10_000) / partsAlonePerSecond) / 10_000,
      seconds: Math.round(seconds * 1000) / 1000,
      blocks,
      transfers_a_block: TRANSFERS_A_BLOCK,
      usage: used,
      ...(liar && { liar: { lie: args.liar, peer: liar.peerId, asked: liar.asked(), named } }),
      measured_as: `from the first answer of the follower's RPC, connecting included, until its head is the validators', asked every ${POLL_MS} ms`,
    },
  };
}

/**
 * What followers say of the liar. Of a short chain everything may have come from others before a follower was connected to
 * the liar: then another follower joins, until one has asked it.
 */
async function followersNaming(
  cluster: Cluster,
  liar: Liar,
  { liar: lie, blocks }: BenchArgs,
  first: string,
  tell: (line: string) => void,
): Promise<Named> {
  let home = first;
  for (let more = 0; more < MOST_FOLLOWERS && liar.asked() === 0; more += 1) {
    tell('the follower was done before it asked the liar; another joins …');
    const added = cluster.node(await cluster.add());
    await waitHeight(added.rpc, blocks);
    ({ home } = added);
  }
  const deadline = performance.now() + NAMED_WITHIN_MS;
  while (lie && !isNamed(lie, liar.namedBy(home)) && performance.now() < deadline) await sleep(POLL_MS);
  return liar.namedBy(home);
}

function isNamed(lie: Lie, named: Named): boolean {
  const wanted = PROVABLE.has(lie) ? 'peer banned' : 'range not fetched';
  return named.some(({ message }) => message === wanted);
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
