/** The market's kill test: jobs with one fault each, then the expiry of what is left open, then the books. */
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterGenesis } from '../genesis.ts';
import { getJson } from '../http.ts';
import { createRandom } from '../load/random.ts';
import { percentiles } from '../load/percentiles.ts';
import type { Percentiles } from '../load/percentiles.ts';
import { waitUntil } from '../wait.ts';
import type { MarketChaosArgs } from './args.ts';
import type { MarketBed } from './bed.ts';
import { PAYER } from './bed.ts';
import type { BookedAgreement, Books } from './books.ts';
import { readBooks } from './books.ts';
import { judge } from './judge.ts';
import type { Judgement } from './judge.ts';
import type { Party, Script, Writer } from './plan.ts';
import { cutName, cuts, killPoints, PARTIES, pointName, samplePoints, SCRIPTS } from './plan.ts';
import type { CaseResult } from './strike.ts';
import { cutOnce, dryRun, strike } from './strike.ts';

/** Beyond the last expiry: closing takes a minute more. */
const BEYOND_EXPIRY_MS = 5000;
const CLOSED_MS = 150_000;
/** A write that did not come, as when the sides shared one: the job is given again so often. */
const TRIES = 2;
const DRY_RUNS = 2;

export interface MarketScorecard extends Judgement {
  readonly ok: boolean;
  readonly seed: string;
  readonly writes: Readonly<Record<Script, Readonly<Record<Writer, number>>>>;
  /** Writes times parties, before and after each. */
  readonly points: number;
  readonly points_run: number;
  readonly kills: Readonly<Record<Party, number>>;
  /** The write came, and nobody of that party ran. */
  readonly nobody_there: number;
  readonly cuts: number;
  readonly jobs: number;
  /** Jobs whose client had to be asked again. */
  readonly resumed: number;
  readonly second_attempts: number;
  readonly case_ms: Percentiles;
  readonly agreements: number;
  readonly agreements_open: number;
  readonly height: number;
  readonly faults: readonly string[];
}

export async function runMarketChaos(
  bed: MarketBed,
  options: Omit<MarketChaosArgs, 'help' | 'json'>,
  tell: (line: string) => void,
): Promise<MarketScorecard> {
  const random = createRandom(options.seed);
  const results: CaseResult[] = [];
  const faults: string[] = [];
  const kills: Record<Party, number> = { client: 0, miner: 0, executor: 0, validator: 0 };
  const take = (name: string, result: CaseResult): void => {
    results.push(result);
    faults.push(...result.faults.map((fault) => `${name}: ${fault}`));
    const { outcome, tookMs } = result;
    const mark = result.faults.length === 0 ? '✓' : '✗';
    const attempts = outcome && outcome.attempts > 1 ? ` · attempt ${outcome.attempts}` : '';
    tell(
      `  ${mark} ${name}${attempts} · ${(tookMs / 1000).toFixed(1)} s${result.killed ? '' : ' · nobody was killed'}`,
    );
    for (const fault of result.faults) tell(`    ✗ ${fault}`);
  };

  const writes = { command: { client: 0, miner: 0 }, door: { client: 0, miner: 0 } };
  for (const script of SCRIPTS) {
    // With the first job a door opens the agreement of its session, and the miner learns how fast the work is.
    for (let round = 1; round <= DRY_RUNS; round++) {
      const dry = await dryRun(bed, script);
      take(`no fault, ${script}`, { ...dry.result, killed: true });
      writes[script] = dry.writes;
    }
    tell(`  ${script}: ${writes[script].client} writes of the client, ${writes[script].miner} of the miner`);
  }
  const all = killPoints(writes);
  const points = samplePoints(all, options.points, random);
  let nobodyThere = 0;
  for (const [index, point] of points.entries()) {
    const name = `${index + 1}/${points.length} ${pointName(point)}`;
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const result = await strike(bed, point);
      take(name, result);
      if (result.killed) kills[point.victim]++;
      if (result.killed || result.faults.length > 0) break;
      if (attempt === TRIES) nobodyThere++;
    }
    if ((await bed.whole()).length > 0) break;
  }
  const planned = random.shuffle(cuts()).slice(0, Math.min(options.cuts, cuts().length));
  for (const cut of planned) {
    const call = 1 + random.integer(Math.max(1, writes[cut.script].miner - 1));
    take(cutName(cut), { ...(await cutOnce(bed, cut, call)), killed: true });
  }

  const { books, openLeft } = await closeBooks(bed, options.expiry, tell);
  faults.push(...books.faults);
  for (const { id, agreement } of openLeft) faults.push(`agreement ${id} is ${agreement.state.name} after its expiry`);
  const payer = addressOf(bed, PAYER);
  const gateway = addressOf(bed, 'gateway');
  const judgement = judge(results, books.agreements, { command: payer, door: gateway }, options.expiry);
  faults.push(...judgement.faults);
  const outcomes = results.map(({ outcome }) => outcome).filter((outcome) => outcome !== null);
  return {
    ...judgement,
    ok: faults.length === 0 && PARTIES.some((party) => kills[party] > 0 || options.points === 0),
    seed: options.seed,
    writes,
    points: all.length,
    points_run: points.length,
    kills,
    nobody_there: nobodyThere,
    cuts: planned.length,
    jobs: results.length,
    resumed: outcomes.filter(({ resumed }) => resumed > 0).length,
    second_attempts: outcomes.filter(({ attempts }) => attempts > 1).length,
    case_ms: percentiles(results.map(({ tookMs }) => tookMs)),
    agreements: books.agreements.length,
    agreements_open: books.agreements.filter(isOpen).length,
    height: books.height,
    faults,
  };
}

/** Stops the cluster and reads what it holds, with the clocks set ahead past all expiries before, if asked for. */
async function closeBooks(
  bed: MarketBed,
  expiry: boolean,
  tell: (line: string) => void,
): Promise<{ readonly books: Books; readonly openLeft: readonly BookedAgreement[] }> {
  const { cluster } = bed;
  const genesis = clusterGenesis(cluster.dataDir);
  await cluster.down();
  const books = await readBooks(cluster.manifest, genesis);
  const open = books.agreements.filter(isOpen);
  if (!expiry || open.length === 0) return { books, openLeft: [] };
  const lastMs = Math.max(...open.map(({ agreement }) => agreement.expiresAtMs));
  const aheadMs = lastMs - Date.now() + BEYOND_EXPIRY_MS;
  tell(`  ${open.length} agreements are left open: all clocks ${Math.round(aheadMs / 60_000)} minutes ahead …`);
  const { orders } = cluster;
  cluster.orders = (name) => ({ ...orders(name), clockAheadMs: Math.max(0, aheadMs) });
  await cluster.start(true);
  await cluster.waitReady();
  await waitUntil(async () => {
    const states = await Promise.all(
      open.map(({ id }) => getJson<{ readonly state: string }>(`${bed.rpc}/v1/agreements/${id}`)),
    );
    return states.every((answer) => answer?.state === 'closed');
  }, CLOSED_MS);
  // What the miner takes last, it takes in the next block.
  await sleep(1000);
  await cluster.down();
  const after = await readBooks(cluster.manifest, genesis);
  return { books: { ...after, faults: [...books.faults, ...after.faults] }, openLeft: after.agreements.filter(isOpen) };
}

function isOpen({ agreement }: BookedAgreement): boolean {
  return agreement.state.name !== 'closed';
}

function addressOf({ cluster }: MarketBed, account: string): string {
  return cluster.manifest.accounts.find(({ name }) => name === account)?.address ?? '';
}
