/** Idle finality: one transfer at a time into a quiet cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { loadSeedPath, readSeed } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { createRandom } from '../../testnet/load/random.ts';
import { isFinal, submitCommit } from '../../testnet/load/rpc.ts';
import { loadAccounts, nextTransfer } from '../../testnet/load/transfers.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs } from './args.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const ACCOUNTS = 10;
const WARM_UP = 5;
const GAP_MS = { least: 300, spread: 600 };
const POLL_MS = 2;
const WAIT_MS = 20_000;

export async function finality(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, loadAccounts: ACCOUNTS }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    tell(`${args.samples} single transfers, ${GAP_MS.least} to ${GAP_MS.least + GAP_MS.spread} ms apart …`);
    const { answered, seen, lost } = await sendSingles(cluster, args.samples);
    const elsewhere = percentiles(seen);
    const compared = await compareNodes(cluster);
    return {
      checks: [
        below('submit to final at another node, p50', elsewhere.p50, 120, ' ms'),
        below('submit to final at another node, p99', elsewhere.p99, 300, ' ms'),
        invariant('every transfer became final', lost === 0, `${lost} did not`),
        invariant('equal blocks and states on all nodes', compared.equal, `${compared.height} heights`),
      ],
      figures: {
        submit_to_final_ms: elsewhere,
        commit_answer_ms: percentiles(answered),
        block_interval_ms: clusterGenesis(cluster.dataDir).params.minBlockIntervalMs,
        measured_as: `from the request to one node until another node calls the transfer final, asked every ${POLL_MS} ms; commit_answer_ms: until the first node answers mode=commit`,
      },
    };
  });
}

export interface Singles {
  /** ms until the first node answers, and until another one calls it final. */
  readonly answered: readonly number[];
  readonly seen: readonly number[];
  /** Not final in time. */
  readonly lost: number;
}

/** One transfer at a time into a quiet cluster that has load accounts. */
export async function sendSingles(cluster: Cluster, samples: number): Promise<Singles> {
  const genesis = clusterGenesis(cluster.dataDir);
  const accounts = loadAccounts(readSeed(loadSeedPath(cluster.dataDir)), ACCOUNTS);
  const urls = cluster.manifest.nodes.map(({ rpc }) => rpc);
  const random = createRandom('finality');
  const answered: number[] = [];
  const seen: number[] = [];
  let lost = 0;
  for (let i = 0; i < WARM_UP + samples; i++) {
    await sleep(GAP_MS.least + random.next() * GAP_MS.spread);
    const from = accounts[i % ACCOUNTS];
    const to = accounts[(i + 1) % ACCOUNTS];
    if (!from || !to) break;
    const tx = nextTransfer(genesis.chain, genesis.params, from, to.address);
    const at = urls[i % urls.length] ?? '';
    const elsewhere = urls[(i + 1) % urls.length] ?? '';
    const sentAt = performance.now();
    const [commitMs, seenMs] = await Promise.all([
      submitCommit(at, toHex(tx.bytes)).then(({ final }) => (final ? performance.now() - sentAt : undefined)),
      waitFinal(elsewhere, toHex(tx.id)).then((final) => (final ? performance.now() - sentAt : undefined)),
    ]);
    if (commitMs === undefined || seenMs === undefined) lost++;
    if (i < WARM_UP) continue;
    answered.push(commitMs ?? Infinity);
    seen.push(seenMs ?? Infinity);
  }
  return { answered, seen, lost };
}

async function waitFinal(url: string, id: string): Promise<boolean> {
  const deadline = performance.now() + WAIT_MS;
  while (performance.now() < deadline) {
    if (await isFinal(url, id)) return true;
    await sleep(POLL_MS);
  }
  return false;
}
