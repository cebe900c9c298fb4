/** The kill test itself: strikes under load, then a quiet check, then the audit of the folders. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster.ts';
import type { Head } from '../compare.ts';
import { clusterGenesis } from '../genesis.ts';
import { getJson } from '../http.ts';
import { loadSeedPath, readSeed } from '../layout.ts';
import { percentiles } from '../load/percentiles.ts';
import type { Percentiles } from '../load/percentiles.ts';
import { createRandom } from '../load/random.ts';
import { loadAccounts } from '../load/transfers.ts';
import { quietCheck } from '../quiet-check.ts';
import { waitUntil } from '../wait.ts';
import { auditStores, readGuard, VoteBook } from '../audit.ts';
import type { LoadCounts } from '../load/acknowledged.ts';
import { AcknowledgedLoad } from '../load/acknowledged.ts';
import type { Strike } from './schedule.ts';
import { planStrikes } from './schedule.ts';

export const CHAOS_SENDERS = 300;
const TRANSFERS_PER_S = 40;
/** After a restart, with all nodes up and load on, a block must come within this time. */
const STALL_MS = 30_000;

export interface Scorecard {
  readonly ok: boolean;
  readonly seed: string;
  readonly nodes: number;
  readonly kills: number;
  readonly strikes: number;
  readonly strikes_on_several: number;
  readonly strikes_on_all: number;
  readonly height: number;
  readonly transactions: number;
  readonly load: LoadCounts;
  readonly acknowledged: number;
  readonly double_signs: number;
  readonly votes_checked: number;
  readonly restart_ms: Percentiles;
  readonly next_block_ms: Percentiles;
  readonly faults: readonly string[];
}

export async function runChaos(
  cluster: Cluster,
  options: { readonly kills: number; readonly seed: string },
  tell: (line: string) => void,
): Promise<Scorecard> {
  const { manifest, dataDir } = cluster;
  const genesis = clusterGenesis(dataDir);
  const random = createRandom(options.seed);
  const strikes = planStrikes(random, manifest.nodes.length, options.kills);
  const accounts = loadAccounts(readSeed(loadSeedPath(dataDir)), CHAOS_SENDERS);
  const load = new AcknowledgedLoad(
    genesis,
    accounts.slice(1),
    manifest.nodes.map(({ rpc }) => rpc),
    createRandom(`${options.seed}/load`),
  );
  const book = new VoteBook();
  const faults: string[] = [];
  const restartMs: number[] = [];
  const nextBlockMs: number[] = [];
  let kills = 0;

  await cluster.start(true);
  await cluster.waitReady();
  const loading = load.run(TRANSFERS_PER_S);
  try {
    for (const strike of strikes) {
      const outcome = await strikeOnce(cluster, strike, book);
      kills += strike.nodes.length;
      restartMs.push(outcome.restartMs);
      if (outcome.nextBlockMs === null) {
        faults.push(
          `no block within ${STALL_MS} ms after strike ${nextBlockMs.length + 1}, on ${strike.nodes.join(', ')}`,
        );
        break;
      }
      nextBlockMs.push(outcome.nextBlockMs);
      tell(
        `  ${kills} of ${options.kills} kills · ${strike.nodes.map((node) => `n${node}`).join(' ')} down ${Math.round(strike.downMs)} ms · ` +
          `next block ${Math.round(outcome.nextBlockMs)} ms after restart · height ${outcome.height} · ${load.acknowledged.size} acknowledged`,
      );
    }
  } catch (error) {
    // A node that does not start again needs a person: that is what must never happen.
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    load.stop();
    await loading;
  }
  tell('quiet check …');
  const [sender] = accounts;
  if (faults.length === 0 && sender) faults.push(...(await quietCheck(cluster, genesis, sender)));
  await cluster.down();
  const nodes = cluster.manifest.nodes;
  for (const node of nodes) readGuard(node, manifest.chain_id, book);
  const audit = await auditStores(nodes, genesis, load.acknowledged, book);
  faults.push(...audit.faults, ...book.conflicts.map((slot) => `double sign: ${slot}`));
  return {
    ok: faults.length === 0 && kills >= options.kills && load.acknowledged.size > 0,
    seed: options.seed,
    nodes: nodes.length,
    kills,
    strikes: strikes.length,
    strikes_on_several: strikes.filter((strike) => strike.nodes.length > 1 && strike.nodes.length < nodes.length)
      .length,
    strikes_on_all: strikes.filter((strike) => strike.nodes.length === nodes.length).length,
    height: audit.height,
    transactions: audit.transactions,
    load: load.counts,
    acknowledged: load.acknowledged.size,
    double_signs: book.conflicts.length,
    votes_checked: book.size,
    restart_ms: percentiles(restartMs),
    next_block_ms: percentiles(nextBlockMs),
    faults,
  };
}

async function strikeOnce(
  cluster: Cluster,
  strike: Strike,
  book: VoteBook,
): Promise<{ readonly restartMs: number; readonly nextBlockMs: number | null; readonly height: number }> {
  await sleep(strike.afterMs);
  await cluster.kill(strike.nodes);
  for (const index of strike.nodes) readGuard(cluster.node(index), cluster.manifest.chain_id, book);
  await sleep(strike.downMs);
  const startedAt = performance.now();
  await cluster.restart(strike.nodes);
  const restartedAt = performance.now();
  const before = await highest(cluster);
  let height = before;
  const advanced = await waitUntil(async () => (height = await highest(cluster)) > before, STALL_MS);
  return {
    restartMs: restartedAt - startedAt,
    nextBlockMs: advanced ? performance.now() - restartedAt : null,
    height,
  };
}

async function highest(cluster: Cluster): Promise<number> {
  const heads = await Promise.all(cluster.manifest.nodes.map(({ rpc }) => getJson<Head>(`${rpc}/rpc/head`)));
  return Math.max(...heads.map((head) => head?.height ?? 0));
}
