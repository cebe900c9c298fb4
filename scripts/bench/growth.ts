/** How throughput and finality change when one thing grows: validators, accounts, the block, or the way between sites. */
import { NodeError } from '../../src/errors.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { proxied } from '../../testnet/failover/bed.ts';
import { loadSeedPath, readSeed } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { createRandom } from '../../testnet/load/random.ts';
import { loadAccounts } from '../../testnet/load/transfers.ts';
import type { ProxyNetwork } from '../../testnet/proxy/network.ts';
import { CLEAR } from '../../testnet/proxy/conditions.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs, Dimension } from './args.ts';
import { timeOfChain } from './cluster-chain.ts';
import { sendSingles } from './finality.ts';
import { findRate, SENDERS, startLoad, trialsOf } from './full-load.ts';
import { blocksForAccounts, makeAccounts } from './many-accounts.ts';
import { cpuPerTransfer } from './node-usage.ts';
import type { Check } from './result.ts';
import { invariant } from './result.ts';

const SINGLES = 30;

/** What is tried of each; what is not grown is 4 validators, few accounts, the template's block, no delay. */
const SIZES: Readonly<Record<Dimension, readonly number[]>> = {
  validators: [1, 2, 4, 7, 10, 16],
  accounts: [1_000, 10_000, 100_000, 1_000_000],
  block: [64, 256, 1024, 4096],
  delay: [0, 20, 40, 80, 150],
};
const UNITS: Readonly<Record<Dimension, string>> = {
  validators: 'validators',
  accounts: 'accounts',
  block: 'transactions a block at most',
  delay: 'ms one way',
};

interface Point {
  readonly size: number;
  /** Highest rate kept up with, or the one asked for. */
  readonly committed_per_s: number;
  readonly submit_to_final_ms: { readonly p50: number | null; readonly p99: number | null };
  readonly single_to_final_ms: { readonly p50: number; readonly p99: number };
  readonly cpu_us_per_transfer: number | null;
  readonly equal: boolean;
}

export async function growth(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const curves: Partial<Record<Dimension, Point[]>> = {};
  for (const dimension of args.dimensions) {
    const curve: Point[] = [];
    curves[dimension] = curve;
    for (const size of SIZES[dimension]) {
      tell(`${size} ${UNITS[dimension]}`);
      const point = await measurePoint(args, dimension, size, tell);
      curve.push(point);
      const { p50, p99 } = point.single_to_final_ms;
      tell(`  single transfers p50 ${p50} ms, p99 ${p99} ms; ${point.committed_per_s}/s committed`);
    }
  }
  const points = Object.values(curves).flat();
  return {
    checks: [
      invariant(
        'transfers were committed everywhere',
        points.every(({ committed_per_s }) => committed_per_s > 0),
      ),
      invariant(
        'equal blocks and states on all nodes',
        points.every(({ equal }) => equal),
      ),
    ],
    figures: { curves },
  };
}

async function measurePoint(
  args: BenchArgs,
  dimension: Dimension,
  size: number,
  tell: (line: string) => void,
): Promise<Point> {
  const options = {
    validators: dimension === 'validators' ? size : args.nodes,
    loadAccounts: SENDERS,
    ...(dimension === 'block' && { params: { max_block_txs: size } }),
    ...(dimension === 'accounts' && { timeMs: timeOfChain(blocksForAccounts(size)) }),
  };
  return withTemporaryCluster(options, async (cluster) => {
    if (dimension === 'accounts') {
      await makeAccounts(cluster, size, loadAccounts(readSeed(loadSeedPath(cluster.dataDir)), SENDERS));
    }
    const network = dimension === 'delay' ? await delayed(cluster, size) : undefined;
    try {
      await cluster.start(true);
      await cluster.waitReady();
      return await measureCluster(args, cluster, size, tell);
    } finally {
      await network?.close();
    }
  });
}

async function delayed(cluster: Cluster, delayMs: number): Promise<ProxyNetwork> {
  const network = await proxied(cluster, createRandom('growth'));
  for (const [a, b] of network.pairs()) network.shape(a, b, { ...CLEAR, delayMs });
  return network;
}

async function measureCluster(
  args: BenchArgs,
  cluster: Cluster,
  size: number,
  tell: (line: string) => void,
): Promise<Point> {
  const singles = await sendSingles(cluster, SINGLES);
  if (singles.lost > 0) throw new NodeError('TIMEOUT', `${singles.lost} single transfers did not become final`);
  const load = await startLoad(cluster);
  try {
    const trials = trialsOf(cluster, load, tell);
    const { result, usage } = await trials.trial(args.rate ?? (await findRate(trials)), args.seconds * 1000);
    const { p50, p99 } = percentiles(singles.seen);
    const { equal } = await compareNodes(cluster);
    return {
      size,
      committed_per_s: result.committed_per_s,
      submit_to_final_ms: { p50: result.submit_to_final_ms.p50, p99: result.submit_to_final_ms.p99 },
      single_to_final_ms: { p50, p99 },
      cpu_us_per_transfer: cpuPerTransfer(usage, result.committed)?.all ?? null,
      equal,
    };
  } finally {
    await load.close();
  }
}
