/** Step tables: inputs in, effects and the visible state out, all written as short text so that a failure reads at once. */
import assert from 'node:assert/strict';
import type { Hash, PublicKey } from '../../../src/bytes.ts';
import type { ValidatorSet } from '../../../src/chain/validator-set.ts';
import { createValidatorSet, proposerOf, validatorIndex } from '../../../src/chain/validator-set.ts';
import { certificateFromVotes } from '../../../src/chain/votes.ts';
import type { Proposal, Vote, VoteType } from '../../../src/chain/votes.ts';
import { startHeight, step } from '../../../src/consensus/machine.ts';
import type { MachineState } from '../../../src/consensus/machine.ts';
import type { Effect, HeightStart, Input, Resume, TimeoutKind, Timeouts } from '../../../src/consensus/types.ts';

export const HEIGHT = 7;

export const TIMEOUTS: Timeouts = { proposeMs: 600, proposeDeltaMs: 250, voteMs: 300, voteDeltaMs: 100, capMs: 10_000 };

/** With equal powers validator i proposes in the rounds that are i modulo their number. */
export function setOf(powers: readonly number[]): ValidatorSet {
  return createValidatorSet(
    powers.map((power, i) => ({
      publicKey: new Uint8Array(32).fill(i + 1),
      power,
      operator: new Uint8Array(20).fill(i + 1),
      name: `v${i}`,
      priority: 0,
      demoted: false,
    })),
  );
}

export const FOUR = setOf([1, 1, 1, 1]);

/** A block id that prints as its letter. */
export function id(letter: string): Hash {
  return new Uint8Array(32).fill(letter.charCodeAt(0));
}

export function letter(blockId: Hash | null): string {
  return blockId === null ? 'nil' : String.fromCharCode(blockId[0] ?? 0);
}

export function key(set: ValidatorSet, index: number): PublicKey {
  return set.validators[index]?.publicKey ?? new Uint8Array(32).fill(200 + index);
}

/** Builders of inputs for one set; `name` is a letter, or null for nil. */
export function inputsFor(set: ValidatorSet) {
  const vote = (type: VoteType, validator: number, round: number, name: string | null, mark = 0): Vote => ({
    type,
    height: HEIGHT,
    round,
    blockId: name === null ? null : id(name),
    validator: key(set, validator),
    signature: new Uint8Array(64).fill(mark),
  });
  const core = (round: number, name: string, polRound = -1, proposer?: number): Proposal => ({
    height: HEIGHT,
    round,
    polRound,
    blockId: id(name),
    proposer: proposer === undefined ? proposerOf(set, round).publicKey : key(set, proposer),
    signature: new Uint8Array(64),
  });
  return {
    vote,
    core,
    work: { type: 'work' } as Input,
    prevote: (validator: number, round: number, name: string | null): Input => ({
      type: 'vote',
      vote: vote('prevote', validator, round, name),
    }),
    precommit: (validator: number, round: number, name: string | null): Input => ({
      type: 'vote',
      vote: vote('precommit', validator, round, name),
    }),
    selfVote: (type: VoteType, self: number, round: number, name: string | null): Input => ({
      type: 'self-vote',
      vote: vote(type, self, round, name),
    }),
    proposal: (round: number, name: string, polRound = -1, proposer?: number): Input => ({
      type: 'proposal',
      proposal: core(round, name, polRound, proposer),
    }),
    selfProposal: (round: number, name: string, polRound = -1): Input => ({
      type: 'self-proposal',
      proposal: core(round, name, polRound),
    }),
    certificate: (type: VoteType, validators: readonly number[], round: number, name: string): Input => ({
      type: 'certificate',
      certificate: certificateFromVotes(
        set,
        validators.map((validator) => vote(type, validator, round, name)),
      ),
    }),
    validated: (name: string, valid = true, timely = true): Input => ({
      type: 'validated',
      blockId: id(name),
      valid,
      timely,
    }),
    built: (round: number, name: string): Input => ({ type: 'built', round, blockId: id(name) }),
    timeout: (kind: TimeoutKind, round: number): Input => ({ type: 'timeout', kind, round }),
  };
}

export function heightStart(set: ValidatorSet, self: number | null, resume: Resume | null = null): HeightStart {
  return {
    height: HEIGHT,
    validators: set,
    self: self === null ? null : key(set, self),
    timeouts: TIMEOUTS,
    resume,
  };
}

export function describeEffect(set: ValidatorSet, effect: Effect): string {
  switch (effect.type) {
    case 'build':
      return `build ${effect.round}`;
    case 'propose':
      return `propose ${effect.round} ${letter(effect.blockId)} pol ${effect.polRound}`;
    case 'vote':
      return `${effect.voteType} ${effect.round} ${letter(effect.blockId)}`;
    case 'validate':
      return `validate ${letter(effect.blockId)}${effect.proposal ? '' : ' unproposed'}`;
    case 'timer':
      return `timer ${effect.kind} ${effect.round}`;
    case 'new-round':
      return `round ${effect.round} of ${validatorIndex(set, effect.proposer)}`;
    case 'await-body':
      return `await ${letter(effect.blockId)}`;
    case 'commit':
      return `commit ${letter(effect.blockId)} in ${effect.certificate.round} by ${effect.certificate.signers.join(',')}`;
    case 'evidence': {
      const { kind, a, b } = effect.evidence;
      return `evidence ${kind} ${letter(a.blockId)} ${letter(b.blockId)}`;
    }
  }
}

/** "round step", then the lock and the valid value where there are any. */
function describeState(state: MachineState): string {
  const value = (name: string, round: number, blockId: Hash | null): string =>
    blockId === null && round === -1 ? '' : ` ${name} ${letter(blockId)}@${round}`;
  const locked = value('lock', state.lockedRound, state.lockedId);
  return `${state.round} ${state.step}${locked}${value('valid', state.validRound, state.validId)}`;
}

export interface TableStep {
  readonly desc?: string;
  readonly input: Input;
  /** Left out: part of the way there, not of what is tested. */
  readonly effects?: readonly string[];
  readonly state?: string;
}

export interface Table {
  /** Paper lines first. */
  readonly desc: string;
  readonly set?: ValidatorSet;
  readonly self?: number | null;
  readonly resume?: Resume;
  readonly startEffects?: readonly string[];
  readonly startState?: string;
  readonly steps: readonly TableStep[];
}

export function runTable(table: Table): MachineState {
  const set = table.set ?? FOUR;
  const self = table.self === undefined ? 3 : table.self;
  const start = startHeight(heightStart(set, self, table.resume ?? null));
  const show = (effects: readonly Effect[]): string[] => effects.map((effect) => describeEffect(set, effect));
  if (table.startEffects) assert.deepEqual(show(start.effects), table.startEffects, 'effects of the start');
  if (table.startState !== undefined) assert.equal(describeState(start.state), table.startState);
  let { state } = start;
  table.steps.forEach(({ desc, input, effects, state: expected }, i) => {
    const turn = step(state, input);
    state = turn.state;
    const where = `step ${i + 1}: ${desc ?? input.type}`;
    if (effects) assert.deepEqual(show(turn.effects), effects, where);
    if (expected !== undefined) assert.equal(describeState(state), expected, where);
  });
  return state;
}

/** Runs inputs without looking; returns the state and all effects as text. */
export function play(start: HeightStart, inputs: readonly Input[]): { state: MachineState; effects: string[] } {
  let { state, effects } = startHeight(start);
  const all = [...effects];
  for (const input of inputs) {
    ({ state, effects } = step(state, input));
    all.push(...effects);
  }
  return { state, effects: all.map((effect) => describeEffect(start.validators, effect)) };
}
