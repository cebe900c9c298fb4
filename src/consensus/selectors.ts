/** What the engine reads of a state: to rebroadcast, to answer requests, to write the guard. All of it is copied out. */
import { sameBlockId, certificateFromVotes } from '../chain/votes.ts';
import type { Certificate, Proposal, Vote } from '../chain/votes.ts';
import type { MachineState } from './machine.ts';
import type { SignStep } from './state.ts';
import { isOwn, slotAt } from './state.ts';

/** The highest (round, step) this key is known to have signed or was asked to sign; no effect asks at or below it. */
export function signingFloor(state: MachineState): { round: number; step: SignStep } | null {
  return state.floorSlot < 0 ? null : slotAt(state.floorSlot);
}

/** Proof that a quorum prevoted the valid value in its round; null without one. Goes with a re-proposal and into the guard. */
export function polkaCertificate(state: MachineState): Certificate | null {
  const { validId, validRound } = state;
  if (validId === null || !state.votes.hasPolka(validRound, validId)) return null;
  return certificateFromVotes(state.validators, state.votes.tally('prevote', validRound)?.votesFor(validId) ?? []);
}

/**
 * Votes that bring any node of this height into the current round: a quorum of precommits of the round before, or votes
 * of more than a third at or above this round. Empty in round 0.
 */
export function justification(state: MachineState): Vote[] {
  if (state.round === 0) return [];
  const before = state.votes.tally('precommit', state.round - 1);
  return before?.hasAnyQuorum === true ? before.votes() : state.votes.votesAtOrAbove(state.round);
}

/** Votes known by this node's own key, the latest first. */
export function ownVotes(state: MachineState): Vote[] {
  return state.votes.all().filter((vote) => isOwn(state, vote.validator));
}

/**
 * Votes for a peer that stands in `round`: those that can decide (precommits for a block), the polka of the valid value,
 * then all of rounds >= `round`, the latest first.
 */
export function votesFrom(state: MachineState, round: number, limit: number): Vote[] {
  const rank = (vote: Vote): number => {
    if (vote.type === 'precommit' && vote.blockId !== null) return 0;
    const isPolka =
      vote.round === state.validRound && state.validId !== null && sameBlockId(vote.blockId, state.validId);
    if (isPolka) return 1;
    return vote.round >= round ? 2 : 3;
  };
  return state.votes
    .all()
    .map((vote) => ({ vote, rank: rank(vote) }))
    .filter((entry) => entry.rank < 3)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, limit)
    .map(({ vote }) => vote);
}

/** The vote is known already, so that its signature need not be verified again. */
export function hasVote(state: MachineState, vote: Pick<Vote, 'type' | 'round' | 'validator' | 'blockId'>): boolean {
  return state.votes.has(vote);
}

/** The first proposal of each round inside the window, ascending. */
export function proposals(state: MachineState): Proposal[] {
  return [...state.proposals.values()].sort((a, b) => a.round - b.round);
}
