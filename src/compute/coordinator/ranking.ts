/**
 * Which miners are asked first, pure: the same seed, offers and records give the same order, and each score says what it is
 * made of. A few turns in a hundred go to chance, so that miners nobody knows come to be known.
 */
import type { Offer, OfferedModel } from '../../chain/market/offer.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { MinerRecord } from './miner-record.ts';
import { isDistrusted, reliability } from './miner-record.ts';

export interface Candidate {
  readonly offer: Offer;
  readonly model: OfferedModel;
  readonly record: MinerRecord;
  /** null: not known yet. */
  readonly stakedUait: number | null;
  /** An agreement with it stands idle: nothing has to be opened. */
  readonly hasAgreement: boolean;
  /** An attempt at this job came to nothing there. */
  readonly isAvoided: boolean;
}

export interface RankedJob {
  readonly inputBytes: number;
  readonly maxOutputBytes: number;
  /** What is left of the job's maximum price. */
  readonly maxUait: number;
}

export interface Ranked {
  readonly candidate: Candidate;
  readonly score: number;
  /** What the score is made of, a line each. */
  readonly why: () => readonly string[];
}

const WEIGHT = { price: 3, record: 3, speed: 1.5, stake: 0.5, agreement: 1, warm: 0.5, free: 1 } as const;
const LAST = { avoided: -20, distrusted: -40 } as const;
const EXPLORATION = 0.05;
const MORE_THAN_ANY_SCORE = 15;
/** Bytes a second and stake that count for half of the most they can. */
const HALF_SPEED = 500;
const HALF_STAKE_UAIT = 10_000_000_000;

/** @param next numbers from 0 to 1, from the seed */
export function rank(candidates: readonly Candidate[], job: RankedJob, next: () => number): Ranked[] {
  const explored = next() < EXPLORATION ? Math.floor(next() * candidates.length) : -1;
  return candidates
    .map((candidate, i) => scored(candidate, job, i === explored, next()))
    .sort((a, b) => b.score - a.score);
}

/** Words are made when they are asked for: few scores are ever read. */
function scored(candidate: Candidate, job: RankedJob, isExplored: boolean, tie: number): Ranked {
  let score = tie * 0.05;
  weigh(candidate, job, isExplored, (points) => {
    score += points;
  });
  const why = (): string[] => {
    const lines: string[] = [];
    weigh(candidate, job, isExplored, (points, reason) => {
      lines.push(`${points < 0 ? '' : '+'}${points.toFixed(2)} ${reason()}`);
    });
    return lines;
  };
  return { candidate, score, why };
}

function weigh(
  { offer, model, record, stakedUait, hasAgreement, isAvoided }: Candidate,
  job: RankedJob,
  isExplored: boolean,
  add: (points: number, reason: () => string) => void,
): void {
  const costUait = dueUait(model.price, job.inputBytes, job.maxOutputBytes);
  const isMeasured = record.bytesPerSecond > 0;
  const bytesPerSecond = isMeasured ? record.bytesPerSecond : model.bytesPerSecond / 2;
  add(WEIGHT.price * cheapness(costUait, job.maxUait), () => `at most ${costUait} uait, of ${job.maxUait}`);
  add(
    WEIGHT.record * reliability(record),
    () => `record ${round(record.successes)} done, ${round(record.losses)} lost`,
  );
  add(
    WEIGHT.speed * half(bytesPerSecond, HALF_SPEED),
    () => `${Math.round(bytesPerSecond)} bytes/s ${isMeasured ? 'measured' : 'by its own word, counted half'}`,
  );
  if (stakedUait !== null) add(WEIGHT.stake * half(stakedUait, HALF_STAKE_UAIT), () => `stake ${stakedUait} uait`);
  if (hasAgreement) add(WEIGHT.agreement, () => 'an agreement with it is open');
  if (model.warm) add(WEIGHT.warm, () => 'loaded');
  if (offer.free === 0) add(-WEIGHT.free, () => 'no free slot by its last word');
  if (isAvoided) add(LAST.avoided, () => 'an attempt at this job came to nothing there');
  if (isDistrusted(record)) add(LAST.distrusted, () => `contradicted itself, ${round(record.faults)} times`);
  else if (isExplored && !isAvoided) add(MORE_THAN_ANY_SCORE, () => 'chosen by chance, to come to know it');
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
