/** Sustained transfers: the highest open-loop rate that the cluster keeps up with, against the parts-alone rate. */
import { compareNodes } from '../../testnet/compare.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import type { LoadProcess } from '../../testnet/load/client.ts';
import type { BenchArgs } from './args.ts';
import { LEAST_COMMITTED, longestHeld, measureOnce, SENDERS, startLoad, trialsOf, warmUp } from './full-load.ts';
import { cpuPerTransfer } from './node-usage.ts';
import type { NodeProfile } from './profile/record.ts';
import { orderProfiles, recordProfiles, topOwners } from './profile/record.ts';
import type { Check } from './result.ts';
import { atLeast, below, invariant } from './result.ts';

/** Of the parts-alone rate: one validator alone, and several with the load on the same cores. */
const RATIO_BARS = { alone: 0.4, several: 0.1 };

/** Sampling slows the nodes down, so that what is judged is measured without it. */
const PROFILE_MS = 10_000;
const TOP_OWNERS = 16;

export async function throughput(
  args: BenchArgs,
  partsAlonePerSecond: number,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, loadAccounts: SENDERS }, async (cluster) => {
    const { profile } = args;
    if (profile !== undefined) orderProfiles(cluster, profile);
    await cluster.start(true);
    await cluster.waitReady();
    const genesis = clusterGenesis(cluster.dataDir);
    const intervalMs = genesis.params.minBlockIntervalMs;
    const load = await startLoad(cluster);
    try {
      const trials = trialsOf(cluster, load, tell);
      const measureMs = args.seconds * 1000;
      const final = await (args.rate === undefined
        ? longestHeld(trials, measureMs)
        : trials.trial(await warmUp(cluster, load, args.rate), measureMs));
      const profiles = profile === undefined ? undefined : await profiled(cluster, load, final.result.rate, profile);
      if (profiles) tell(profileLines(profiles, profile ?? ''));
      const { result, usage } = final;
      const ratio = result.committed_per_s / partsAlonePerSecond;
      const { p99 } = result.submit_to_final_ms;
      const compared = await compareNodes(cluster);
      return {
        checks: [
          atLeast(
            'committed transfers / parts alone',
            ratio,
            args.nodes === 1 ? RATIO_BARS.alone : RATIO_BARS.several,
            '',
          ),
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
          cpu_us_per_transfer: cpuPerTransfer(usage, result.committed),
          usage,
          ...(profiles && { profiles }),
          measured_as:
            'open loop, 250-byte transfers of 1000 senders over all nodes, one request for what came in 50 ms to each; from the scheduled time to the sight of the block at node 1, polled every 20 ms',
        },
      };
    } finally {
      await load.close();
    }
  });
}

function profileLines(profiles: readonly NodeProfile[], folder: string): string {
  const owners = topOwners(profiles, TOP_OWNERS).map(
    ({ owner, percent }) => `    ${percent.toFixed(1).padStart(5)} %  ${owner}`,
  );
  const where = `  profiles and flame graphs of a run of ${PROFILE_MS / 1000} s lie in ${folder}; whose code the main threads ran:`;
  return [where, ...owners].join('\n');
}

async function profiled(cluster: Cluster, load: LoadProcess, rate: number, folder: string): Promise<NodeProfile[]> {
  let end: (() => Promise<NodeProfile[]>) | undefined;
  await measureOnce(cluster, load, rate, PROFILE_MS, () => {
    end = recordProfiles(cluster, folder, `${rate} transfers/s, ${cluster.manifest.nodes.length} validators`);
  });
  return (await end?.()) ?? [];
}
