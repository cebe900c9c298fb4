/** The rules of Algorithm 1 (arXiv 1807.04938) that fire on what is known; L-numbers are its lines. */
import { equalBytes } from '../bytes.ts';
import type { Hash } from '../bytes.ts';
import { certificateFromVotes } from '../chain/votes.ts';
import type { Proposal } from '../chain/votes.ts';
import { arm, startRound } from './rounds.ts';
import type { Machine } from './state.ts';
import { candidateOf, castVote, isOwnTurn, setValid, slotOf, takeSlot, verdictOf } from './state.ts';
import type { Effect } from './types.ts';

type Rule = (state: Machine, effects: Effect[]) => boolean;

/** In order of precedence. Each returns true when it moved the machine, so that all are tried again. */
const RULES: readonly Rule[] = [
  commitDecided,
  skipRound,
  adoptEarlierPolka,
  propose,
  prevoteProposal,
  applyPolka,
  applyNilPolka,
  leaveNilRound,
];

/** Applies rules until none fires. It ends: each firing raises the round, the step, or a mark set once a round. */
export function settle(state: Machine, effects: Effect[]): void {
  let moved = true;
  while (moved && state.step !== 'idle' && state.step !== 'committed') {
    moved = RULES.some((rule) => rule(state, effects));
  }
  if (state.step !== 'idle' && state.step !== 'committed') armVoteTimers(state, effects);
}

/** L49–L54: a quorum of precommits for a block in any round commits it once its body is here and valid. */
function commitDecided(state: Machine, effects: Effect[]): boolean {
  for (const { round, blockId } of state.votes.quorums('precommit')) {
    const candidate = candidateOf(state, effects, blockId);
    if (candidate.verdict?.valid === true) {
      const precommits = state.votes.tally('precommit', round)?.votesFor(blockId) ?? [];
      state.step = 'committed';
      state.decision = { round, blockId };
      effects.push({ type: 'commit', blockId, certificate: certificateFromVotes(state.validators, precommits) });
      return true;
    }
    if (!candidate.awaited) {
      candidate.awaited = true;
      effects.push({ type: 'await-body', blockId });
    }
  }
  return false;
}

/** L55–L56: more than a third of the power, by distinct validators, is in a later round. */
function skipRound(state: Machine, effects: Effect[]): boolean {
  const target = state.votes.skipTarget();
  if (target === null) return false;
  startRound(state, effects, target);
  return true;
}

/**
 * L42–L43 for a polka of an earlier round that completed, or whose body came, after that round was left. The valid
 * value only steers what this node proposes; it never locks or unlocks, so safety is the paper's.
 */
function adoptEarlierPolka(state: Machine, effects: Effect[]): boolean {
  let adopted = false;
  for (const { round, blockId } of state.votes.quorums('prevote')) {
    if (round >= state.round || round <= state.validRound) continue;
    if (verdictOf(state, effects, blockId)?.valid !== true) continue;
    setValid(state, round, blockId);
    adopted = true;
  }
  return adopted;
}

/** L14–L19: the proposer repeats its valid value with the polka's round, else asks for a fresh one. */
function propose(state: Machine, effects: Effect[]): boolean {
  if (state.step !== 'propose' || !isOwnTurn(state) || slotOf(state.round, 'propose') <= state.floorSlot) return false;
  const { validId, validRound, round } = state;
  if (validId === null) {
    if (!state.buildAsked) effects.push({ type: 'build', round });
    state.buildAsked = true;
    return false;
  }
  // Without the polka nobody could accept it, without the body nobody could get it.
  if (verdictOf(state, effects, validId)?.valid !== true || !state.votes.hasPolka(validRound, validId)) return false;
  takeSlot(state, 'propose');
  effects.push({ type: 'propose', round, polRound: validRound, blockId: validId });
  return true;
}

/** L22–L27 and L28–L33. Until validity is known the prevote waits, at most for the propose timeout. */
function prevoteProposal(state: Machine, effects: Effect[]): boolean {
  const proposal = state.step === 'propose' ? state.proposals.get(state.round) : undefined;
  if (proposal === undefined) return false;
  const verdict = verdictOf(state, effects, proposal.blockId);
  const fresh = proposal.polRound === -1;
  if (!fresh && !state.votes.hasPolka(proposal.polRound, proposal.blockId)) return false;
  const lockAllows = isAllowedByLock(state, proposal);
  if (lockAllows && verdict === null) return false;
  // Timeliness counts for a fresh value only: later its polka proves that a quorum judged it in time.
  const acceptable = verdict?.valid === true && (verdict.timely || !fresh);
  castVote(state, effects, 'prevote', lockAllows && acceptable ? proposal.blockId : null);
  return true;
}

/** Round 0 is a lock like any other; −1 alone means none. */
function isAllowedByLock(state: Machine, { polRound, blockId }: Proposal): boolean {
  if (sameId(state.lockedId, blockId)) return true;
  return polRound === -1 ? state.lockedRound === -1 : state.lockedRound <= polRound;
}

/** L36–L43: a polka in the current round, once. The body may come without a proposal: the polka names it. */
function applyPolka(state: Machine, effects: Effect[]): boolean {
  if (state.polkaApplied) return false;
  const blockId = state.votes.tally('prevote', state.round)?.quorumId ?? null;
  if (blockId === null) return false;
  const verdict = verdictOf(state, effects, blockId);
  if (state.step === 'propose' || verdict?.valid !== true) return false;
  state.polkaApplied = true;
  if (state.round > state.validRound) setValid(state, state.round, blockId);
  if (state.step === 'prevote') {
    lock(state, blockId);
    castVote(state, effects, 'precommit', blockId);
  }
  return true;
}

/** Never backwards: a lock of a later round comes from a vote that this node's folder forgot. */
function lock(state: Machine, blockId: Hash): void {
  if (state.lockedRound > state.round) return;
  state.lockedRound = state.round;
  state.lockedId = blockId;
}

/** L44–L46. */
function applyNilPolka(state: Machine, effects: Effect[]): boolean {
  if (state.step !== 'prevote' || state.votes.tally('prevote', state.round)?.hasNilQuorum !== true) return false;
  castVote(state, effects, 'precommit', null);
  return true;
}

/** A quorum of precommits for nil: no block can get one here any more, so the precommit timeout would be idle time. */
function leaveNilRound(state: Machine, effects: Effect[]): boolean {
  if (state.votes.tally('precommit', state.round)?.hasNilQuorum !== true) return false;
  startRound(state, effects, state.round + 1);
  return true;
}

/** L34–L35 and L47–L48, by distinct validators, whatever they voted for. */
function armVoteTimers(state: Machine, effects: Effect[]): void {
  if (state.step === 'prevote' && state.votes.tally('prevote', state.round)?.hasAnyQuorum === true) {
    arm(state, effects, 'prevote');
  }
  if (state.votes.tally('precommit', state.round)?.hasAnyQuorum === true) arm(state, effects, 'precommit');
}

function sameId(a: Hash | null, b: Hash): boolean {
  return a !== null && equalBytes(a, b);
}
