/**
 * Who let its turns as proposer pass. An absent proposer costs the others a timeout at each of its turns, so for a while
 * others go before it. All that is remembered lies in the state and comes from committed blocks alone: nodes may commit one
 * block by certificates of different rounds, so what a node saw itself must not count.
 */
import type { PublicKey } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { StateAccess, StateReader } from '../state.ts';
import type { ValidatorSet } from '../validator-set.ts';
import { exceedsOneThird, MAX_VALIDATORS, proposerOf } from '../validator-set.ts';
import type { Certificate } from '../votes.ts';
import { votesOfCertificate } from '../votes.ts';
import type { BlockContext } from './types.ts';
import type { ValidatorSets } from './validators-state.ts';
import { ABSENCES_KEY } from './validators-state.ts';

export const MAX_MISSES = 6;
/** Longest demotion by one miss, so that nobody's word keeps a validator from proposing for good. */
export const MAX_DEMOTION_HEIGHTS = 64;

/** Kept while `misses` is above zero. */
export interface Absence {
  readonly publicKey: PublicKey;
  /** One more for each height it let pass, one less for each block it made; at most MAX_MISSES. */
  readonly misses: number;
  /** Last height at which it is demoted; may lie in the past. */
  readonly untilHeight: number;
  /** Certificates with its precommit since it was demoted; at 2^misses it proposes in its turn again. */
  readonly present: number;
}

export function isDemotedAt({ untilHeight }: Absence, height: number): boolean {
  return untilHeight >= height;
}

/** What is remembered after a block, for the validators of the next height; `sets` are those before the block. */
export function nextAbsences(
  absences: readonly Absence[],
  { last, proposer: lastProposer, next }: ValidatorSets,
  { height, proposer, lastCommit }: Pick<BlockContext, 'height' | 'proposer' | 'lastCommit'>,
): Absence[] {
  const known = new Map(absences.map((absence) => [bytesKey(absence.publicKey), absence]));
  const missed = new Set<string>();
  const signed = new Set<string>();
  if (last !== null && lastProposer !== null && lastCommit !== null) {
    for (const publicKey of missedTurns(last, lastProposer, lastCommit.round)) missed.add(bytesKey(publicKey));
    if (known.size > 0) for (const publicKey of signersOf(last, lastCommit)) signed.add(bytesKey(publicKey));
  }
  return next.validators.flatMap(({ publicKey }) => {
    const key = bytesKey(publicKey);
    let absence = known.get(key) ?? { publicKey, misses: 0, untilHeight: 0, present: 0 };
    if (signed.has(key)) absence = afterVote(absence, height);
    if (missed.has(key)) absence = afterMiss(absence, height - 1, last?.validators.length ?? 0);
    if (proposer !== null && equalBytes(publicKey, proposer)) absence = afterBlock(absence);
    return absence.misses > 0 ? [absence] : [];
  });
}

/**
 * Proposers of the rounds of a height that failed before its block was committed, other than those who were there for
 * sure: who made the block, and who proposed in the round that committed. Never more than a third of the power, in the
 * order of rounds: beyond that the network failed, not they.
 */
export function missedTurns(set: ValidatorSet, blockProposer: PublicKey, round: number): PublicKey[] {
  const missed: PublicKey[] = [];
  if (round === 0) return missed;
  const turns = set.validators.length;
  // Beyond the first turns the proposer is not looked up: what a certificate costs must not grow with its round.
  const present = round < turns ? [blockProposer, proposerOf(set, round).publicKey] : [blockProposer];
  let missedPower = 0;
  for (let failed = 0; failed < Math.min(round, turns); failed++) {
    const { publicKey, power } = proposerOf(set, failed);
    if ([...present, ...missed].some((key) => equalBytes(key, publicKey))) continue;
    missedPower += power;
    if (exceedsOneThird(set, missedPower)) break;
    missed.push(publicKey);
  }
  return missed;
}

function signersOf(set: ValidatorSet, certificate: Certificate): PublicKey[] {
  return votesOfCertificate(set, certificate).map(({ validator }) => validator);
}

/** `size`: validators of the height, so that the first demotion lasts for two turns of the rotation. */
function afterMiss({ publicKey, misses: before }: Absence, height: number, size: number): Absence {
  const misses = Math.min(before + 1, MAX_MISSES);
  const heights = Math.min(2 ** misses * size, MAX_DEMOTION_HEIGHTS);
  return { publicKey, misses, untilHeight: height + heights, present: 0 };
}

function afterVote(absence: Absence, height: number): Absence {
  if (!isDemotedAt(absence, height + 1)) return absence;
  const present = absence.present + 1;
  return present < 2 ** absence.misses ? { ...absence, present } : { ...absence, untilHeight: 0, present: 0 };
}

function afterBlock({ publicKey, misses }: Absence): Absence {
  return { publicKey, misses: Math.max(0, misses - 1), untilHeight: 0, present: 0 };
}

// In the state: one entry for all, none without absences

export function getAbsences(state: StateReader): readonly Absence[] {
  const bytes = state.get(ABSENCES_KEY);
  if (!bytes) return [];
  const reader = new Reader(bytes, 'absences');
  const absences = Array.from({ length: reader.count16(MAX_VALIDATORS, 42) }, () => ({
    publicKey: reader.fixed(32),
    misses: reader.u8(),
    untilHeight: reader.u64(),
    present: reader.u8(),
  }));
  reader.end();
  return absences;
}

/** Leaves the state alone when nothing changed. */
export function setAbsences(state: StateAccess, absences: readonly Absence[]): void {
  const before = state.get(ABSENCES_KEY);
  if (absences.length === 0) {
    if (before) state.set(ABSENCES_KEY, undefined);
    return;
  }
  const writer = new Writer(2 + absences.length * 42).u16(absences.length);
  for (const { publicKey, misses, untilHeight, present } of absences) {
    writer.fixed(publicKey, 32).u8(misses).u64(untilHeight).u8(present);
  }
  const bytes = writer.finish();
  if (!before || !equalBytes(before, bytes)) state.set(ABSENCES_KEY, bytes);
}
