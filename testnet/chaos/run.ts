/** The kill test itself: strikes under load, then a quiet check, then the audit of the folders. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import type { Cluster } from '../cluster.ts';
import { compareNodes } from '../compare.ts';
import type { Head } from '../compare.ts';
import { clusterGenesis } from '../genesis.ts';
import { getJson, probe } from '../http.ts';
import { loadSeedPath, readSeed } from '../layout.ts';
import { percentiles } from '../load/percentiles.ts';
import type { Percentiles } from '../load/percentiles.ts';
import { createRandom } from '../load/random.ts';
import { isFinal, submitCommit } from '../load/rpc.ts';
import { loadAccounts, nextTransfer } from '../load/transfers.ts';
import { auditStores, readGuard, VoteBook } from './audit.ts';
import type { LoadCounts } from './load.ts';
import { AcknowledgedLoad } from './load.ts';
import type { Strike } from './schedule.ts';
import { planStrikes } from './schedule.ts';

export const CHAOS_SENDERS = 300;
const TRANSFERS_PER_S = 40;
/** After a restart, with all nodes up and load on, a block must come within this time. */
const STALL_MS = 30_000;
const QUIET_MS = 30_000;
const POLL_MS = 50;

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
  const [sender, receiver] = accounts;
  if (faults.length === 0 && sender && receiver) {
    faults.push(
      ...(await quietCheck(cluster, (nonce) => {
        sender.nonce = nonce;
        const tx = nextTransfer(genesis.chain, genesis.params, sender, receiver.address);
        return { hex: toHex(tx.bytes), id: toHex(tx.id) };
      })),
    );
  }
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
  while (height <= before && performance.now() - restartedAt < STALL_MS) {
    await sleep(POLL_MS);
    height = await highest(cluster);
  }
  return {
    restartMs: restartedAt - startedAt,
    nextBlockMs: height > before ? performance.now() - restartedAt : null,
    height,
  };
}

async function highest(cluster: Cluster): Promise<number> {
  const heads = await Promise.all(cluster.manifest.nodes.map(({ rpc }) => getJson<Head>(`${rpc}/rpc/head`)));
  return Math.max(...heads.map((head) => head?.height ?? 0));
}

/** With nothing but single transfers going on: every node is ready and signs, and takes a transfer that all call final. */
async function quietCheck(
  cluster: Cluster,
  nextTx: (nonce: number) => { readonly hex: string; readonly id: string },
): Promise<string[]> {
  const faults: string[] = [];
  const { nodes } = cluster.read();
  let nonce = 0;
  for (const node of nodes) {
    if (node.state !== 'running') faults.push(`${node.name} is ${node.state}`);
    if (!(await waitFor(async () => (await probe(`${node.rpc}/readyz`)) === 200)))
      faults.push(`${node.name} is not ready`);
    const signs = await waitFor(
      async () => (await getJson<{ signing: boolean }>(`${node.rpc}/rpc/status`))?.signing === true,
    );
    if (!signs) faults.push(`${node.name} does not sign`);
    const tx = nextTx(nonce++);
    const answer = await submitCommit(node.rpc, tx.hex).catch(() => undefined);
    if (!answer?.final) {
      faults.push(`a transfer sent to ${node.name} is not final`);
      continue;
    }
    for (const other of nodes) {
      if (!(await waitFor(() => isFinal(other.rpc, tx.id).catch(() => false)))) {
        faults.push(`a transfer sent to ${node.name} is not final on ${other.name}`);
      }
    }
  }
  const compared = await compareNodes(cluster);
  if (!compared.equal) faults.push(`the nodes differ at height ${compared.height}`);
  return faults;
}

async function waitFor(condition: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + QUIET_MS;
  while (performance.now() < deadline) {
    if (await condition()) return true;
    await sleep(POLL_MS);
  }
  return false;
}
