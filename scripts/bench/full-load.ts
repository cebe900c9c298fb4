/** Open-loop load on a cluster: one run, and the search for the highest rate that is kept up with. */
import type { Cluster } from '../../testnet/cluster.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { loadSeedPath } from '../../testnet/layout.ts';
import { LoadProcess } from '../../testnet/load/client.ts';
import type { LoadResult } from '../../testnet/load/protocol.ts';
import type { NodeUsage } from './node-usage.ts';
import { cpuPerTransfer, measureUsage } from './node-usage.ts';

/** Load accounts that a cluster needs for it. */
export const SENDERS = 1000;
const WARM_UP_MS = 3000;
const DRAIN_MS = 10_000;
const TRIAL_MS = 8000;
const FIRST_RATE = 250;
const MAX_RATE = 64_000;
/** Steps of halving the gap between the last rate that held and the first that did not. */
const REFINEMENTS = 3;
export const LEAST_COMMITTED = 0.98;

export interface Trial {
  readonly result: LoadResult;
  readonly usage: readonly NodeUsage[];
}

function keepsUp({ result }: Trial, intervalMs: number): boolean {
  const { p99 } = result.submit_to_final_ms;
  return result.committed >= LEAST_COMMITTED * result.offered && (p99 ?? Infinity) < 2 * intervalMs;
}

/** On the default chain. */
export async function startLoad(cluster: Cluster): Promise<LoadProcess> {
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

/** A rate that is given is not searched for: the nodes get warm in a run that nothing is taken from. */
export async function warmUp(cluster: Cluster, load: LoadProcess, rate: number): Promise<number> {
  await measureOnce(cluster, load, rate, TRIAL_MS);
  return rate;
}

/** @param onMeasuring called when the warm-up is over */
export async function measureOnce(
  cluster: Cluster,
  load: LoadProcess,
  rate: number,
  measureMs: number,
  onMeasuring: () => void = () => undefined,
): Promise<Trial> {
  let end: (() => NodeUsage[]) | undefined;
  const usage = Promise.withResolvers<NodeUsage[]>();
  const result = await load.run({ rate, warmUpMs: WARM_UP_MS, measureMs, drainMs: DRAIN_MS }, () => {
    end = measureUsage(cluster);
    onMeasuring();
    setTimeout(() => {
      usage.resolve(end?.() ?? []);
    }, measureMs);
  });
  return { result, usage: await usage.promise };
}

interface Trials {
  /** Told as it ends. */
  readonly trial: (rate: number, measureMs: number) => Promise<Trial>;
  readonly keeps: (done: Trial) => boolean;
}

/** Runs at a rate on the default chain of a cluster, and whether it kept up. */
export function trialsOf(cluster: Cluster, load: LoadProcess, tell: (line: string) => void): Trials {
  const { minBlockIntervalMs } = clusterGenesis(cluster.dataDir).params;
  const keeps = (done: Trial): boolean => keepsUp(done, minBlockIntervalMs);
  const trial = async (rate: number, measureMs: number): Promise<Trial> => {
    const done = await measureOnce(cluster, load, rate, measureMs);
    tell(trialLine(done, keeps(done)));
    return done;
  };
  return { trial, keeps };
}

/**
 * Doubles until a rate does not hold, then halves the gap. A rate that does not hold is tried a second time: other work
 * on the machine may have spoilt a trial.
 *
 * @returns the highest rate that held, or the lowest tried
 */
export async function findRate({ trial, keeps }: Trials): Promise<number> {
  const holds = async (rate: number): Promise<boolean> =>
    keeps(await trial(rate, TRIAL_MS)) || keeps(await trial(rate, TRIAL_MS));
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

/** A short trial may pass by luck: a longer run at the rate that was found, lowered by a tenth while it does not hold. */
export async function longestHeld(trials: Trials, measureMs: number): Promise<Trial> {
  const { trial, keeps } = trials;
  let done = await trial(await findRate(trials), measureMs);
  while (!keeps(done) && done.result.rate > FIRST_RATE / 4) {
    done = await trial(Math.floor(done.result.rate * 0.9), measureMs);
  }
  return done;
}

function trialLine({ result, usage }: Trial, kept: boolean): string {
  const { p50, p99 } = result.submit_to_final_ms;
  const cpu = usage.map(({ cpu_percent }) => `${cpu_percent ?? '?'}%`).join(' ');
  const perTransfer = cpuPerTransfer(usage, result.committed);
  return (
    `  ${kept ? '✓' : '✗'} ${result.rate}/s offered: ${result.committed_per_s}/s committed, ` +
    `${result.committed} of ${result.offered}, p50 ${p50 ?? '–'} ms, p99 ${p99 ?? '–'} ms, ` +
    `rounds above 0: ${result.rounds_above_0}, CPU ${cpu}` +
    (perTransfer ? `, ${perTransfer.all} µs a transfer and node` : '')
  );
}
