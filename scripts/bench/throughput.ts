/** Sustained transfers: the highest open-loop rate that the cluster keeps up with, against the parts-alone rate. */
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { loadSeedPath } from '../../testnet/layout.ts';
import { LoadProcess } from '../../testnet/load/client.ts';
import type { LoadResult } from '../../testnet/load/protocol.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs } from './args.ts';
import type { NodeUsage } from './node-usage.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { atLeast, below, invariant } from './result.ts';

const SENDERS = 1000;
const WARM_UP_MS = 3000;
const DRAIN_MS = 10_000;
const TRIAL_MS = 8000;
const FIRST_RATE = 250;
const MAX_RATE = 64_000;
/** Steps of halving the gap between the last rate that held and the first that did not. */
const REFINEMENTS = 3;
const LEAST_COMMITTED = 0.98;
const RATIO_BAR = 0.04;

interface Trial {
  readonly result: LoadResult;
  readonly usage: readonly NodeUsage[];
}

export async function throughput(
  args: BenchArgs,
  partsAlonePerSecond: number,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, loadAccounts: SENDERS }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    const genesis = clusterGenesis(cluster.dataDir);
    const intervalMs = genesis.params.minBlockIntervalMs;
    const load = await startLoad(cluster);
    try {
      const keepsUp = ({ result }: Trial): boolean =>
        result.committed >= LEAST_COMMITTED * result.offered &&
        (result.submit_to_final_ms.p99 ?? Infinity) < 2 * intervalMs;
      const trial = async (rate: number, measureMs: number): Promise<Trial> => {
        const done = await measureOnce(cluster, load, rate, measureMs);
        tell(trialLine(done, keepsUp(done)));
        return done;
      };
      const rate = args.rate ?? (await findRate((candidate) => trial(candidate, TRIAL_MS), keepsUp));
      let final = await trial(rate, args.seconds * 1000);
      // A short trial may pass by luck; the figure is that of a whole run that kept up.
      while (args.rate === undefined && !keepsUp(final) && final.result.rate > FIRST_RATE / 4) {
        final = await trial(Math.floor(final.result.rate * 0.9), args.seconds * 1000);
      }
      const { result, usage } = final;
      const ratio = result.committed_per_s / partsAlonePerSecond;
      const { p99 } = result.submit_to_final_ms;
      const compared = await compareNodes(cluster);
      return {
        checks: [
          atLeast('committed transfers / parts alone', ratio, RATIO_BAR, ''),
          below('submit to final, p99', p99, 2 * intervalMs, ' ms'),
          atLeast('committed of offered', result.committed / result.offered, LEAST_COMMITTED, ''),
          invariant('transfers were committed', result.committed > 0, result.committed),
          invariant('equal blocks and states on all nodes', compared.equal, `${compared.height} heights`),
        ],
        figures: {
          committed_per_s: result.committed_per_s,
          submit_to_final_ms: result.submit_to_final_ms,
          ratio_to_parts_alone: Math.round(ratio * 10_000) / 10_000,
          offered_per_s: result.rate,
          block_interval_ms: intervalMs,
          blocks: result.blocks,
          rounds_above_0: result.rounds_above_0,
          refused: result.refused,
          failed_requests: result.failed_requests,
          load_lag_ms: result.worst_lag_ms,
          usage,
          measured_as:
            'open loop, 250-byte transfers of 1000 senders over all nodes; from the scheduled time to the sight of the block at node 1, polled every 20 ms',
        },
      };
    } finally {
      await load.close();
    }
  });
}

async function startLoad(cluster: Cluster): Promise<LoadProcess> {
  const { manifest, dataDir } = cluster;
  const genesis = clusterGenesis(dataDir);
  return LoadProcess.start({
    chainId: manifest.chain_id,
    genesisHash: manifest.genesis_hash,
    baseFeeUait: genesis.params.baseFeeUait,
    feePerByteUait: genesis.params.feePerByteUait,
    loadSeedPath: loadSeedPath(dataDir),
    senders: SENDERS,
    targets: manifest.nodes.map(({ rpc }) => rpc),
    observer: manifest.nodes[0]?.rpc ?? '',
  });
}

async function measureOnce(cluster: Cluster, load: LoadProcess, rate: number, measureMs: number): Promise<Trial> {
  let end: (() => NodeUsage[]) | undefined;
  const usage = Promise.withResolvers<NodeUsage[]>();
  const result = await load.run({ rate, warmUpMs: WARM_UP_MS, measureMs, drainMs: DRAIN_MS }, () => {
    end = measureUsage(cluster);
    setTimeout(() => {
      usage.resolve(end?.() ?? []);
    }, measureMs);
  });
  return { result, usage: await usage.promise };
}

/**
 * Doubles until a rate does not hold, then halves the gap. A rate that does not hold is tried a second time: other work
 * on the machine may have spoilt a trial.
 *
 * @returns the highest rate that held, or the lowest tried
 */
async function findRate(trial: (rate: number) => Promise<Trial>, keepsUp: (trial: Trial) => boolean): Promise<number> {
  const holds = async (rate: number): Promise<boolean> => keepsUp(await trial(rate)) || keepsUp(await trial(rate));
  let held = 0;
  let failed = FIRST_RATE;
  while (failed <= MAX_RATE && (await holds(failed))) {
    held = failed;
    failed *= 2;
  }
  if (held === 0) return FIRST_RATE;
  for (let step = 0; step < REFINEMENTS; step++) {
    const middle = Math.round((held + failed) / 2);
    if (await holds(middle)) held = middle;
    else failed = middle;
  }
  return held;
}

function trialLine({ result, usage }: Trial, kept: boolean): string {
  const { p50, p99 } = result.submit_to_final_ms;
  const cpu = usage.map(({ cpu_percent }) => `${cpu_percent ?? '?'}%`).join(' ');
  return (
    `  ${kept ? '✓' : '✗'} ${result.rate}/s offered: ${result.committed_per_s}/s committed, ` +
    `${result.committed} of ${result.offered}, p50 ${p50 ?? '–'} ms, p99 ${p99 ?? '–'} ms, ` +
    `rounds above 0: ${result.rounds_above_0}, CPU ${cpu}`
  );
}
