/** The state of one height and the small operations that all rules share. */
import { bytesKey, equalBytes } from '../bytes.ts';
import type { Hash, PublicKey } from '../bytes.ts';
import { proposerOf, validatorIndex } from '../chain/validator-set.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Proposal, VoteType } from '../chain/votes.ts';
import type { Effect, HeightStart, Step, TimeoutKind, Timeouts } from './types.ts';
import { FUTURE_ROUNDS, PAST_ROUNDS, VoteKeeper } from './votes.ts';

/** What a signature is for, in the order of one round. */
export type SignStep = 'propose' | 'prevote' | 'precommit';

export interface Verdict {
  readonly valid: boolean;
  readonly timely: boolean;
}

/** A block id the engine was asked to validate. */
interface Candidate {
  readonly blockId: Hash;
  verdict: Verdict | null;
  awaited: boolean;
}

/** The mutable form, for the files of this folder. Names with the paper's: lockedId is the id of lockedValue, and so on. */
export interface Machine {
  readonly height: number;
  readonly validators: ValidatorSet;
  /** Null: follows without signing. */
  readonly self: PublicKey | null;
  readonly timeouts: Timeouts;

  round: number;
  step: Step;
  lockedRound: number;
  lockedId: Hash | null;
  validRound: number;
  validId: Hash | null;
  /** What was committed, once `step` is `committed`. */
  decision: { readonly round: number; readonly blockId: Hash } | null;

  /** Highest slot (see `slotOf`) that this key is known to have signed or was asked to sign; −1 for none. */
  floorSlot: number;
  readonly votes: VoteKeeper;
  /** The first proposal of each round inside the window. */
  readonly proposals: Map<number, Proposal>;
  /** Rounds whose proposer was convicted of a second proposal. */
  readonly convictedRounds: Set<number>;
  readonly candidates: Map<string, Candidate>;

  // Of the current round
  armed: Set<TimeoutKind>;
  buildAsked: boolean;
  /** L36 applied. */
  polkaApplied: boolean;
}

export function createMachine(start: HeightStart): Machine {
  const self = start.self !== null && validatorIndex(start.validators, start.self) >= 0 ? start.self : null;
  return {
    height: start.height,
    validators: start.validators,
    self,
    timeouts: start.timeouts,
    round: 0,
    step: 'idle',
    lockedRound: -1,
    lockedId: null,
    validRound: -1,
    validId: null,
    decision: null,
    floorSlot: -1,
    votes: new VoteKeeper(start.validators),
    proposals: new Map(),
    convictedRounds: new Set(),
    candidates: new Map(),
    armed: new Set(),
    buildAsked: false,
    polkaApplied: false,
  };
}

const SIGN_STEPS: readonly SignStep[] = ['propose', 'prevote', 'precommit'];

/** One number a (round, step), ascending in the order in which a validator signs. */
export function slotOf(round: number, step: SignStep): number {
  return round * 3 + SIGN_STEPS.indexOf(step);
}

export function slotAt(slot: number): { round: number; step: SignStep } {
  return { round: Math.floor(slot / 3), step: SIGN_STEPS[slot % 3] ?? 'propose' };
}

export function isOwn(state: Machine, key: PublicKey): boolean {
  return state.self !== null && equalBytes(state.self, key);
}

export function isOwnTurn(state: Machine): boolean {
  return isOwn(state, proposerOf(state.validators, state.round).publicKey);
}

/** Takes the slot for a signature. False: this key signed there or above, or this node does not sign at all. */
export function takeSlot(state: Machine, step: SignStep): boolean {
  const slot = slotOf(state.round, step);
  if (state.self === null || slot <= state.floorSlot) return false;
  state.floorSlot = slot;
  return true;
}

/** Votes where the floor allows it; the step moves on either way. */
export function castVote(state: Machine, effects: Effect[], voteType: VoteType, blockId: Hash | null): void {
  state.step = voteType;
  if (takeSlot(state, voteType)) effects.push({ type: 'vote', voteType, round: state.round, blockId });
}

/** What the engine said of a block; null until it answers. The first call asks it. */
export function verdictOf(state: Machine, effects: Effect[], blockId: Hash): Verdict | null {
  return candidateOf(state, effects, blockId).verdict;
}

export function candidateOf(state: Machine, effects: Effect[], blockId: Hash): Candidate {
  const key = bytesKey(blockId);
  let candidate = state.candidates.get(key);
  if (candidate === undefined) {
    candidate = { blockId, verdict: null, awaited: false };
    state.candidates.set(key, candidate);
    effects.push({ type: 'validate', blockId, proposal: proposalFor(state, blockId) });
  }
  return candidate;
}

/** The proposal of the latest round that names the block. */
function proposalFor(state: Machine, blockId: Hash): Proposal | null {
  let latest: Proposal | null = null;
  for (const proposal of state.proposals.values()) {
    if (equalBytes(proposal.blockId, blockId) && proposal.round > (latest?.round ?? -1)) latest = proposal;
  }
  return latest;
}

export function inWindow(state: Machine, round: number): boolean {
  return round >= state.round - PAST_ROUNDS && round <= state.round + FUTURE_ROUNDS;
}

/** Rounds whose votes must outlive the window: the valid value's, those that proposals rest on, those that decided. */
export function pinnedRounds(state: Machine): Set<number> {
  const pinned = new Set([state.validRound]);
  for (const { round, polRound } of state.proposals.values()) {
    if (round >= state.round) pinned.add(polRound);
  }
  for (const { round } of state.votes.quorums('precommit')) pinned.add(round);
  return pinned;
}

/** Locked ids and valid ids may come from a restored record: nothing here assumes that a polka is at hand. */
export function setValid(state: Machine, round: number, blockId: Hash): void {
  state.validRound = round;
  state.validId = blockId;
  state.votes.pin(pinnedRounds(state));
}

/** Forgets proposals outside the window and verdicts on blocks that nothing kept refers to. */
export function forgetOld(state: Machine): void {
  for (const round of [...state.proposals.keys()]) {
    if (!inWindow(state, round)) state.proposals.delete(round);
  }
  for (const round of [...state.convictedRounds]) {
    if (!inWindow(state, round)) state.convictedRounds.delete(round);
  }
  const referred = new Set([...state.proposals.values()].map(({ blockId }) => bytesKey(blockId)));
  for (const type of ['prevote', 'precommit'] as const) {
    for (const { blockId } of state.votes.quorums(type)) referred.add(bytesKey(blockId));
  }
  for (const id of [state.lockedId, state.validId]) if (id !== null) referred.add(bytesKey(id));
  for (const key of [...state.candidates.keys()]) if (!referred.has(key)) state.candidates.delete(key);
}
