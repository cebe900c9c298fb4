/**
 * Which miners are asked first, pure: the same seed, offers and records give the same order, and each score says what it is
 * made of. A few turns in a hundred go to chance, so that miners nobody knows come to be known.
 */
import type { MinerRecord } from './miner-record.ts';
import { isDistrusted, reliability } from './miner-record.ts';

export interface Candidate {
  /** What the job costs there at most, by its offer. */
  readonly costUait: number;
  /** By its own word. */
  readonly bytesPerSecond: number;
  /** The model is loaded. */
  readonly isWarm: boolean;
  /** It has a free slot, by its last word. */
  readonly isFree: boolean;
  readonly record: MinerRecord;
  /** null: not known yet. */
  readonly stakedUait: number | null;
  /** An agreement with it stands idle: nothing has to be opened. */
  readonly hasAgreement: boolean;
  /** An attempt at this job came to nothing there. */
  readonly isAvoided: boolean;
}

export interface Ranked<C extends Candidate = Candidate> {
  readonly candidate: C;
  /** Among those given. */
  readonly index: number;
  readonly score: number;
  readonly isExplored: boolean;
}

/** Part of a score: its points, and what is said of them. */
interface Factor {
  readonly points: (candidate: Candidate, maxUait: number) => number;
  readonly reason: (candidate: Candidate, maxUait: number) => string;
}

const LAST = { avoided: -20, distrusted: -40 } as const;
const EXPLORATION = 0.05;
const MORE_THAN_ANY_SCORE = 15;
/** Bytes a second and stake that count for half of the most they can. */
const HALF_SPEED = 500;
const HALF_STAKE_UAIT = 10_000_000_000;

const FACTORS: readonly Factor[] = [
  {
    points: ({ costUait }, maxUait) => 3 * cheapness(costUait, maxUait),
    reason: ({ costUait }, maxUait) => `at most ${costUait} uait, of ${maxUait}`,
  },
  {
    points: ({ record }) => 3 * reliability(record),
    reason: ({ record }) => `record ${round(record.successes)} done, ${round(record.losses)} lost`,
  },
  {
    points: ({ record, bytesPerSecond }) => 1.5 * half(record.bytesPerSecond || bytesPerSecond / 2, HALF_SPEED),
    reason: ({ record, bytesPerSecond }) =>
      record.bytesPerSecond > 0
        ? `${Math.round(record.bytesPerSecond)} bytes/s measured`
        : `${Math.round(bytesPerSecond / 2)} bytes/s by its own word, counted half`,
  },
  {
    points: ({ stakedUait }) => (stakedUait === null ? 0 : 0.5 * half(stakedUait, HALF_STAKE_UAIT)),
    reason: ({ stakedUait }) => `stake ${stakedUait} uait`,
  },
  { points: ({ hasAgreement }) => (hasAgreement ? 1 : 0), reason: () => 'an agreement with it is open' },
  { points: ({ isWarm }) => (isWarm ? 0.5 : 0), reason: () => 'loaded' },
  { points: ({ isFree }) => (isFree ? 0 : -1), reason: () => 'no free slot by its last word' },
  {
    points: ({ isAvoided }) => (isAvoided ? LAST.avoided : 0),
    reason: () => 'an attempt at this job came to nothing there',
  },
  {
    points: ({ record }) => (isDistrusted(record) ? LAST.distrusted : 0),
    reason: ({ record }) => `contradicted itself, ${round(record.faults)} times`,
  },
];

/**
 * @param maxUait what is left of the job's maximum price
 * @param next numbers from 0 to 1, from the seed
 */
export function rank<C extends Candidate>(candidates: readonly C[], maxUait: number, next: () => number): Ranked<C>[] {
  const explored = next() < EXPLORATION ? Math.floor(next() * candidates.length) : -1;
  return candidates
    .map((candidate, index) => {
      const isExplored = index === explored && !candidate.isAvoided && !isDistrusted(candidate.record);
      let score = next() * 0.05 + (isExplored ? MORE_THAN_ANY_SCORE : 0);
      for (const { points } of FACTORS) score += points(candidate, maxUait);
      return { candidate, index, score, isExplored };
    })
    .sort((a, b) => b.score - a.score);
}

/** What a score is made of, a line each. Made when it is asked for: few scores are ever read. */
export function reasonsOf({ candidate, isExplored }: Ranked, maxUait: number): string[] {
  const lines = FACTORS.flatMap(({ points, reason }) => {
    const worth = points(candidate, maxUait);
    return worth === 0 ? [] : [`${signed(worth)} ${reason(candidate, maxUait)}`];
  });
  return isExplored ? [...lines, `${signed(MORE_THAN_ANY_SCORE)} chosen by chance, to come to know it`] : lines;
}

function signed(points: number): string {
  return `${points < 0 ? '' : '+'}${points.toFixed(2)}`;
}

/** 1 for nothing, 0 for all that there is, below 0 beyond it. */
function cheapness(costUait: number, maxUait: number): number {
  return maxUait === 0 ? (costUait === 0 ? 1 : -1) : Math.max(-1, 1 - costUait / maxUait);
}

function half(value: number, at: number): number {
  return value / (value + at);
}

function round(weight: number): string {
  return weight.toFixed(1);
}

/** Numbers from 0 to 1 that follow from a seed: mulberry32. */
export function seededRandom(seed: Uint8Array): () => number {
  let state = 0;
  for (let i = 0; i < 4; i++) state = (state << 8) | (seed[i] ?? 0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
