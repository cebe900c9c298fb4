/** Three times what a cluster can take, for minutes: what is still committed, what honest senders feel, what it costs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { loadSeedPath, readSeed } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { accountNonce, submitCommit } from '../../testnet/load/rpc.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { loadAccounts, nextTransfer } from '../../testnet/load/transfers.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { LoadProcess } from '../../testnet/load/client.ts';
import type { OverloadResult } from '../../testnet/load/protocol.ts';
import type { BenchArgs } from './args.ts';
import { longestHeld, SENDERS, startLoad, trialsOf, warmUp } from './full-load.ts';
import type { NodeUsage } from './node-usage.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { atLeast, atMost, invariant } from './result.ts';

const TIMES = 3;
/** Signed beforehand, of what the peak rate would take. */
const SIGNED_SHARE = 1.6;
const PEAK_MS = 15_000;
/** Honest senders: they pay more than the flood, and send one transfer at a time. */
const HONEST = 20;
const FEE_FACTOR = 4;
const HONEST_PAUSE_MS = 500;
const TELL_MS = 60_000;
/** Finality of an idle chain: DESIGN's bar for p99. */
const IDLE_MS = 300;
const IDLE_STREAK = 5;
const IDLE_PAUSE_MS = 250;
const RECOVERY_LIMIT_MS = 120_000;
const BARS = { committedOfPeak: 0.7, rssMib: 1536, honestIntervals: 3, recoveryMs: 5000 };

interface HonestTally {
  readonly latencies: number[];
  readonly refused: Record<string, number>;
}

export async function overload(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, loadAccounts: SENDERS + HONEST }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    const intervalMs = clusterGenesis(cluster.dataDir).params.minBlockIntervalMs;
    const load = await startLoad(cluster);
    try {
      const peak = await (args.rate === undefined
        ? measurePeak(cluster, load, tell)
        : warmUp(cluster, load, args.rate));
      const { flood, honest, usage } = await floodAndSend(cluster, load, peak, args.seconds, tell);
      const recoveredMs = await recovery(cluster);
      const compared = await compareNodes(cluster);
      const worstRss = Math.max(...usage.map(({ peak_rss_mib }) => peak_rss_mib ?? Infinity));
      const { p50, p99, max } = percentiles(honest.latencies);
      return {
        checks: [
          atLeast('committed of peak', flood.committed_per_s / peak, BARS.committedOfPeak, ''),
          atMost('memory of a node', worstRss, BARS.rssMib, ' MiB'),
          atMost('honest transfers final, p99', finite(p99), BARS.honestIntervals * intervalMs, ' ms'),
          atMost('back to idle finality', recoveredMs, BARS.recoveryMs, ' ms'),
          invariant('transfers were committed', flood.committed > 0, flood.committed),
          invariant('signed transfers lasted', flood.exhausted_senders === 0),
          invariant('equal blocks and states on all nodes', compared.equal, `${compared.height} heights`),
        ],
        figures: {
          peak_per_s: peak,
          offered_per_s: Math.round(flood.offered / args.seconds),
          committed_per_s: flood.committed_per_s,
          seconds: args.seconds,
          blocks: flood.blocks,
          rounds_above_0: flood.rounds_above_0,
          refused: flood.refused,
          failed_requests: flood.failed_requests,
          load_lag_ms: flood.worst_lag_ms,
          honest: {
            transfers: honest.latencies.length,
            p50_ms: finite(p50),
            p99_ms: finite(p99),
            max_ms: finite(max),
            refused: honest.refused,
          },
          recovered_after_ms: recoveredMs,
          usage,
        },
      };
    } finally {
      await load.close();
    }
  });
}

/** What the cluster keeps up with, in a run longer than those of the search. */
async function measurePeak(cluster: Cluster, load: LoadProcess, tell: (line: string) => void): Promise<number> {
  const { result } = await longestHeld(trialsOf(cluster, load, tell), PEAK_MS);
  return result.committed_per_s;
}

async function floodAndSend(
  cluster: Cluster,
  load: LoadProcess,
  peak: number,
  seconds: number,
  tell: (line: string) => void,
): Promise<{ readonly flood: OverloadResult; readonly honest: HonestTally; readonly usage: readonly NodeUsage[] }> {
  const rate = TIMES * peak;
  const signed = Math.ceil(peak * seconds * SIGNED_SHARE);
  tell(`  ${rate} transfers a second are offered for ${seconds} s; ${signed} are signed first`);
  const honest: HonestTally = { latencies: [], refused: {} };
  const stop = new AbortController();
  let endUsage: (() => NodeUsage[]) | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    tell(`  ${honest.latencies.length} transfers of honest senders are final`);
  }, TELL_MS);
  try {
    const flood = await load.overload({ rate, seconds, signed }, () => {
      endUsage = measureUsage(cluster);
      sending = sendHonestly(cluster, honest, stop.signal);
    });
    const usage = endUsage?.() ?? [];
    return { flood, honest, usage };
  } finally {
    clearInterval(timer);
    stop.abort();
    await sending;
  }
}

/** Each honest sender sends to one node, one transfer at a time, until `ended`. */
async function sendHonestly(cluster: Cluster, tally: HonestTally, ended: AbortSignal): Promise<void> {
  const { nodes } = cluster.manifest;
  await Promise.all(
    honestAccounts(cluster).map(async (account, i) => {
      const { rpc = '' } = nodes[i % nodes.length] ?? {};
      await sleep((i * HONEST_PAUSE_MS) / HONEST);
      while (!ended.aborted) {
        const { tookMs, code } = await timed(cluster, account, rpc);
        tally.latencies.push(tookMs);
        if (code !== null) tally.refused[code] = (tally.refused[code] ?? 0) + 1;
        await sleep(HONEST_PAUSE_MS);
      }
    }),
  );
}

/**
 * From the request until the node says that it is final; endless when it is refused or not final in time. The next nonce is
 * asked for once, and again after that: a sender knows what it has sent.
 */
async function timed(
  cluster: Cluster,
  account: LoadAccount,
  rpc: string,
): Promise<{ readonly tookMs: number; readonly code: string | null }> {
  const { chain, params } = clusterGenesis(cluster.dataDir);
  const dear = {
    ...params,
    baseFeeUait: params.baseFeeUait * FEE_FACTOR,
    feePerByteUait: params.feePerByteUait * FEE_FACTOR,
  };
  try {
    if (account.nonce === 0) account.nonce = await accountNonce(rpc, formatAddress(account.address));
    const tx = nextTransfer(chain, dear, account, account.address);
    const startedAt = performance.now();
    const { final, code } = await submitCommit(rpc, toHex(tx.bytes));
    if (final) return { tookMs: performance.now() - startedAt, code: null };
    account.nonce = 0;
    return { tookMs: Infinity, code: code ?? 'NOT_FINAL' };
  } catch {
    account.nonce = 0;
    return { tookMs: Infinity, code: 'UNREACHABLE' };
  }
}

/** From the end of the flood until the first of a streak of transfers that are final as on an idle chain. */
async function recovery(cluster: Cluster): Promise<number | null> {
  const [account] = honestAccounts(cluster);
  const [node] = cluster.manifest.nodes;
  if (!account || !node) return null;
  const startedAt = performance.now();
  let streak = 0;
  let sinceMs = 0;
  while (performance.now() - startedAt < RECOVERY_LIMIT_MS) {
    const atMs = performance.now() - startedAt;
    const { tookMs } = await timed(cluster, account, node.rpc);
    if (tookMs > IDLE_MS) streak = 0;
    else if (streak++ === 0) sinceMs = atMs;
    if (streak === IDLE_STREAK) return Math.round(sinceMs);
    await sleep(IDLE_PAUSE_MS);
  }
  return null;
}

/** Behind those of the flood. */
function honestAccounts({ dataDir }: Cluster): LoadAccount[] {
  return loadAccounts(readSeed(loadSeedPath(dataDir)), SENDERS + HONEST).slice(SENDERS);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
