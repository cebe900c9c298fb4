import assert from 'node:assert/strict';
import { startHeight, step } from '../../../src/consensus/machine.ts';
import type { Effect, Input } from '../../../src/consensus/types.ts';
import type { Outcome } from './cluster.ts';
import { runCluster } from './cluster.ts';
import { describeEffect, heightStart, inputsFor, setOf } from './table.ts';

const FAULTS_MS = 12_000;
const END_MS = 27_000;

interface Series {
  readonly desc: string;
  readonly powers: readonly number[];
  readonly traitors?: readonly number[];
  readonly seeds: number;
}

const SERIES: readonly Series[] = [
  { desc: 'one validator', powers: [1], seeds: 20 },
  { desc: 'three, no traitor', powers: [1, 1, 1], seeds: 200 },
  { desc: 'four, no traitor', powers: [1, 1, 1, 1], seeds: 200 },
  { desc: 'four, one a traitor that proposes first', powers: [1, 1, 1, 1], traitors: [0], seeds: 300 },
  { desc: 'four, one a traitor that proposes last', powers: [1, 1, 1, 1], traitors: [3], seeds: 200 },
  { desc: 'five of unequal power, a traitor below a third', powers: [4, 3, 3, 2, 1], traitors: [1], seeds: 150 },
  { desc: 'seven, two traitors', powers: [1, 1, 1, 1, 1, 1, 1], traitors: [1, 4], seeds: 100 },
];

function run(series: Series, seed: number): Outcome {
  const { powers, traitors } = series;
  return runCluster({ seed, powers, traitors: traitors ?? [], faultsUntilMs: FAULTS_MS, endMs: END_MS });
}

describe('consensus cluster', () => {
  const totals = { rounds: 0, crashes: 0, evidence: 0, conflictingLocks: 0, slowestMs: 0 };
  for (const series of SERIES) {
    it(`${series.desc}: one block, never two, and soon once the faults stop`, () => {
      for (let seed = 1; seed <= series.seeds; seed++) {
        const outcome = run(series, seed);
        const where = `seed ${seed} of ${series.desc}`;
        assert.deepEqual(outcome.violations, [], where);
        assert.equal(outcome.commits.size, outcome.honest, `${where}: not all committed by ${END_MS} ms`);
        const lastMs = Math.max(...[...outcome.commits.values()].map(({ atMs }) => atMs));
        totals.slowestMs = Math.max(totals.slowestMs, lastMs - FAULTS_MS);
        totals.rounds += outcome.topRound > 0 ? 1 : 0;
        totals.crashes += outcome.crashes;
        totals.evidence += outcome.evidence;
        totals.conflictingLocks += outcome.conflictingLocks ? 1 : 0;
      }
    });
  }

  it('reached what it is for: later rounds, crashes, traitors seen, locks that conflict', () => {
    assert.ok(totals.rounds >= 100, `rounds ${totals.rounds}`);
    assert.ok(totals.crashes >= 100, `crashes ${totals.crashes}`);
    assert.ok(totals.evidence >= 100, `evidence ${totals.evidence}`);
    assert.ok(totals.conflictingLocks >= 5, `conflicting locks ${totals.conflictingLocks}`);
  });

  it('is the same run for the same seed', () => {
    const series = SERIES[3];
    assert.ok(series);
    assert.deepEqual(run(series, 5), run(series, 5));
  });
});

describe('control: three validators with a traitor', () => {
  it('fork by this schedule: the honest two apart, the traitor tells each another story', () => {
    const set = setOf([1, 1, 1]);
    const { proposal, validated, prevote, precommit, selfVote } = inputsFor(set);
    const decide = (self: number, block: string): string => {
      const story: Input[] = [
        proposal(0, block),
        validated(block),
        selfVote('prevote', self, 0, block),
        prevote(0, 0, block),
        selfVote('precommit', self, 0, block),
        precommit(0, 0, block),
      ];
      let { state, effects } = startHeight(heightStart(set, self));
      let last: Effect | undefined;
      for (const input of story) {
        ({ state, effects } = step(state, input));
        last = effects.at(-1) ?? last;
      }
      assert.ok(last);
      return describeEffect(set, last);
    };
    assert.equal(decide(1, 'A'), 'commit A in 0 by 0,1');
    assert.equal(decide(2, 'B'), 'commit B in 0 by 0,2');
  });

  it('fork in some seed of the same cluster that holds for four', () => {
    const series: Series = { desc: 'three, one a traitor', powers: [1, 1, 1], traitors: [0], seeds: 0 };
    let forked = 0;
    for (let seed = 1; seed <= 300 && forked === 0; seed++) {
      forked = run(series, seed).violations.includes('two blocks were committed') ? seed : 0;
    }
    assert.ok(forked > 0, 'the control never forked: the cluster is too kind to find faults');
  });
});
