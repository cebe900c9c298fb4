/**
 * The votes of one height, each validator counted once a block id. Memory is bounded whatever a validator sends: one
 * window of rounds around the current one, a few pinned rounds, and one far-future vote a (validator, type).
 */
import { bytesKey } from '../bytes.ts';
import type { Hash } from '../bytes.ts';
import { duplicateVote } from '../chain/evidence.ts';
import type { Evidence } from '../chain/evidence.ts';
import { exceedsOneThird, hasQuorum, validatorIndex } from '../chain/validator-set.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { sameBlockId } from '../chain/votes.ts';
import type { Vote, VoteType } from '../chain/votes.ts';

/** Rounds behind the current one whose votes are kept; older ones only when pinned. */
export const PAST_ROUNDS = 32;
/** Rounds ahead of the current one whose votes are kept whole. */
export const FUTURE_ROUNDS = 8;
/** Votes of one slot kept besides the first. Two ids at most can hold more than a third each. */
const MAX_LATER_VOTES = 2;

/** What one validator voted in one (round, type). */
interface Slot {
  readonly first: Vote;
  readonly later: Vote[];
  reported: boolean;
}

interface Count {
  readonly blockId: Hash | null;
  /** Power of the validators whose first vote this is. */
  firstPower: number;
  /** Power of all validators seen voting for it. */
  power: number;
}

const NIL = '';

/** Votes of one type in one round. */
export class Tally {
  readonly #set: ValidatorSet;
  readonly #slots = new Map<number, Slot>();
  readonly #counts = new Map<string, Count>();
  #power = 0;
  #quorumId: Hash | null = null;

  constructor(set: ValidatorSet) {
    this.#set = set;
  }

  /** Power of the distinct validators that voted, whatever for. */
  get power(): number {
    return this.#power;
  }

  get hasAnyQuorum(): boolean {
    return hasQuorum(this.#set, this.#power);
  }

  get hasNilQuorum(): boolean {
    return hasQuorum(this.#set, this.#counts.get(NIL)?.power ?? 0);
  }

  /** The block id with a quorum; the first to reach it, should a third or more be traitors and make two. */
  get quorumId(): Hash | null {
    return this.#quorumId;
  }

  hasQuorumFor(blockId: Hash): boolean {
    return hasQuorum(this.#set, this.#counts.get(bytesKey(blockId))?.power ?? 0);
  }

  /**
   * The first vote of a validator counts. A contradicting one proves a fault and counts, for its own id, only where it
   * can complete a quorum: when the id is certified or first votes above a third support it. Without this a traitor
   * shows a polka to one half and keeps it from the other for good; with less a traitor could fill memory.
   */
  add(index: number, vote: Vote, certified: boolean): Evidence | null {
    const slot = this.#slots.get(index);
    const power = this.#set.validators[index]?.power ?? 0;
    const count = this.#count(vote.blockId);
    if (slot === undefined) {
      this.#slots.set(index, { first: vote, later: [], reported: false });
      this.#power += power;
      count.firstPower += power;
      this.#raise(count, power);
      return null;
    }
    if (holds(slot, vote.blockId)) return null;
    const matters = vote.blockId !== null && (certified || exceedsOneThird(this.#set, count.firstPower));
    if (matters && slot.later.length < MAX_LATER_VOTES) {
      slot.later.push(vote);
      this.#raise(count, power);
    }
    if (slot.reported) return null;
    slot.reported = true;
    return duplicateVote(slot.first, vote);
  }

  has(index: number, blockId: Hash | null): boolean {
    const slot = this.#slots.get(index);
    return slot !== undefined && holds(slot, blockId);
  }

  /** By validator index; contradicting votes that count follow the first. */
  votes(): Vote[] {
    return [...this.#slots].sort(([a], [b]) => a - b).flatMap(([, slot]) => [slot.first, ...slot.later]);
  }

  votesFor(blockId: Hash | null): Vote[] {
    return this.votes().filter((vote) => sameBlockId(vote.blockId, blockId));
  }

  /** A fresh count enters the map only with its first supporter, so ids that never count cost nothing. */
  #count(blockId: Hash | null): Count {
    return this.#counts.get(countKey(blockId)) ?? { blockId, firstPower: 0, power: 0 };
  }

  #raise(count: Count, power: number): void {
    count.power += power;
    this.#counts.set(countKey(count.blockId), count);
    if (this.#quorumId === null && count.blockId !== null && hasQuorum(this.#set, count.power)) {
      this.#quorumId = count.blockId;
    }
  }
}

function countKey(blockId: Hash | null): string {
  return blockId === null ? NIL : bytesKey(blockId);
}

function holds(slot: Slot, blockId: Hash | null): boolean {
  return sameBlockId(slot.first.blockId, blockId) || slot.later.some((vote) => sameBlockId(vote.blockId, blockId));
}

/** A block id with a quorum of one vote type in one round. */
export interface QuorumAt {
  readonly round: number;
  readonly blockId: Hash;
}

type RoundVotes = Readonly<Record<VoteType, Tally>>;

/** Mutable; owned by one machine state. Votes come in with their signature verified. */
export class VoteKeeper {
  readonly #set: ValidatorSet;
  readonly #rounds = new Map<number, RoundVotes>();
  /** By validator index: the vote of the highest round beyond the window. */
  readonly #far: Readonly<Record<VoteType, Map<number, Vote>>> = { prevote: new Map(), precommit: new Map() };
  /** By validator index: the highest round any of its votes was seen in, −1 for none. */
  readonly #tops: number[];
  #pinned: ReadonlySet<number> = new Set();
  #round = 0;

  constructor(set: ValidatorSet) {
    this.#set = set;
    this.#tops = set.validators.map(() => -1);
  }

  /**
   * @param certified the vote is part of a certificate with quorum: it counts even against an earlier vote of its signer
   * @returns proof of equivocation, once a (validator, round, type) inside the window
   */
  add(vote: Vote, certified = false): Evidence | null {
    const index = validatorIndex(this.#set, vote.validator);
    if (index < 0) return null;
    this.#tops[index] = Math.max(this.#tops[index] ?? -1, vote.round);
    if (this.#keeps(vote.round) || (certified && vote.type === 'precommit' && vote.round <= this.#round)) {
      return this.#roundVotes(vote.round)[vote.type].add(index, vote, certified);
    }
    const far = this.#far[vote.type];
    if (vote.round > this.#round && vote.round > (far.get(index)?.round ?? -1)) far.set(index, vote);
    return null;
  }

  /** Moves the window: forgets rounds behind it that are not pinned, takes in far votes that it now covers. */
  advance(round: number, pinned: ReadonlySet<number>): void {
    this.#round = round;
    this.#pinned = pinned;
    for (const kept of [...this.#rounds.keys()]) {
      if (!this.#keeps(kept)) this.#rounds.delete(kept);
    }
    for (const far of [this.#far.prevote, this.#far.precommit]) {
      for (const [index, vote] of [...far]) {
        if (vote.round > round + FUTURE_ROUNDS) continue;
        far.delete(index);
        if (this.#keeps(vote.round)) this.#roundVotes(vote.round)[vote.type].add(index, vote, false);
      }
    }
  }

  /** Changes what is kept behind the window, without forgetting anything now. */
  pin(pinned: ReadonlySet<number>): void {
    this.#pinned = pinned;
  }

  tally(type: VoteType, round: number): Tally | undefined {
    return this.#rounds.get(round)?.[type];
  }

  has(vote: Pick<Vote, 'type' | 'round' | 'validator' | 'blockId'>): boolean {
    const index = validatorIndex(this.#set, vote.validator);
    if (this.tally(vote.type, vote.round)?.has(index, vote.blockId) === true) return true;
    const far = this.#far[vote.type].get(index);
    return far !== undefined && far.round === vote.round && sameBlockId(far.blockId, vote.blockId);
  }

  hasPolka(round: number, blockId: Hash): boolean {
    return this.tally('prevote', round)?.hasQuorumFor(blockId) ?? false;
  }

  /** Every round known to have a quorum for a block id, ascending. */
  quorums(type: VoteType): QuorumAt[] {
    const found: QuorumAt[] = [];
    for (const [round, votes] of this.#rounds) {
      const blockId = votes[type].quorumId;
      if (blockId !== null) found.push({ round, blockId });
    }
    return found.sort((a, b) => a.round - b.round);
  }

  /**
   * The highest round above the current one that validators with more than a third of the power have reached (L55). They
   * may have voted in different rounds at or above it: one correct validator among them was there.
   */
  skipTarget(): number | null {
    const ahead = this.#tops
      .map((round, index) => ({ round, power: this.#set.validators[index]?.power ?? 0 }))
      .filter(({ round }) => round > this.#round)
      .sort((a, b) => b.round - a.round);
    let power = 0;
    for (const entry of ahead) {
      power += entry.power;
      if (exceedsOneThird(this.#set, power)) return entry.round;
    }
    return null;
  }

  /** The votes of each validator in its highest round, of those that reached `round`; empty unless above a third. */
  votesAtOrAbove(round: number): Vote[] {
    const reached = this.#tops.map((top, index) => ({ top, index })).filter(({ top }) => top >= round);
    const power = reached.reduce((sum, { index }) => sum + (this.#set.validators[index]?.power ?? 0), 0);
    if (!exceedsOneThird(this.#set, power)) return [];
    const keys = new Map(reached.map(({ top, index }) => [index, top]));
    return this.all().filter((vote) => keys.get(validatorIndex(this.#set, vote.validator)) === vote.round);
  }

  /** Every vote kept: highest round first, precommits before prevotes, then by validator index. */
  all(): Vote[] {
    const votes = [...this.#rounds.values()].flatMap(({ prevote, precommit }) => [
      ...precommit.votes(),
      ...prevote.votes(),
    ]);
    const far = [this.#far.precommit, this.#far.prevote].flatMap((map) =>
      [...map].sort(([a], [b]) => a - b).map(([, vote]) => vote),
    );
    return [...far, ...votes].sort((a, b) => b.round - a.round);
  }

  #keeps(round: number): boolean {
    if (round > this.#round) return round <= this.#round + FUTURE_ROUNDS;
    return round >= this.#round - PAST_ROUNDS || this.#pinned.has(round);
  }

  #roundVotes(round: number): RoundVotes {
    let votes = this.#rounds.get(round);
    if (votes === undefined) {
      votes = { prevote: new Tally(this.#set), precommit: new Tally(this.#set) };
      this.#rounds.set(round, votes);
    }
    return votes;
  }
}
