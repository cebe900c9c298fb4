/** What a seed decides before the run begins: who takes part, who is a traitor, how fast and how bad things are. */
import { DEFAULT_MEMPOOL_LIMITS } from '../../src/mempool.ts';
import type { MempoolLimits } from '../../src/mempool.ts';
import type { Timeouts } from '../../src/consensus/types.ts';
import type { LinkQuality } from './network.ts';
import { GOOD_LINK } from './network.ts';
import type { Prng } from './prng.ts';

/** How a traitor misbehaves; a seed mixes several. */
export const TRICKS = [
  'equivocate-votes',
  'equivocate-proposals',
  'withhold',
  'stale-certificates',
  'wrong-roots',
  'forged-last-commit',
  'amnesia',
  'run-ahead',
] as const;

export type Trick = (typeof TRICKS)[number];

export interface Plan {
  readonly seed: number;
  /** By node: power in genesis; 0 is a node that is no validator yet. */
  readonly powers: readonly number[];
  readonly traitors: readonly number[];
  readonly tricks: readonly Trick[];
  readonly timeouts: Timeouts;
  readonly mempool: MempoolLimits;
  readonly minBlockIntervalMs: number;
  /** Slowest answers, in virtual ms. */
  readonly verifyMs: number;
  readonly diskMs: number;
  /** Virtual ms between two events of each kind, on average. */
  readonly faultEveryMs: number;
  readonly txEveryMs: number;
  /** A write fails or crashes with this probability while faults are on. */
  readonly writeFaults: number;
  /** A vote is the moment of a cut or crash with this probability. */
  readonly meddling: number;
  /** Power cuts leave any sectors, instead of a prefix of what was written. */
  readonly tornSectors: boolean;
  readonly setChanges: boolean;
  /** How links are when nothing ails them but distance. */
  readonly links: LinkQuality;
  /** Whoever accepts gossip passes it on; without, only who is told by the source learns of it at once. */
  readonly relays: boolean;
  readonly heights: number;
  readonly maxVirtualMs: number;
  /** More traitors than the rules bear: a fork is expected. */
  readonly control: boolean;
  /** Traitors leave no proof of two signatures at one place, so that they keep their power. */
  readonly cautious: boolean;
  /** Long stretches without load; at their end one node alone knows of a transaction. */
  readonly quiet: boolean;
  /** Older copies of whole data folders are put back. */
  readonly restores: boolean;
  /** A machine that keeps few blocks; null where all keep all. */
  readonly pruner: number | null;
}

export interface PlanOptions {
  readonly seed: number;
  readonly nodes: readonly number[];
  /** Virtual minutes after which a run that has not its heights is over. */
  readonly minutes: number;
  readonly control?: boolean;
}

const DEFAULT_TIMEOUTS: Timeouts = {
  proposeMs: 600,
  proposeDeltaMs: 250,
  voteMs: 300,
  voteDeltaMs: 250,
  capMs: 10_000,
};

export function makePlan({ seed, nodes, minutes, control = false }: PlanOptions, rng: Prng): Plan {
  const count = control ? 3 : (nodes[seed % nodes.length] ?? 4);
  const powers = Array.from({ length: count }, () => 1);
  if (count > 1 && !control && rng.chance(0.3)) for (const i of powers.keys()) powers[i] = 1 + rng.below(4);
  const traitors = control ? [0] : chooseTraitors(powers, rng);
  const setChanges = !control && rng.chance(0.5);
  if (setChanges) powers.push(0);
  const tricks = control ? (['equivocate-proposals', 'amnesia'] as const) : TRICKS.filter(() => rng.chance(0.5));
  const plan: Plan = {
    seed,
    powers,
    traitors,
    tricks: tricks.length === 0 ? [rng.pick(TRICKS)] : tricks,
    timeouts: rng.chance(0.5) ? DEFAULT_TIMEOUTS : shortTimeouts(rng),
    mempool: { ...DEFAULT_MEMPOOL_LIMITS, maxTxs: 500, maxPerSender: 32, maxRejected: 500 },
    minBlockIntervalMs: rng.pick([20, 200, 500, 1000]),
    verifyMs: rng.pick([0, 0, 3, 20]),
    diskMs: rng.pick([0, 1, 5, 50]),
    faultEveryMs: rng.between(1_500, 8_000),
    txEveryMs: rng.between(50, 800),
    writeFaults: rng.pick([0, 0.0005, 0.002, 0.005]),
    meddling: rng.pick([0, 0.01, 0.03, 0.08]),
    tornSectors: rng.chance(0.5),
    setChanges,
    links: rng.chance(0.4) ? roughLinks(rng) : GOOD_LINK,
    relays: control || rng.chance(0.5),
    heights: 50,
    maxVirtualMs: minutes * 60_000,
    control,
    cautious: false,
    quiet: false,
    restores: false,
    pruner: null,
  };
  const cautious = !control && rng.chance(0.5);
  // Whoever alone has the transaction proposes in one of the first rounds only where few take turns, all as often.
  const isFair = count > 1 && count <= 4 && powers.every((power) => power <= 1);
  const quiet = !control && isFair && rng.chance(0.4);
  // A restored node sits out; a change of the set meanwhile could leave no quorum without it.
  const restores = !control && rng.chance(0.8) && !setChanges;
  // What is gone from one machine must not be lost with the folder of another.
  const pruner = setChanges || restores ? null : choosePruner(plan);
  return { ...plan, cautious, quiet, restores, pruner, ...(quiet && { txEveryMs: rng.between(2_000, 6_000) }) };
}

/** One of the first three, in a third of the runs: never such that what it alone holds can be final and gone. */
function choosePruner({ seed, powers, traitors }: Plan): number | null {
  const pruner = Math.floor(seed / 3) % 3;
  if (seed % 3 !== 0 || powers.length < 3) return null;
  const power = (some: Iterable<number>): number => [...some].reduce((sum, i) => sum + (powers[i] ?? 0), 0);
  return 3 * power(new Set([...traitors, pruner])) <= 2 * power(powers.keys()) ? pruner : null;
}

/** Rounds that end before lost votes are said again: the hard case for locks. */
function shortTimeouts(rng: Prng): Timeouts {
  const proposeMs = rng.between(80, 300);
  return { proposeMs, proposeDeltaMs: 50, voteMs: proposeMs / 2, voteDeltaMs: 50, capMs: 10_000 };
}

/** Slow and lossy enough that rounds fail now and then. */
function roughLinks(rng: Prng): LinkQuality {
  return {
    drop: rng.pick([0, 0.05, 0.1, 0.2]),
    duplicate: rng.between(0, 0.1),
    minMs: 1,
    maxMs: rng.between(50, 700),
  };
}

/** Below a third of the power, always. */
function chooseTraitors(powers: readonly number[], rng: Prng): number[] {
  const total = powers.reduce((sum, power) => sum + power, 0);
  const traitors: number[] = [];
  let power = 0;
  if (rng.chance(0.3)) return [];
  for (const i of rng.shuffled([...powers.keys()])) {
    power += powers[i] ?? 0;
    if (3 * power >= total) break;
    traitors.push(i);
  }
  return traitors;
}
