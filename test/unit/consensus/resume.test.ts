import assert from 'node:assert/strict';
import { signingFloor } from '../../../src/consensus/selectors.ts';
import type { Resume } from '../../../src/consensus/types.ts';
import type { Table } from './table.ts';
import { FOUR, heightStart, id, inputsFor, play, runTable, setOf } from './table.ts';

const { vote, core, work, proposal, prevote, precommit, selfVote, certificate, validated, built, timeout } =
  inputsFor(FOUR);

const EMPTY: Resume = {
  round: 0,
  step: 'propose',
  lockedRound: -1,
  lockedId: null,
  validRound: -1,
  validId: null,
  votes: [],
  proposals: [],
};

/** Validator 3 prevoted and locked A in round 0; the polka is in the record. */
const LOCKED: Resume = {
  ...EMPTY,
  step: 'precommit',
  lockedRound: 0,
  lockedId: id('A'),
  validRound: 0,
  validId: id('A'),
  votes: [0, 1, 3].map((validator) => vote('prevote', validator, 0, 'A')),
};
const PRECOMMITTED: Resume = { ...LOCKED, votes: [...LOCKED.votes, vote('precommit', 3, 0, 'A')] };

const nilPrecommits = (round: number) => [0, 1, 2].map((validator) => vote('precommit', validator, round, null));

const TABLES: readonly Table[] = [
  {
    desc: 'nothing signed: the step propose with its timer, not idle',
    resume: EMPTY,
    startEffects: ['round 0 of 0', 'timer propose 0'],
    startState: '0 propose',
    steps: [],
  },
  {
    desc: 'the prevote was signed: it is not signed again, and no propose timer runs',
    resume: { ...EMPTY, step: 'prevote', votes: [vote('prevote', 3, 0, null)] },
    startEffects: ['round 0 of 0'],
    startState: '0 prevote',
    steps: [
      { input: proposal(0, 'A'), effects: [] },
      { input: timeout('propose', 0), effects: [] },
      { input: prevote(0, 0, 'B'), effects: [] },
      { desc: 'the own prevote counts', input: prevote(1, 0, 'A'), effects: ['timer prevote 0'] },
      { input: timeout('prevote', 0), effects: ['precommit 0 nil'], state: '0 precommit' },
    ],
  },
  {
    desc: 'lock and valid value are restored, and their body is asked for',
    resume: PRECOMMITTED,
    startEffects: ['round 0 of 0', 'validate A unproposed'],
    startState: '0 precommit lock A@0 valid A@0',
    steps: [
      { input: validated('A', true, false), effects: [] },
      { input: precommit(0, 0, 'A'), effects: [] },
      { desc: 'the own precommit counts', input: precommit(1, 0, 'A'), effects: ['commit A in 0 by 0,1,3'] },
    ],
  },
  {
    desc: 'L23: the restored lock of round 0 holds against a fresh proposal',
    resume: PRECOMMITTED,
    steps: [
      { input: precommit(0, 0, null) },
      { input: precommit(1, 0, null) },
      { input: timeout('precommit', 0), state: '1 propose lock A@0 valid A@0' },
      { input: proposal(1, 'B'), effects: ['validate B', 'prevote 1 nil'] },
    ],
  },
  {
    desc: 'L36: a crash between lock and precommit: the polka of the record leads to the precommit',
    resume: LOCKED,
    startEffects: ['round 0 of 0', 'validate A unproposed', 'timer prevote 0'],
    startState: '0 prevote lock A@0 valid A@0',
    steps: [{ input: validated('A'), effects: ['precommit 0 A'], state: '0 precommit lock A@0 valid A@0' }],
  },
  {
    desc: 'L15: the restored proposer repeats its valid value, with the polka of the record',
    resume: { ...LOCKED, round: 3, step: 'propose', votes: [...LOCKED.votes, ...nilPrecommits(2)] },
    startEffects: ['round 3 of 3', 'validate A unproposed', 'timer propose 3'],
    steps: [{ input: validated('A'), effects: ['propose 3 A pol 0'] }],
  },
  {
    desc: 'its own proposal is not made again',
    resume: { ...EMPTY, round: 3, proposals: [core(3, 'A')], votes: nilPrecommits(2) },
    startEffects: ['round 3 of 3', 'timer propose 3', 'validate A'],
    steps: [
      { input: built(3, 'B'), effects: [] },
      { input: validated('A'), effects: ['prevote 3 A'] },
    ],
  },
  {
    desc: 'a proposer that crashed before it signed builds again',
    resume: { ...EMPTY, round: 3, votes: nilPrecommits(2) },
    startEffects: ['round 3 of 3', 'timer propose 3', 'build 3'],
    steps: [{ input: built(3, 'B'), effects: ['propose 3 B pol -1'] }],
  },
  {
    desc: 'a follower resumes without signing',
    self: null,
    resume: PRECOMMITTED,
    startState: '0 propose lock A@0 valid A@0',
    steps: [{ input: timeout('propose', 0), effects: ['timer prevote 0'], state: '0 prevote lock A@0 valid A@0' }],
  },
  {
    desc: 'L49: votes in the record may decide',
    resume: {
      ...PRECOMMITTED,
      votes: [...PRECOMMITTED.votes, vote('precommit', 0, 0, 'A'), vote('precommit', 1, 0, 'A')],
    },
    startEffects: ['round 0 of 0', 'validate A unproposed', 'await A', 'timer precommit 0'],
    steps: [{ input: validated('A'), effects: ['commit A in 0 by 0,1,3'] }],
  },
  {
    desc: 'an unused record is not asked to build for others',
    resume: { ...EMPTY, round: 1 },
    startEffects: ['round 1 of 1', 'timer propose 1'],
    steps: [{ input: built(1, 'A'), effects: [] }],
  },
];

const FLOOR: readonly Table[] = [
  {
    desc: 'a prevote by the own key: nothing at or below it is signed; the precommit above it is',
    steps: [
      { input: work },
      { input: prevote(3, 0, 'A'), effects: [] },
      { input: timeout('propose', 0), effects: [], state: '0 prevote' },
      { input: prevote(0, 0, null), effects: [] },
      { input: prevote(1, 0, null), effects: ['timer prevote 0'] },
      { input: timeout('prevote', 0), effects: ['precommit 0 nil'], state: '0 precommit' },
    ],
  },
  {
    desc: 'a vote by the own key of a later round: silent up to it',
    steps: [
      { input: work },
      { input: prevote(3, 1, null), effects: [] },
      { input: timeout('propose', 0), effects: [], state: '0 prevote' },
      { input: precommit(0, 0, null) },
      { input: precommit(1, 0, null) },
      { input: precommit(2, 0, null), effects: ['round 1 of 1', 'timer propose 1'], state: '1 propose' },
      { input: timeout('propose', 1), effects: [], state: '1 prevote' },
      { input: precommit(0, 1, null) },
      { input: precommit(1, 1, null) },
      { input: precommit(2, 1, null), state: '2 propose' },
      { input: timeout('propose', 2), effects: ['prevote 2 nil'] },
    ],
  },
  {
    desc: 'a proposal by the own key: not proposed again, voting goes on',
    self: 0,
    steps: [
      { input: proposal(0, 'A'), effects: ['round 0 of 0', 'timer propose 0', 'validate A'] },
      { input: built(0, 'B'), effects: [] },
      { input: validated('A'), effects: ['prevote 0 A'] },
    ],
  },
  {
    desc: 'a forgotten precommit is a forgotten lock, taken over with its body asked for',
    steps: [
      { input: work },
      { input: precommit(3, 0, 'A'), effects: ['validate A unproposed'], state: '0 propose lock A@0 valid A@0' },
      { input: precommit(0, 0, null) },
      { input: precommit(1, 0, null), effects: ['timer precommit 0'] },
      { input: timeout('precommit', 0), state: '1 propose lock A@0 valid A@0' },
      { input: proposal(1, 'B'), effects: ['validate B', 'prevote 1 nil'] },
    ],
  },
  {
    desc: 'a lock taken over from a later round is not moved back by an earlier polka',
    steps: [
      { input: proposal(0, 'B') },
      { input: validated('B') },
      { input: precommit(3, 4, 'A'), state: '0 prevote lock A@4 valid A@4' },
      { input: prevote(0, 0, 'B') },
      { input: prevote(1, 0, 'B') },
      { input: prevote(2, 0, 'B'), effects: [], state: '0 precommit lock A@4 valid A@4' },
    ],
  },
  {
    desc: 'L15: without the polka of a lock taken over nothing is proposed, since nobody could accept it',
    self: 1,
    steps: [
      { input: precommit(1, 0, 'A'), effects: ['round 0 of 0', 'timer propose 0', 'validate A unproposed'] },
      { input: validated('A') },
      { input: precommit(0, 0, null) },
      { input: precommit(2, 0, null) },
      { input: timeout('precommit', 0), effects: ['round 1 of 1', 'timer propose 1'] },
      { input: certificate('prevote', [0, 1, 2], 0, 'A'), effects: ['propose 1 A pol 0'] },
    ],
  },
  {
    desc: 'a certificate that holds the own vote raises it too',
    steps: [
      {
        input: certificate('prevote', [0, 1, 3], 0, 'A'),
        effects: ['round 0 of 0', 'timer propose 0', 'validate A unproposed'],
      },
      { input: timeout('propose', 0), effects: ['timer prevote 0'], state: '0 prevote' },
    ],
  },
];

describe('consensus resume', () => {
  for (const table of TABLES) {
    it(table.desc, () => {
      runTable(table);
    });
  }

  it('takes up one validator alone after each of its signatures', () => {
    const one = setOf([1]);
    const inputs = inputsFor(one);
    const records: Resume[] = [
      EMPTY,
      { ...EMPTY, proposals: [inputs.core(0, 'A')] },
      { ...EMPTY, step: 'prevote', proposals: [inputs.core(0, 'A')], votes: [inputs.vote('prevote', 0, 0, 'A')] },
    ];
    const follow = [inputs.built(0, 'A'), inputs.selfProposal(0, 'A'), inputs.validated('A')];
    const votes = [inputs.selfVote('prevote', 0, 0, 'A'), inputs.selfVote('precommit', 0, 0, 'A')];
    for (const resume of records) {
      const { effects } = play(heightStart(one, 0, resume), [...follow, ...votes]);
      assert.equal(effects.at(-1), 'commit A in 0 by 0');
    }
  });
});

describe('consensus signing floor', () => {
  for (const table of FLOOR) {
    it(table.desc, () => {
      runTable(table);
    });
  }

  it('is exposed: none, then the highest slot asked for or learned', () => {
    const floorAfter = (...inputs: Parameters<typeof play>[1]) =>
      signingFloor(play(heightStart(FOUR, 3), inputs).state);
    assert.equal(floorAfter(work), null);
    assert.deepEqual(floorAfter(work, timeout('propose', 0)), { round: 0, step: 'prevote' });
    assert.deepEqual(floorAfter(selfVote('prevote', 3, 0, null), precommit(3, 9, null)), {
      round: 9,
      step: 'precommit',
    });
    assert.deepEqual(floorAfter(work, proposal(3, 'A')), { round: 3, step: 'propose' });
    assert.deepEqual(signingFloor(play(heightStart(FOUR, 3, PRECOMMITTED), []).state), { round: 0, step: 'precommit' });
  });
});
