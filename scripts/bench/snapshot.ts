/** Snapshots: validators with many accounts make one, and a fresh node joins by it over P2P, killed once on the way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { NodeError } from '../../src/errors.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { getJson } from '../../testnet/http.ts';
import { loadSeedPath, readSeed } from '../../testnet/layout.ts';
import { submitCommit } from '../../testnet/load/rpc.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { loadAccounts, nextTransfer } from '../../testnet/load/transfers.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { StatusResponse } from '../../src/sdk/types.ts';
import type { BenchArgs } from './args.ts';
import { timeOfChain } from './cluster-chain.ts';
import { blocksForAccounts, makeAccounts } from './many-accounts.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const SENDERS = 1_000;
const POLL_MS = 25;
const WAIT_MS = 300_000;
const BAR_JOIN_S = 60;
const BAR_RSS_MIB = 1_024;
/** Part of the chunks after which the joining node is killed. */
const KILL_AT = 0.3;

interface Snapshots {
  readonly snapshots: readonly { readonly height: number; readonly chunks: number; readonly bytes: number }[];
}

export async function snapshot(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { accounts, nodes: validators } = args;
  const blocks = blocksForAccounts(accounts);
  const height = blocks + 1;
  const options = {
    ...{ validators, loadAccounts: SENDERS, timeMs: timeOfChain(blocks) },
    config: { 'snapshot.interval': height, 'snapshot.sync': 'always' },
  };
  return withTemporaryCluster(options, async (cluster) => {
    tell(`making ${accounts} accounts in ${blocks} blocks …`);
    const senders = loadAccounts(readSeed(loadSeedPath(cluster.dataDir)), SENDERS);
    await makeAccounts(cluster, accounts, senders);
    await cluster.start(true);
    await cluster.waitReady();
    const making = await makeSnapshots(cluster, height, senders);
    tell(`snapshots of ${Math.round(making.bytes / 2 ** 20)} MiB in ${making.seconds} s; a fresh node joins …`);
    const whole = await joinOnce(cluster, height, false);
    tell(`joined in ${whole.seconds} s; another one joins, and is killed on the way …`);
    const killed = await joinOnce(cluster, height, true);
    const compared = await compareNodes(cluster);
    return {
      checks: [
        below('a fresh node joins from the validators', whole.seconds, BAR_JOIN_S, ' s'),
        below('its memory, peak', whole.rssMib, BAR_RSS_MIB, ' MiB'),
        invariant('it began with the snapshot', whole.base === height, whole.base),
        invariant('killed on the way, it went on with the chunks it had', killed.resumed && killed.base === height),
        invariant('equal blocks and states on all nodes', compared.equal && compared.height >= height, compared.height),
      ],
      figures: {
        accounts,
        making_s: making.seconds,
        making_peak_rss_mib: making.rssMib,
        snapshot_bytes: making.bytes,
        chunks: making.chunks,
        join_s: whole.seconds,
        join_peak_rss_mib: whole.rssMib,
        join_killed_s: killed.seconds,
        measured_as: `making: from the block of the interval until every validator lists the snapshot, all on this machine; joining: from the first answer of the node's RPC until its head is the validators', asked every ${POLL_MS} ms`,
      },
    };
  });
}

async function makeSnapshots(
  cluster: Cluster,
  height: number,
  senders: readonly LoadAccount[],
): Promise<{ seconds: number; rssMib: number; bytes: number; chunks: number }> {
  const genesis = clusterGenesis(cluster.dataDir);
  const [from, to] = senders;
  const urls = cluster.manifest.nodes.map(({ rpc }) => rpc);
  if (!from || !to) throw new NodeError('INTERNAL', 'no load accounts');
  const tx = nextTransfer(genesis.chain, genesis.params, from, to.address);
  const usage = measureUsage(cluster);
  await until('the next block', async () => (await submitCommit(urls[0] ?? '', toHex(tx.bytes))).final);
  const startedAt = performance.now();
  await until('snapshots', async () => {
    const held = await Promise.all(urls.map((url) => getJson<Snapshots>(`${url}/rpc/snapshots`)));
    return held.every((one) => one?.snapshots.some((each) => each.height === height));
  });
  const seconds = rounded((performance.now() - startedAt) / 1000);
  const made = await getJson<Snapshots>(`${urls[0] ?? ''}/rpc/snapshots`);
  const { bytes = 0, chunks = 0 } = made?.snapshots[0] ?? {};
  return { seconds, rssMib: Math.max(...usage().map(({ peak_rss_mib }) => peak_rss_mib ?? 0)), bytes, chunks };
}

async function joinOnce(
  cluster: Cluster,
  height: number,
  kill: boolean,
): Promise<{ seconds: number; rssMib: number; base: number; resumed: boolean }> {
  const index = await cluster.add();
  const node = cluster.node(index);
  const startedAt = performance.now();
  let resumed = !kill;
  if (kill) {
    await until('some chunks', async () => {
      const progress = (await statusOf(node.rpc))?.snapshot;
      return progress ? progress.chunks_done >= progress.chunks_total * KILL_AT && progress.chunks_total > 0 : false;
    });
    await cluster.kill([index]);
    await cluster.restart([index]);
  }
  const usage = measureUsage(cluster);
  let base = 0;
  await until('the validators’ head', async () => {
    const status = await statusOf(node.rpc);
    const progress = status?.snapshot;
    if (progress && progress.chunks_done >= progress.chunks_total * KILL_AT) resumed = true;
    base = status?.base_height ?? 0;
    return (status?.height ?? 0) >= height;
  });
  const used = usage().find(({ name }) => name === node.name);
  return {
    seconds: rounded((performance.now() - startedAt) / 1000),
    rssMib: used?.peak_rss_mib ?? Number.NaN,
    base,
    resumed,
  };
}

function statusOf(url: string): Promise<StatusResponse | undefined> {
  return getJson<StatusResponse>(`${url}/rpc/status`);
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await condition().catch(() => false))) {
    if (performance.now() > deadline) throw new NodeError('TIMEOUT', `waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
