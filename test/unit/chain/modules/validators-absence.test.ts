import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PublicKey } from '../../../../src/bytes.ts';
import { bytesKey, equalBytes } from '../../../../src/bytes.ts';
import {
  getAbsences,
  MAX_DEMOTION_HEIGHTS,
  MAX_MISSES,
  missedTurns,
  setAbsences,
} from '../../../../src/chain/modules/validators-absence.ts';
import type { Change } from '../../../../src/chain/modules/validators-state.ts';
import { ABSENCES_KEY } from '../../../../src/chain/modules/validators-state.ts';
import { memoryState, StateOverlay } from '../../../../src/chain/state.ts';
import type { ValidatorSet } from '../../../../src/chain/validator-set.ts';
import {
  exceedsOneThird,
  hasQuorum,
  MAX_VALIDATORS,
  proposerOf,
  rotate,
  validatorIndex,
} from '../../../../src/chain/validator-set.ts';
import { setOfPowers, ValidatorHeights } from '../../../util/validator-heights.ts';

const four = (demoted: readonly number[] = []): ValidatorHeights =>
  new ValidatorHeights(setOfPowers([1, 1, 1, 1]), demoted);
const key = (i: number): PublicKey => new Uint8Array(32).fill(i + 1);
const indexesOf = (set: ValidatorSet, keys: readonly PublicKey[]): number[] =>
  keys.map((publicKey) => validatorIndex(set, publicKey));

/** Ends heights with validator `absent` away: the first other proposer makes the block. */
function without(chain: ValidatorHeights, absent: number, heights: number): void {
  for (let i = 0; i < heights; i++) {
    const set = chain.sets.current;
    const round = validatorIndex(set, proposerOf(set, 0).publicKey) === absent ? 1 : 0;
    chain.commit({ round, signers: [0, 1, 2, 3].filter((index) => index !== absent) });
  }
}

describe('absent proposers', () => {
  it('a chain without trouble remembers nothing and writes nothing for it', () => {
    const chain = four();
    for (let i = 0; i < 20; i++) {
      const changes = chain.commit({ signers: [0, 1, 2] });
      assert.equal(changes.size, 1, 'the sets alone');
      assert.deepEqual([chain.absences, chain.demoted], [[], []]);
    }
  });

  it('a turn missed at h shows in the set of h + 2, and wears off at h + 2n without a sign of life', () => {
    const chain = four();
    chain.commit({ round: 1, signers: [1, 2, 3] });
    assert.deepEqual([chain.absences, chain.demoted], [[], []]);
    chain.commit({ signers: [1, 2, 3] });
    assert.deepEqual(chain.absences, [{ publicKey: key(0), misses: 1, untilHeight: 9, present: 0 }]);
    for (let height = 3; height <= 9; height++) {
      assert.equal(chain.height, height);
      assert.deepEqual(chain.demoted, [0]);
      assert.notDeepEqual(proposerOf(chain.sets.current, 0).publicKey, key(0));
      chain.commit({ signers: [1, 2, 3] });
    }
    assert.deepEqual(chain.demoted, []);
    assert.equal(chain.absences[0]?.misses, 1);
  });

  it('is demoted for twice as long with each miss, to a limit, and never for good', () => {
    const chain = four();
    const spans: number[] = [];
    let before = 0;
    for (let height = 1; height <= 500; height++) {
      without(chain, 0, 1);
      const absence = chain.absences[0];
      if (absence && absence.untilHeight !== before) spans.push(absence.untilHeight - (height - 1));
      before = absence?.untilHeight ?? before;
      assert.ok((absence?.misses ?? 0) <= MAX_MISSES);
    }
    assert.deepEqual(spans.slice(0, 5), [8, 16, 32, 64, 64]);
    assert.ok(spans.every((span) => span <= MAX_DEMOTION_HEIGHTS));
    assert.ok(chain.late().length <= 4 + 500 / MAX_DEMOTION_HEIGHTS);
  });

  it('is cleared early by 2^misses of its precommits in last commits, in a row or not', () => {
    const chain = four();
    chain.commit({ round: 1 });
    chain.commit({ signers: [0, 1, 2] });
    assert.deepEqual(chain.demoted, [0]);
    chain.commit({ signers: [1, 2, 3] });
    assert.equal(chain.absences[0]?.present, 1);
    chain.commit({ signers: [0, 1, 2] });
    assert.deepEqual(chain.demoted, [0]);
    chain.commit({});
    assert.deepEqual(chain.demoted, []);
    assert.deepEqual(chain.absences, [{ publicKey: key(0), misses: 1, untilHeight: 0, present: 0 }]);
  });

  it('its own precommit for the height it missed is no sign of life', () => {
    const chain = four();
    chain.commit({ round: 1, signers: [0, 1, 2] });
    chain.commit({ signers: [1, 2, 3] });
    assert.equal(chain.absences[0]?.present, 0);
  });

  it('each block of its own takes one miss back', () => {
    const chain = four();
    without(chain, 0, 200);
    let misses = chain.absences[0]?.misses ?? 0;
    assert.ok(misses >= 5);
    while (misses > 0) {
      const { proposer } = chain.outcomes[chain.outcomes.length - 1] ?? {};
      chain.commit({});
      const own = equalBytes(chain.outcomes.at(-1)?.proposer ?? key(9), key(0));
      const now = chain.absences[0]?.misses ?? 0;
      assert.equal(now, own ? misses - 1 : misses);
      if (own) assert.deepEqual(chain.demoted, []);
      assert.ok(chain.height < 400 && proposer);
      misses = now;
    }
    assert.deepEqual(chain.absences, []);
  });

  it('who made the block was there, whatever round it was committed in; so was who proposed it again', () => {
    const set = setOfPowers([1, 1, 1, 1, 1, 1, 1]);
    assert.deepEqual(indexesOf(set, missedTurns(set, key(0), 1)), []);
    assert.deepEqual(indexesOf(set, missedTurns(set, key(1), 1)), [0]);
    assert.deepEqual(indexesOf(set, missedTurns(set, key(0), 2)), [1]);
    assert.deepEqual(indexesOf(set, missedTurns(set, key(2), 2)), [0, 1]);
    const uneven = setOfPowers([3, 1, 1, 1, 1, 1, 1]);
    const turns = [0, 1, 2, 3, 4, 5, 6].map((round) => validatorIndex(uneven, proposerOf(uneven, round).publicKey));
    const again = turns.lastIndexOf(turns[0] ?? 0);
    assert.ok(again > 0, turns.join());
    const missed = indexesOf(uneven, missedTurns(uneven, key(turns[1] ?? 0), again));
    assert.ok(!missed.includes(turns[0] ?? -1));
  });

  it('never more than a third of the power is blamed for a height, however many rounds it took', () => {
    for (const powers of [[1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [4, 3, 3, 2, 1], [1, 1, 1, 1, 1, 1, 1]]) {
      const set = setOfPowers(powers);
      for (const round of [0, 1, 2, 3, 5, 8, 1000, 2 ** 32 - 1]) {
        const missed = indexesOf(set, missedTurns(set, key(0), round));
        assert.ok(
          !exceedsOneThird(
            set,
            missed.reduce((sum, index) => sum + (powers[index] ?? 0), 0),
          ),
        );
        assert.equal(new Set(missed).size, missed.length);
      }
    }
    const set = setOfPowers([1, 1, 1, 1]);
    assert.deepEqual(indexesOf(set, missedTurns(set, key(3), 3)), [0]);
  });

  it('forgets who leaves, and takes nothing over to a rotated key', () => {
    const changes: Change[] = [
      { kind: 'remove', publicKey: key(0) },
      { kind: 'rotate', publicKey: key(0), newKey: key(8), proof: new Uint8Array(64) },
    ];
    for (const change of changes) {
      const chain = four();
      without(chain, 0, 2);
      assert.deepEqual(chain.demoted, [0]);
      chain.queue(change);
      without(chain, 0, 1);
      assert.equal(chain.absences.length, 1, 'it is a validator of the next height still');
      const signers = change.kind === 'remove' ? [0, 1, 2] : [0, 1, 2, 3];
      chain.commit({ signers: [1, 2, 3] });
      assert.equal(validatorIndex(chain.sets.current, key(0)), -1);
      assert.deepEqual([chain.absences, chain.demoted], [[], []]);
      chain.commit({ signers });
      assert.deepEqual(chain.absences, []);
    }
  });

  it('a turn missed at its last height leaves no entry', () => {
    const chain = four();
    chain.queue({ kind: 'remove', publicKey: key(1) });
    chain.commit({});
    assert.equal(validatorIndex(chain.sets.current, key(1)), 1);
    chain.commit({ round: 1, signers: [0, 2, 3] });
    assert.equal(validatorIndex(chain.sets.current, key(1)), -1);
    chain.commit({ signers: [0, 1, 2] });
    assert.deepEqual(chain.absences, []);
  });

  it('entries are read back as written, and deleted when none is left', () => {
    const state = new StateOverlay(memoryState());
    const absences = Array.from({ length: MAX_VALIDATORS }, (_, i) => ({
      publicKey: key(i),
      misses: (i % MAX_MISSES) + 1,
      untilHeight: i * 1000,
      present: i % 64,
    }));
    setAbsences(state, absences);
    assert.deepEqual(getAbsences(state), absences);
    const written = state.get(ABSENCES_KEY);
    setAbsences(state, absences);
    assert.equal(state.get(ABSENCES_KEY), written, 'not written again');
    setAbsences(state, []);
    assert.deepEqual([getAbsences(state), state.get(ABSENCES_KEY)], [[], undefined]);
    assert.throws(() => getAbsences(memoryState(new Map([[ABSENCES_KEY, new Uint8Array(3)]]))), { code: 'CODEC' });
  });
});

// A model: the same rules over the whole history, validator by validator

interface Passed {
  readonly height: number;
  readonly set: ValidatorSet;
  readonly proposer: PublicKey;
  readonly round: number;
  readonly signers: readonly number[];
}

/** Plain turns of the first heights' worth, those of the demoted last; plain turns after them. */
function turnsOf(set: ValidatorSet, count: number): PublicKey[] {
  const plain: PublicKey[] = [];
  for (let at = set; plain.length < Math.max(count, set.validators.length); ) {
    const { set: after, proposer } = rotate(at);
    plain.push(proposer.publicKey);
    at = after;
  }
  const isDemoted = (turn: PublicKey): boolean =>
    set.validators.some(({ publicKey, demoted }) => demoted && equalBytes(publicKey, turn));
  const first = plain.slice(0, set.validators.length);
  const sorted = [...first.filter((turn) => !isDemoted(turn)), ...first.filter(isDemoted)];
  return [...sorted, ...plain.slice(set.validators.length)];
}

function isBlamed({ set, proposer, round }: Passed, self: PublicKey): boolean {
  const turns = turnsOf(set, round + 1);
  const size = set.validators.length;
  const excused = [proposer, ...(round < size ? [turns[round]] : [])].map((turn) => turn && bytesKey(turn));
  const late = new Set(turns.slice(0, Math.min(round, size)).map(bytesKey));
  let power = 0;
  for (const turn of late) {
    if (excused.includes(turn)) continue;
    power += set.validators.find(({ publicKey }) => bytesKey(publicKey) === turn)?.power ?? 0;
    if (power * 3 > set.totalPower) return false;
    if (turn === bytesKey(self)) return true;
  }
  return false;
}

/** Whether a validator that was there all along is demoted at the height after the last one passed. */
function modelOf(history: readonly Passed[], self: PublicKey): { misses: number; isDemoted: boolean } {
  let misses = 0;
  let until = 0;
  let seen = 0;
  history.forEach((block, i) => {
    const parent = history[i - 1];
    const index = parent ? validatorIndex(parent.set, self) : -1;
    if (parent?.signers.includes(index) === true && until > block.height && ++seen >= 2 ** misses) until = 0;
    if (parent && isBlamed(parent, self)) {
      misses = Math.min(misses + 1, 6);
      until = parent.height + Math.min(2 ** misses * parent.set.validators.length, 64);
      seen = 0;
    }
    if (equalBytes(block.proposer, self)) {
      misses = Math.max(misses - 1, 0);
      until = 0;
    }
  });
  return { misses, isDemoted: misses > 0 && until >= (history.at(-1)?.height ?? 0) + 1 };
}

describe('absent proposers over any history', () => {
  const heights = fc.array(
    fc.record({
      round: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3) }, fc.nat(20)),
      madeIn: fc.nat(20),
      absent: fc.nat(127),
      change: fc.option(fc.nat(60), { freq: 12 }),
    }),
    { minLength: 1, maxLength: 90 },
  );
  const powers = fc.oneof(
    fc.integer({ min: 1, max: 8 }).map((n) => new Array<number>(n).fill(1)),
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
  );

  it('flags and counts are those of the model; turns are a fair order; memory is bounded by the set', () => {
    let demotions = 0;
    fc.assert(
      fc.property(powers, heights, (weights, steps) => {
        const chain = new ValidatorHeights(setOfPowers(weights));
        const history: Passed[] = [];
        for (const { round, madeIn, absent, change } of steps) {
          const { height } = chain;
          const set = chain.sets.current;
          assert.deepEqual(
            Array.from({ length: 12 }, (_, at) => proposerOf(set, at).publicKey),
            turnsOf(set, 12).slice(0, 12),
          );
          const proposer = proposerOf(set, Math.min(madeIn, round)).publicKey;
          const all = set.validators.map((_, i) => i);
          const some = all.filter((i) => ((absent >> (i % 7)) & 1) === 0);
          const power = some.reduce((sum, i) => sum + (set.validators[i]?.power ?? 0), 0);
          const signers = hasQuorum(set, power) ? some : all;
          if (change !== null) chain.queue(changeOf(change, set, height));
          chain.commit({ round, proposer, signers });
          history.push({ height, set, proposer, round, signers });
          checkAgainstModel(chain, history);
          demotions += chain.demoted.length;
        }
      }),
      { numRuns: 150 },
    );
    assert.ok(demotions > 100, `${demotions} demotions`);
  });

  it('after 64 quiet heights nobody is demoted, and after as many turns as there can be misses nothing is left', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), heights, (n, steps) => {
        const chain = new ValidatorHeights(setOfPowers(new Array<number>(n).fill(1)));
        for (const { round, absent } of steps) {
          const signers = Array.from({ length: n }, (_, i) => i).filter((i) => i !== absent % n);
          chain.commit({ round, signers });
        }
        for (let i = 0; i <= MAX_DEMOTION_HEIGHTS; i++) chain.commit({});
        assert.deepEqual(chain.demoted, []);
        for (let i = 0; i <= n * MAX_MISSES; i++) chain.commit({});
        assert.deepEqual(chain.absences, []);
      }),
      { numRuns: 60 },
    );
  });
});

/** Leaves, rotations and newcomers, some of which do not fit and change nothing. */
function changeOf(seed: number, set: ValidatorSet, height: number): Change {
  const publicKey = set.validators[seed % set.validators.length]?.publicKey ?? key(0);
  const newKey = new Uint8Array(32).fill(100 + (seed % 100)).fill(height, 0, 1);
  const proof = new Uint8Array(64);
  if (seed % 3 === 0) return { kind: 'remove', publicKey };
  if (seed % 3 === 1) return { kind: 'rotate', publicKey, newKey, proof };
  return { kind: 'add', publicKey: newKey, operator: new Uint8Array(20), name: '', proof };
}

function checkAgainstModel(chain: ValidatorHeights, history: readonly Passed[]): void {
  const { current, next } = chain.sets;
  assert.ok(next.validators.every(({ demoted }) => !demoted));
  assert.ok(chain.absences.length <= current.validators.length);
  const kept = new Map(chain.absences.map((absence) => [bytesKey(absence.publicKey), absence]));
  for (const { publicKey, demoted } of current.validators) {
    const model = modelOf(history, publicKey);
    assert.equal(demoted, model.isDemoted);
    assert.equal(kept.get(bytesKey(publicKey))?.misses ?? 0, model.misses);
    kept.delete(bytesKey(publicKey));
  }
  assert.equal(kept.size, 0, 'of validators of the next height alone');
}
