/**
 * Tendermint agreement for one height as a pure step function: same start and inputs, same states and effects. README.md
 * beside it gives the rules and where they differ from the paper.
 *
 * A state is owned by its caller and updated in place: after `step(state, input)` only the returned state may be used.
 */
import { bytesKey, equalBytes } from '../bytes.ts';
import { duplicateProposal } from '../chain/evidence.ts';
import { hasQuorum, proposerOf, validatorIndex } from '../chain/validator-set.ts';
import { votesOfCertificate } from '../chain/votes.ts';
import type { Certificate, Proposal, Vote } from '../chain/votes.ts';
import { arm, enterRound, startRound } from './rounds.ts';
import { settle } from './rules.ts';
import type { Machine } from './state.ts';
import {
  castVote,
  createMachine,
  inWindow,
  isOwn,
  isOwnTurn,
  pinnedRounds,
  setValid,
  slotOf,
  takeSlot,
  verdictOf,
} from './state.ts';
import type { Effect, HeightStart, Input, Resume } from './types.ts';

/** Read it freely, change it by `step` alone; the selectors are in selectors.ts. */
export type MachineState = Readonly<Machine>;

export interface Turn {
  readonly state: MachineState;
  /** To be carried out in order. The state already holds the lock that a `vote` among them rests on. */
  readonly effects: Effect[];
}

/** Idle at round 0 until there is a reason for a block, or where the guard's record says. */
export function startHeight(start: HeightStart): Turn {
  const state = createMachine(start);
  const effects: Effect[] = [];
  if (start.resume !== null) resumeHeight(state, effects, start.resume);
  return { state, effects };
}

/** One input, all that follows from it. Own votes come back as inputs: it never feeds itself. */
export function step(state: MachineState, input: Input): Turn {
  const effects: Effect[] = [];
  advance(state, effects, input);
  return { state, effects };
}

function advance(state: Machine, effects: Effect[], input: Input): void {
  if (state.step === 'committed') return;
  if (state.step === 'idle' && wakes(state, input)) startRound(state, effects, 0);
  takeIn(state, effects, input);
  settle(state, effects);
}

/** Work, or any proposal or vote of the height by a validator: a node that saw no work must join all the same. */
function wakes(state: Machine, input: Input): boolean {
  switch (input.type) {
    case 'work':
      return true;
    case 'vote':
    case 'self-vote':
      return validatorIndex(state.validators, input.vote.validator) >= 0;
    case 'proposal':
    case 'self-proposal':
      return isAcceptable(state, input.proposal);
    case 'certificate':
      return isQuorum(state, input.certificate);
    case 'validated':
    case 'built':
    case 'timeout':
      return false;
  }
}

function takeIn(state: Machine, effects: Effect[], input: Input): void {
  switch (input.type) {
    case 'work':
      return;
    case 'proposal':
      if (isOwn(state, input.proposal.proposer)) learnOwnProposal(state, input.proposal);
      takeProposal(state, effects, input.proposal);
      return;
    case 'self-proposal':
      learnOwnProposal(state, input.proposal);
      takeProposal(state, effects, input.proposal);
      return;
    case 'validated': {
      const candidate = state.candidates.get(bytesKey(input.blockId));
      if (candidate) candidate.verdict ??= { valid: input.valid, timely: input.timely };
      return;
    }
    case 'built':
      takeBuilt(state, effects, input);
      return;
    case 'vote':
      if (isOwn(state, input.vote.validator)) learnOwnVote(state, effects, input.vote);
      takeVote(state, effects, input.vote, false);
      return;
    case 'self-vote':
      takeVote(state, effects, input.vote, false);
      return;
    case 'certificate':
      takeCertificate(state, effects, input.certificate);
      return;
    case 'timeout':
      takeTimeout(state, effects, input);
      return;
  }
}

function isAcceptable(state: Machine, proposal: Proposal): boolean {
  const { round, polRound, proposer } = proposal;
  // The window comes first: the rotation is computed up to `round`.
  if (!inWindow(state, round) || polRound < -1 || polRound >= round) return false;
  return equalBytes(proposerOf(state.validators, round).publicKey, proposer);
}

/** The first proposal of a round stays; another one for a different block proves a fault, once a round. */
function takeProposal(state: Machine, effects: Effect[], proposal: Proposal): void {
  if (!isAcceptable(state, proposal)) return;
  const first = state.proposals.get(proposal.round);
  if (first === undefined) {
    state.proposals.set(proposal.round, proposal);
    state.votes.pin(pinnedRounds(state));
  } else if (!equalBytes(first.blockId, proposal.blockId) && !state.convictedRounds.has(proposal.round)) {
    state.convictedRounds.add(proposal.round);
    effects.push({ type: 'evidence', evidence: duplicateProposal(first, proposal) });
  }
}

function takeVote(state: Machine, effects: Effect[], vote: Vote, certified: boolean): void {
  const evidence = state.votes.add(vote, certified);
  if (evidence !== null) effects.push({ type: 'evidence', evidence });
}

/** By validator, not by message: a signer counts once. */
function isQuorum(state: Machine, { signers, signatures }: Certificate): boolean {
  const { validators } = state.validators;
  if (signatures.length !== signers.length || signers.some((signer) => validators[signer] === undefined)) return false;
  const power = [...new Set(signers)].reduce((sum, signer) => sum + (validators[signer]?.power ?? 0), 0);
  return hasQuorum(state.validators, power);
}

/** Its votes first move the round, as any votes do; then, with the window in place, they count as certified. */
function takeCertificate(state: Machine, effects: Effect[], certificate: Certificate): void {
  if (!isQuorum(state, certificate)) return;
  const votes = votesOfCertificate(state.validators, certificate);
  for (const vote of votes) {
    if (isOwn(state, vote.validator)) learnOwnVote(state, effects, vote);
  }
  if (certificate.round > state.round) {
    for (const vote of votes) takeVote(state, effects, vote, false);
    settle(state, effects);
    if (isCommitted(state)) return;
  }
  for (const vote of votes) takeVote(state, effects, vote, true);
}

function isCommitted(state: MachineState): boolean {
  return state.step === 'committed';
}

function takeBuilt(state: Machine, effects: Effect[], input: Extract<Input, { type: 'built' }>): void {
  const wanted = state.step === 'propose' && input.round === state.round && state.buildAsked && state.validId === null;
  if (!wanted || !isOwnTurn(state) || !takeSlot(state, 'propose')) return;
  effects.push({ type: 'propose', round: state.round, polRound: -1, blockId: input.blockId });
}

/** L57–L67. */
function takeTimeout(state: Machine, effects: Effect[], input: Extract<Input, { type: 'timeout' }>): void {
  if (input.round !== state.round || !state.armed.has(input.kind)) return;
  switch (input.kind) {
    case 'propose':
      if (state.step === 'propose') castVote(state, effects, 'prevote', null);
      return;
    case 'prevote':
      if (state.step === 'prevote') castVote(state, effects, 'precommit', null);
      return;
    case 'precommit':
      startRound(state, effects, state.round + 1);
      return;
  }
}

function learnOwnProposal(state: Machine, { round }: Proposal): void {
  state.floorSlot = Math.max(state.floorSlot, slotOf(round, 'propose'));
}

/**
 * A vote by our key, perhaps above all we know to have signed: then the folder is older than the key's last use. Nothing
 * is signed up to there, and a forgotten precommit for a block is a forgotten lock, so the lock is taken over too,
 * whatever order the votes come in.
 */
function learnOwnVote(state: Machine, effects: Effect[], { type, round, blockId }: Vote): void {
  state.floorSlot = Math.max(state.floorSlot, slotOf(round, type));
  if (type === 'prevote' || blockId === null || round <= state.lockedRound) return;
  state.lockedRound = round;
  state.lockedId = blockId;
  if (round > state.validRound) setValid(state, round, blockId);
  verdictOf(state, effects, blockId);
}

/**
 * Continues after a crash. What the record holds signed is not signed again; a step without its signature is decided
 * anew, which a crash between lock and precommit needs: the polka in the record then leads to the precommit.
 */
function resumeHeight(state: Machine, effects: Effect[], resume: Resume): void {
  state.lockedRound = resume.lockedRound;
  state.lockedId = resume.lockedId;
  state.validRound = resume.validRound;
  state.validId = resume.validId;
  for (const vote of resume.votes) {
    if (isOwn(state, vote.validator)) learnOwnVote(state, effects, vote);
  }
  for (const proposal of resume.proposals) {
    if (isOwn(state, proposal.proposer)) learnOwnProposal(state, proposal);
  }
  enterRound(state, effects, resume.round);
  for (const proposal of resume.proposals) takeProposal(state, effects, proposal);
  for (const vote of resume.votes) takeVote(state, effects, vote, false);
  for (const id of [state.lockedId, state.validId]) if (id !== null) verdictOf(state, effects, id);
  if (state.floorSlot >= slotOf(state.round, 'precommit')) state.step = 'precommit';
  else if (state.floorSlot >= slotOf(state.round, 'prevote')) state.step = 'prevote';
  else arm(state, effects, 'propose');
  settle(state, effects);
}
