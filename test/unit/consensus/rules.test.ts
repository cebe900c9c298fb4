import assert from 'node:assert/strict';
import { timeoutMs } from '../../../src/consensus/rounds.ts';
import type { Table, TableStep } from './table.ts';
import { FOUR, inputsFor, runTable, setOf, TIMEOUTS } from './table.ts';

const { work, proposal, selfProposal, prevote, precommit, selfVote, certificate, validated, built, timeout } =
  inputsFor(FOUR);
const silent = (...inputs: TableStep['input'][]): TableStep[] => inputs.map((input) => ({ input }));

/** Validator 3 locked on A in round 0, and stands in `round` after precommit timeouts. */
function lockedOnA(round: number): TableStep[] {
  const steps = silent(
    proposal(0, 'A'),
    validated('A'),
    selfVote('prevote', 3, 0, 'A'),
    prevote(0, 0, 'A'),
    prevote(1, 0, 'A'),
    selfVote('precommit', 3, 0, 'A'),
  );
  for (let r = 0; r < round; r++) {
    steps.push(...silent(precommit(0, r, null), precommit(1, r, null), precommit(2, r, null)));
    if (r === 0) steps.push(...silent(timeout('precommit', 0)));
  }
  return steps;
}

const TABLES: Record<string, readonly Table[]> = {
  'block on demand': [
    {
      desc: 'idle until there is work',
      startEffects: [],
      startState: '0 idle',
      steps: [
        { input: timeout('propose', 0), effects: [], state: '0 idle' },
        { input: validated('A'), effects: [], state: '0 idle' },
        { input: built(0, 'A'), effects: [], state: '0 idle' },
        { input: work, effects: ['round 0 of 0', 'timer propose 0'], state: '0 propose' },
        { desc: 'only once', input: work, effects: [], state: '0 propose' },
      ],
    },
    {
      desc: 'a prevote wakes: whoever saw no work joins all the same',
      steps: [{ input: prevote(1, 0, null), effects: ['round 0 of 0', 'timer propose 0'], state: '0 propose' }],
    },
    {
      desc: 'a precommit of a far round wakes',
      steps: [{ input: precommit(1, 90, null), effects: ['round 0 of 0', 'timer propose 0'], state: '0 propose' }],
    },
    {
      desc: 'a proposal wakes',
      steps: [
        { input: proposal(0, 'A'), effects: ['round 0 of 0', 'timer propose 0', 'validate A'], state: '0 propose' },
      ],
    },
    {
      desc: 'a certificate wakes',
      steps: [
        {
          input: certificate('precommit', [0, 1, 2], 0, 'A'),
          effects: ['round 0 of 0', 'timer propose 0', 'validate A unproposed', 'await A', 'timer precommit 0'],
        },
      ],
    },
    {
      desc: 'strangers wake nobody',
      steps: [
        { input: prevote(9, 0, 'A'), effects: [], state: '0 idle' },
        { desc: 'not the proposer', input: proposal(0, 'A', -1, 1), effects: [], state: '0 idle' },
      ],
    },
  ],
  'L11-L21 starting a round': [
    {
      desc: 'L18: the proposer of the round asks for a value, once, and waits for its own timer too',
      self: 0,
      steps: [
        { input: work, effects: ['round 0 of 0', 'timer propose 0', 'build 0'], state: '0 propose' },
        { input: prevote(1, 0, null), effects: [], state: '0 propose' },
        { input: built(0, 'A'), effects: ['propose 0 A pol -1'], state: '0 propose' },
        { desc: 'a second value is not proposed', input: built(0, 'B'), effects: [] },
        { input: selfProposal(0, 'A'), effects: ['validate A'] },
        { input: validated('A'), effects: ['prevote 0 A'], state: '0 prevote' },
      ],
    },
    {
      desc: 'L21: the others wait',
      self: 1,
      steps: [
        { input: work, effects: ['round 0 of 0', 'timer propose 0'] },
        { desc: 'nobody asked', input: built(0, 'A'), effects: [] },
      ],
    },
    {
      desc: 'L19: a value built too late is not proposed',
      self: 0,
      steps: [
        { input: work },
        { input: timeout('propose', 0), effects: ['prevote 0 nil'] },
        { input: built(0, 'A'), effects: [] },
      ],
    },
    {
      desc: 'L15-L16: the proposer repeats its valid value with the round of its polka',
      self: 1,
      steps: [
        ...silent(
          proposal(0, 'A'),
          validated('A'),
          selfVote('prevote', 1, 0, 'A'),
          prevote(0, 0, 'A'),
          prevote(2, 0, 'A'),
        ),
        ...silent(precommit(0, 0, null), precommit(2, 0, null)),
        {
          input: precommit(3, 0, null),
          effects: ['round 1 of 1', 'timer propose 1', 'propose 1 A pol 0'],
          state: '1 propose lock A@0 valid A@0',
        },
      ],
    },
  ],
  'L22-L27 fresh proposals': [
    {
      desc: 'L24: valid and timely, not locked: prevote it',
      steps: [
        { input: proposal(0, 'A'), effects: ['round 0 of 0', 'timer propose 0', 'validate A'], state: '0 propose' },
        { input: validated('A'), effects: ['prevote 0 A'], state: '0 prevote' },
      ],
    },
    {
      desc: 'L26: invalid: nil. An object of verdicts is not a verdict',
      steps: [
        { input: proposal(0, 'A') },
        { input: validated('A', false), effects: ['prevote 0 nil'], state: '0 prevote' },
      ],
    },
    {
      desc: 'L26: valid, but its time is off: nil',
      steps: [
        { input: proposal(0, 'A') },
        { input: validated('A', true, false), effects: ['prevote 0 nil'], state: '0 prevote' },
      ],
    },
    {
      desc: 'L23: locked in round 0 on another value: nil, at once, without waiting for the body',
      steps: [
        ...lockedOnA(1),
        { input: proposal(1, 'B'), effects: ['validate B', 'prevote 1 nil'], state: '1 prevote lock A@0 valid A@0' },
        { input: validated('B'), effects: [] },
      ],
    },
    {
      desc: 'L23: locked on the same value: prevote it',
      steps: [
        ...lockedOnA(1),
        { input: proposal(1, 'A'), effects: ['prevote 1 A'], state: '1 prevote lock A@0 valid A@0' },
      ],
    },
    {
      desc: 'L22: a proposal for a later round waits for that round',
      steps: [
        { input: proposal(1, 'B'), effects: ['round 0 of 0', 'timer propose 0'], state: '0 propose' },
        { input: prevote(0, 1, 'B'), effects: [] },
        {
          input: prevote(1, 1, 'B'),
          effects: ['round 1 of 1', 'timer propose 1', 'validate B'],
          state: '1 propose',
        },
      ],
    },
    {
      desc: 'L22: not from the proposer of the round, or out of bounds: ignored',
      steps: [
        { input: work },
        { input: proposal(0, 'A', -1, 2), effects: [] },
        { input: proposal(0, 'A', -1, 9), effects: [] },
        { input: proposal(0, 'A', 0), effects: [] },
        { input: proposal(1, 'A', -2), effects: [] },
        { desc: 'and costs no rotation', input: proposal(4_000_000_000, 'A', -1, 0), effects: [], state: '0 propose' },
      ],
    },
    {
      desc: 'a second proposal of one round is evidence, once; the first stays',
      steps: [
        { input: proposal(0, 'A') },
        { input: proposal(0, 'B'), effects: ['evidence duplicate-proposal A B'] },
        { input: proposal(0, 'C'), effects: [] },
        { input: proposal(0, 'A'), effects: [] },
        { input: validated('A'), effects: ['prevote 0 A'] },
      ],
    },
  ],
  'L28-L33 repeated proposals': [
    {
      desc: 'L28: no prevote before the polka of polRound is here',
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(1, 0, null), precommit(2, 0, null)),
        { input: proposal(1, 'A', 0), effects: ['validate A'], state: '1 propose' },
        { input: validated('A'), effects: [], state: '1 propose' },
        ...silent(prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { input: prevote(2, 0, 'A'), effects: ['prevote 1 A'], state: '1 prevote valid A@0' },
      ],
    },
    {
      desc: 'L28: timeliness was judged when the value was fresh; now a stale time is no reason',
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(1, 0, null), precommit(2, 0, null)),
        ...silent(proposal(1, 'A', 0), certificate('prevote', [0, 1, 2], 0, 'A')),
        { input: validated('A', true, false), effects: ['prevote 1 A'], state: '1 prevote valid A@0' },
      ],
    },
    {
      desc: 'L29: invalid, whatever its polka: nil',
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(1, 0, null), precommit(2, 0, null)),
        ...silent(proposal(1, 'A', 0), certificate('prevote', [0, 1, 2], 0, 'A')),
        { input: validated('A', false), effects: ['prevote 1 nil'], state: '1 prevote' },
      ],
    },
    {
      desc: 'L29: a lock of round 0 yields to a polka of round 1 for another value',
      steps: [
        ...lockedOnA(2),
        ...silent(certificate('prevote', [0, 1, 2], 1, 'B'), validated('B')),
        { input: proposal(2, 'B', 1), effects: ['prevote 2 B'], state: '2 prevote lock A@0 valid B@1' },
      ],
    },
    {
      desc: 'L29: lockedRound <= polRound, equality included; a lock of a later round does not yield',
      steps: [
        ...silent(proposal(0, 'B'), validated('B'), timeout('propose', 0)),
        ...silent(precommit(0, 0, null), precommit(1, 0, null), precommit(2, 0, null)),
        ...silent(proposal(1, 'A'), validated('A'), selfVote('prevote', 3, 1, 'A'), prevote(0, 1, 'A')),
        { input: prevote(1, 1, 'A'), state: '1 precommit lock A@1 valid A@1' },
        ...silent(precommit(0, 1, null), precommit(1, 1, null), precommit(2, 1, null)),
        ...silent(certificate('prevote', [0, 1, 2], 0, 'B')),
        { input: proposal(2, 'B', 0), effects: ['prevote 2 nil'], state: '2 prevote lock A@1 valid A@1' },
      ],
    },
    {
      desc: 'L29: locked on the same value in a later round than polRound: prevote it',
      steps: [
        ...lockedOnA(1),
        ...silent(proposal(1, 'A', 0), selfVote('prevote', 3, 1, 'A'), prevote(0, 1, 'A')),
        { input: prevote(1, 1, 'A'), effects: ['precommit 1 A'] },
        ...silent(precommit(0, 1, null), precommit(1, 1, null), precommit(2, 1, null)),
        { input: proposal(2, 'A', 0), effects: ['prevote 2 A'], state: '2 prevote lock A@1 valid A@1' },
      ],
    },
  ],
  'rounds that memory must not lose': [
    {
      desc: 'L15-L16: the polka of the valid value, however many rounds ago',
      steps: [
        ...lockedOnA(42),
        ...silent(precommit(0, 42, null), precommit(1, 42, null)),
        {
          input: precommit(2, 42, null),
          effects: ['round 43 of 3', 'timer propose 43', 'propose 43 A pol 0'],
          state: '43 propose lock A@0 valid A@0',
        },
      ],
    },
    {
      desc: 'L28: the polka that a proposal rests on, fed after it',
      steps: [
        ...silent(work, prevote(0, 60, null), prevote(1, 60, null)),
        { input: proposal(60, 'A', 2), effects: ['validate A'], state: '60 propose' },
        { input: validated('A'), effects: [] },
        { input: certificate('prevote', [0, 1, 2], 2, 'A'), effects: ['prevote 60 A'], state: '60 prevote valid A@2' },
      ],
    },
    {
      desc: 'L49: the precommits that decided, while the body is awaited',
      steps: [
        ...silent(work, prevote(0, 60, null), prevote(1, 60, null)),
        { input: certificate('precommit', [0, 1, 2], 2, 'A'), effects: ['validate A unproposed', 'await A'] },
        ...silent(prevote(0, 100, null), prevote(1, 100, null)),
        { input: validated('A'), effects: ['commit A in 2 by 0,1,2'], state: '100 committed' },
      ],
    },
  ],
  'L34-L35 prevote timeout': [
    {
      desc: 'L34: once, by a quorum of validators whatever they prevote',
      steps: [
        ...silent(work, timeout('propose', 0), selfVote('prevote', 3, 0, null)),
        { input: prevote(0, 0, 'A'), effects: [] },
        { desc: 'the same message again', input: prevote(0, 0, 'A'), effects: [] },
        {
          desc: 'a contradiction is not a third voter',
          input: prevote(0, 0, 'B'),
          effects: ['evidence duplicate-vote A B'],
        },
        { input: prevote(1, 0, 'B'), effects: ['timer prevote 0'], state: '0 prevote' },
        { input: prevote(2, 0, 'C'), effects: [], state: '0 prevote' },
      ],
    },
    {
      desc: 'L34: not while still waiting for the proposal; armed on entering the step',
      steps: [
        ...silent(work, prevote(0, 0, 'A'), prevote(1, 0, 'B')),
        { input: prevote(2, 0, null), effects: [], state: '0 propose' },
        { input: timeout('propose', 0), effects: ['prevote 0 nil', 'timer prevote 0'], state: '0 prevote' },
      ],
    },
  ],
  'L36-L43 polka': [
    {
      desc: 'L37-L41: in step prevote: lock, valid, precommit',
      steps: [
        ...silent(proposal(0, 'A'), validated('A'), selfVote('prevote', 3, 0, 'A')),
        { input: prevote(0, 0, 'A'), effects: [] },
        { desc: 'by validator, not by message', input: prevote(0, 0, 'A'), effects: [], state: '0 prevote' },
        { input: prevote(1, 0, 'A'), effects: ['precommit 0 A'], state: '0 precommit lock A@0 valid A@0' },
        { desc: 'first time only', input: prevote(2, 0, 'A'), effects: [] },
      ],
    },
    {
      desc: 'L36: a bare majority is no quorum: 3 of 5',
      set: setOf([1, 1, 1, 1, 1]),
      self: 4,
      steps: polkaOfFive(),
    },
    {
      desc: 'L36: by power, not by heads: 3 of 4 heads with 4 of 7',
      set: setOf([3, 1, 1, 2]),
      self: 3,
      steps: weightedPolka(),
    },
    {
      desc: 'L42: in step precommit: the valid value alone, no lock and no second precommit',
      steps: [
        ...silent(proposal(0, 'A'), timeout('propose', 0), selfVote('prevote', 3, 0, null)),
        ...silent(prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { input: timeout('prevote', 0), effects: ['precommit 0 nil'], state: '0 precommit' },
        { input: prevote(2, 0, 'A'), effects: [], state: '0 precommit' },
        { input: validated('A'), effects: [], state: '0 precommit valid A@0' },
      ],
    },
    {
      desc: 'L36: a polka seen before the own prevote waits for it',
      steps: [
        ...silent(work, prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { input: prevote(2, 0, 'A'), effects: ['validate A unproposed'], state: '0 propose' },
        { input: validated('A'), effects: [], state: '0 propose' },
        {
          desc: 'the proposal: prevote and precommit',
          input: proposal(0, 'A'),
          effects: ['prevote 0 A', 'precommit 0 A'],
          state: '0 precommit lock A@0 valid A@0',
        },
      ],
    },
    {
      desc: 'L36: the lock moves with a later polka',
      steps: [
        ...lockedOnA(1),
        ...silent(timeout('propose', 1), selfVote('prevote', 3, 1, null)),
        ...silent(prevote(0, 1, 'B'), prevote(1, 1, 'B')),
        { input: prevote(2, 1, 'B'), effects: ['validate B unproposed'] },
        { input: validated('B'), effects: ['precommit 1 B'], state: '1 precommit lock B@1 valid B@1' },
      ],
    },
    {
      desc: 'L36: never for an invalid value',
      steps: [
        ...silent(proposal(0, 'A'), validated('A', false), selfVote('prevote', 3, 0, null)),
        ...silent(prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { input: prevote(2, 0, 'A'), effects: [], state: '0 prevote' },
        { input: timeout('prevote', 0), effects: ['precommit 0 nil'], state: '0 precommit' },
      ],
    },
    {
      desc: 'beyond L42: a polka of an earlier round, or its body, that comes late gives the valid value, never the lock',
      self: 1,
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(2, 0, null)),
        { input: precommit(3, 0, null), effects: ['round 1 of 1', 'timer propose 1', 'build 1'] },
        {
          input: certificate('prevote', [0, 2, 3], 0, 'A'),
          effects: ['validate A unproposed'],
          state: '1 propose',
        },
        { input: validated('A'), effects: ['propose 1 A pol 0'], state: '1 propose valid A@0' },
        { desc: 'the fresh value comes too late', input: built(1, 'B'), effects: [] },
      ],
    },
  ],
  'L44-L48 nil and the precommit timeout': [
    {
      desc: 'L44: a quorum of nil prevotes: precommit nil; the lock stays',
      steps: [
        ...lockedOnA(1),
        ...silent(timeout('propose', 1), prevote(0, 1, null), prevote(1, 1, null)),
        { input: prevote(2, 1, null), effects: ['precommit 1 nil'], state: '1 precommit lock A@0 valid A@0' },
      ],
    },
    {
      desc: 'L44: only in step prevote',
      steps: [
        ...silent(work, prevote(0, 0, null), prevote(1, 0, null)),
        { input: prevote(2, 0, null), effects: [], state: '0 propose' },
        { input: timeout('propose', 0), effects: ['prevote 0 nil', 'precommit 0 nil'], state: '0 precommit' },
      ],
    },
    {
      desc: 'L47: once, by a quorum of validators whatever they precommit, in any step',
      steps: [
        ...silent(work, precommit(0, 0, 'A')),
        { input: precommit(0, 0, 'A'), effects: [] },
        { input: precommit(1, 0, null), effects: [] },
        { input: precommit(2, 0, 'B'), effects: ['timer precommit 0'], state: '0 propose' },
        { input: selfVote('precommit', 3, 0, null), effects: [] },
        {
          desc: 'L65-L67',
          input: timeout('precommit', 0),
          effects: ['round 1 of 1', 'timer propose 1'],
          state: '1 propose',
        },
      ],
    },
    {
      desc: 'fast exit: a quorum of nil precommits ends the round at once',
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(1, 0, null)),
        { input: precommit(2, 0, null), effects: ['round 1 of 1', 'timer propose 1'], state: '1 propose' },
      ],
    },
    {
      desc: 'fast exit: not for two nil and one value',
      steps: [
        ...silent(work, precommit(0, 0, null), precommit(1, 0, null)),
        { input: precommit(2, 0, 'A'), effects: ['timer precommit 0'], state: '0 propose' },
      ],
    },
  ],
  'L49-L54 decision': [
    {
      desc: 'L49: a quorum of precommits and a valid body: commit, with all precommits for it, and the machine is finished',
      steps: [
        ...silent(proposal(0, 'A'), validated('A')),
        ...silent(precommit(0, 0, 'A'), precommit(2, 0, 'A')),
        { input: selfVote('precommit', 3, 0, 'A'), effects: ['commit A in 0 by 0,2,3'], state: '0 committed' },
        { input: precommit(1, 0, 'A'), effects: [], state: '0 committed' },
        { input: timeout('propose', 0), effects: [] },
      ],
    },
    {
      desc: 'L49: by validator, not by message',
      steps: [
        ...silent(proposal(0, 'A'), validated('A')),
        ...silent(precommit(0, 0, 'A'), precommit(0, 0, 'A'), precommit(0, 0, 'A')),
        { input: precommit(1, 0, 'A'), effects: [], state: '0 prevote' },
      ],
    },
    {
      desc: 'L49: without the body: ask for it, once; then commit',
      steps: [
        ...silent(work, precommit(0, 0, 'A'), precommit(1, 0, 'A')),
        { input: precommit(2, 0, 'A'), effects: ['validate A unproposed', 'await A', 'timer precommit 0'] },
        { input: selfVote('precommit', 3, 0, null), effects: [] },
        { input: validated('A'), effects: ['commit A in 0 by 0,1,2'], state: '0 committed' },
      ],
    },
    {
      desc: 'L49: an untimely value that a quorum decided is decided',
      steps: [
        ...silent(proposal(0, 'A'), validated('A', true, false), precommit(0, 0, 'A'), precommit(1, 0, 'A')),
        { input: precommit(2, 0, 'A'), effects: ['commit A in 0 by 0,1,2'], state: '0 committed' },
      ],
    },
    {
      desc: 'L49: an invalid one never is: the node and the quorum disagree, and await-body says so',
      steps: [
        ...silent(proposal(0, 'A'), validated('A', false), precommit(0, 0, 'A'), precommit(1, 0, 'A')),
        { input: precommit(2, 0, 'A'), effects: ['await A', 'timer precommit 0'], state: '0 prevote' },
      ],
    },
    {
      desc: 'L49: of any round, an earlier one here',
      steps: [
        ...silent(proposal(0, 'A'), validated('A'), precommit(0, 0, 'A'), precommit(1, 0, null), precommit(2, 0, 'A')),
        { input: timeout('precommit', 0), state: '1 propose' },
        { input: selfVote('precommit', 3, 0, 'A'), effects: ['commit A in 0 by 0,2,3'], state: '1 committed' },
      ],
    },
    {
      desc: 'L49: a later round, by certificate',
      steps: [
        ...silent(proposal(0, 'A'), validated('A')),
        {
          input: certificate('precommit', [0, 1, 2], 40, 'A'),
          effects: ['round 40 of 0', 'timer propose 40', 'commit A in 40 by 0,1,2'],
          state: '40 committed',
        },
      ],
    },
  ],
  'L55-L56 round skip': [
    {
      desc: 'L55: one validator of four alone moves nobody, whatever it sends',
      steps: [
        { input: work },
        { input: prevote(0, 5, 'A'), effects: [], state: '0 propose' },
        { input: precommit(0, 5, 'A'), effects: [], state: '0 propose' },
        { input: prevote(0, 6, null), effects: [], state: '0 propose' },
        { input: precommit(0, 4_000_000_000, null), effects: [], state: '0 propose' },
      ],
    },
    {
      desc: 'L55: exactly a third is not enough: one of three',
      set: setOf([1, 1, 1]),
      self: 2,
      steps: [
        { input: inputsFor(setOf([1, 1, 1])).work },
        { input: inputsFor(setOf([1, 1, 1])).precommit(0, 3, null), effects: [], state: '0 propose' },
      ],
    },
    {
      desc: 'L55: two of four, prevotes and precommits counted together',
      steps: [
        { input: work },
        { input: prevote(0, 5, 'A'), effects: [] },
        { input: precommit(1, 5, null), effects: ['round 5 of 1', 'timer propose 5'], state: '5 propose' },
      ],
    },
    {
      desc: 'L55: to the highest round that more than a third has reached',
      steps: [
        { input: work },
        { input: prevote(0, 30, 'A'), effects: [] },
        { input: prevote(1, 20, 'A'), effects: ['round 20 of 0', 'timer propose 20'], state: '20 propose' },
        { input: prevote(1, 31, null), effects: ['round 30 of 2', 'timer propose 30'], state: '30 propose' },
      ],
    },
  ],
  'L57-L67 timeouts': [
    {
      desc: 'L57: the propose timeout prevotes nil; a verdict that comes later does not revoke it',
      steps: [
        { input: proposal(0, 'A') },
        { input: timeout('propose', 0), effects: ['prevote 0 nil'], state: '0 prevote' },
        { input: validated('A'), effects: [], state: '0 prevote' },
        ...silent(prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { desc: 'the first verdict stands', input: validated('A', false), effects: [] },
        { desc: 'but makes L36 possible', input: prevote(2, 0, 'A'), effects: ['precommit 0 A'] },
      ],
    },
    {
      desc: 'L57, L61: timeouts of other steps and rounds, or never asked for, do nothing',
      steps: [
        { input: work },
        { input: timeout('prevote', 0), effects: [], state: '0 propose' },
        { input: timeout('precommit', 0), effects: [], state: '0 propose' },
        { input: timeout('propose', 1), effects: [], state: '0 propose' },
        { input: timeout('propose', 0), effects: ['prevote 0 nil'] },
        { input: timeout('propose', 0), effects: [] },
        { input: timeout('prevote', 0), effects: [], state: '0 prevote' },
      ],
    },
    {
      desc: 'L61: the prevote timeout precommits nil',
      steps: [
        ...silent(work, timeout('propose', 0), prevote(0, 0, 'A'), prevote(1, 0, 'B'), prevote(2, 0, null)),
        { input: timeout('prevote', 0), effects: ['precommit 0 nil'], state: '0 precommit' },
      ],
    },
  ],
  equivocation: [
    {
      desc: 'a second prevote of one slot is evidence, once; the first stays counted',
      steps: [
        { input: work },
        { input: prevote(0, 0, 'A') },
        { input: prevote(0, 0, 'B'), effects: ['evidence duplicate-vote A B'] },
        { input: prevote(0, 0, null), effects: [] },
        { desc: 'another slot', input: precommit(0, 0, 'A'), effects: [] },
        { input: precommit(0, 0, null), effects: ['evidence duplicate-vote nil A'] },
      ],
    },
    {
      desc: 'L36: a traitor who showed us another prevote cannot keep the polka of the others from us',
      steps: [
        ...silent(proposal(0, 'A'), validated('A'), selfVote('prevote', 3, 0, 'A'), prevote(0, 0, 'B')),
        { input: prevote(1, 0, 'A'), effects: ['timer prevote 0'], state: '0 prevote' },
        {
          input: prevote(0, 0, 'A'),
          effects: ['evidence duplicate-vote A B', 'precommit 0 A'],
          state: '0 precommit lock A@0 valid A@0',
        },
      ],
    },
    {
      desc: 'L28: nor by a certificate, even after two other votes',
      steps: [
        ...silent(work, prevote(0, 0, 'B'), prevote(0, 0, 'C')),
        ...silent(precommit(0, 0, null), precommit(1, 0, null), precommit(2, 0, null)),
        ...silent(proposal(1, 'A', 0), validated('A')),
        { input: certificate('prevote', [0, 1, 2], 0, 'A'), effects: ['prevote 1 A'], state: '1 prevote valid A@0' },
      ],
    },
    {
      desc: 'a certificate below the quorum counts for nothing',
      steps: [
        { input: proposal(0, 'A') },
        { input: validated('A') },
        { input: certificate('precommit', [0, 1], 0, 'A'), effects: [] },
        { input: precommit(2, 0, 'A'), effects: [], state: '0 prevote' },
      ],
    },
  ],
  'who signs': [
    {
      desc: 'a follower counts, validates and commits, and signs nothing',
      self: null,
      steps: [
        { input: proposal(0, 'A'), effects: ['round 0 of 0', 'timer propose 0', 'validate A'] },
        { input: validated('A'), effects: [], state: '0 prevote' },
        ...silent(prevote(0, 0, 'A'), prevote(1, 0, 'A')),
        { input: prevote(2, 0, 'A'), effects: [], state: '0 precommit lock A@0 valid A@0' },
        ...silent(precommit(0, 0, 'A'), precommit(1, 0, 'A')),
        { input: precommit(2, 0, 'A'), effects: ['commit A in 0 by 0,1,2'] },
      ],
    },
    {
      desc: 'a key outside the set follows',
      self: 9,
      steps: [{ input: work }, { input: timeout('propose', 0), effects: [], state: '0 prevote' }],
    },
    {
      desc: 'one validator commits alone, through its own votes',
      set: setOf([5]),
      self: 0,
      steps: aloneSteps(),
    },
  ],
};

function polkaOfFive(): TableStep[] {
  const five = inputsFor(setOf([1, 1, 1, 1, 1]));
  return [
    ...silent(five.proposal(0, 'A'), five.validated('A'), five.selfVote('prevote', 4, 0, 'A'), five.prevote(0, 0, 'A')),
    { input: five.prevote(1, 0, 'A'), effects: [], state: '0 prevote' },
    { input: five.prevote(2, 0, 'A'), effects: ['precommit 0 A'], state: '0 precommit lock A@0 valid A@0' },
    ...silent(five.precommit(0, 0, 'A'), five.precommit(1, 0, 'A')),
    { input: five.precommit(2, 0, 'A'), effects: [], state: '0 precommit lock A@0 valid A@0' },
    { input: five.precommit(3, 0, 'A'), effects: ['commit A in 0 by 0,1,2,3'] },
  ];
}

function weightedPolka(): TableStep[] {
  const set = inputsFor(setOf([3, 1, 1, 2]));
  return [
    ...silent(set.proposal(0, 'A'), set.validated('A'), set.selfVote('prevote', 3, 0, 'A'), set.prevote(1, 0, 'A')),
    { input: set.prevote(2, 0, 'A'), effects: [], state: '0 prevote' },
    { input: set.prevote(0, 0, 'A'), effects: ['precommit 0 A'] },
  ];
}

function aloneSteps(): TableStep[] {
  const one = inputsFor(setOf([5]));
  return [
    { input: one.work, effects: ['round 0 of 0', 'timer propose 0', 'build 0'] },
    { input: one.built(0, 'A'), effects: ['propose 0 A pol -1'] },
    { input: one.selfProposal(0, 'A'), effects: ['validate A'] },
    { input: one.validated('A'), effects: ['prevote 0 A'] },
    { input: one.selfVote('prevote', 0, 0, 'A'), effects: ['precommit 0 A'], state: '0 precommit lock A@0 valid A@0' },
    {
      input: one.selfVote('precommit', 0, 0, 'A'),
      effects: ['commit A in 0 by 0'],
      state: '0 committed lock A@0 valid A@0',
    },
  ];
}

describe('consensus rules', () => {
  for (const [group, tables] of Object.entries(TABLES)) {
    describe(group, () => {
      for (const table of tables) {
        it(table.desc, () => {
          runTable(table);
        });
      }
    });
  }

  it('timeouts grow by the round up to the cap', () => {
    assert.equal(timeoutMs(TIMEOUTS, 'propose', 0), 600);
    assert.equal(timeoutMs(TIMEOUTS, 'propose', 4), 1600);
    assert.equal(timeoutMs(TIMEOUTS, 'prevote', 3), 600);
    assert.equal(timeoutMs(TIMEOUTS, 'precommit', 3), 600);
    assert.equal(timeoutMs(TIMEOUTS, 'propose', 1e6), 10_000);
  });
});
