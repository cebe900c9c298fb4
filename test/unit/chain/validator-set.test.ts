import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { SetChange, Validator, ValidatorSet } from '../../../src/chain/validator-set.ts';
import {
  changeSet,
  createValidatorSet,
  decodeValidatorSet,
  encodeValidatorSet,
  exceedsOneThird,
  findValidator,
  hasQuorum,
  MAX_POWER,
  MAX_VALIDATORS,
  proposerOf,
  rotate,
  validatorIndex,
  validatorSetHash,
  withDemotions,
} from '../../../src/chain/validator-set.ts';

const keyOf = (i: number): Uint8Array => new Uint8Array(32).fill(i & 255).fill(i >> 8, 0, 1);

const validatorOf = (i: number, power: number): Validator => ({
  publicKey: keyOf(i),
  power,
  operator: new Uint8Array(20).fill(i),
  name: `v${i}`,
  priority: 0,
  demoted: false,
});

const setOf = (...powers: number[]): ValidatorSet =>
  createValidatorSet(powers.map((power, i) => validatorOf(i + 1, power)));

/** How often each validator proposes over so many heights, by index; and the set after them. */
function proposals(set: ValidatorSet, heights: number): { counts: number[]; set: ValidatorSet } {
  const counts = set.validators.map(() => 0);
  for (let height = 0; height < heights; height++) {
    const { set: next, proposer } = rotate(set);
    const index = validatorIndex(set, proposer.publicKey);
    counts[index] = (counts[index] ?? 0) + 1;
    set = next;
  }
  return { counts, set };
}

function maxPriority(set: ValidatorSet): number {
  return Math.max(...set.validators.map(({ priority }) => Math.abs(priority)));
}

function prioritySum(set: ValidatorSet): number {
  return set.validators.reduce((sum, { priority }) => sum + priority, 0);
}

describe('validator set', () => {
  it('is ordered by key', () => {
    const set = createValidatorSet([validatorOf(3, 1), validatorOf(1, 2), validatorOf(2, 3)]);
    assert.deepEqual(
      set.validators.map(({ name }) => name),
      ['v1', 'v2', 'v3'],
    );
    assert.equal(set.totalPower, 6);
    assert.equal(validatorIndex(set, keyOf(2)), 1);
    assert.equal(findValidator(set, keyOf(3))?.name, 'v3');
    assert.equal(validatorIndex(set, keyOf(9)), -1);
    assert.equal(findValidator(set, keyOf(9)), undefined);
  });

  it('is not empty, not too large, has no key twice and only powers in range', () => {
    const many = Array.from({ length: MAX_VALIDATORS + 1 }, (_, i) => validatorOf(i, 1));
    assert.equal(createValidatorSet(many.slice(1)).totalPower, MAX_VALIDATORS);
    for (const validators of [[], many, [validatorOf(1, 1), validatorOf(1, 2)]]) {
      assert.throws(() => createValidatorSet(validators), { code: 'BAD_BLOCK' });
    }
    for (const power of [0, -1, 0.5, NaN, MAX_POWER + 1]) {
      assert.throws(() => createValidatorSet([validatorOf(1, power), validatorOf(2, 5)]), { code: 'BAD_BLOCK' });
    }
  });

  it('hashes to what its members are, whatever their priorities', () => {
    const set = setOf(1, 2, 3);
    const hash = toHex(validatorSetHash(pureHasher, set));
    assert.equal(toHex(validatorSetHash(pureHasher, rotate(set).set)), hash);
    assert.equal(
      toHex(
        validatorSetHash(
          pureHasher,
          withDemotions(set, () => true),
        ),
      ),
      hash,
    );
    const others = [setOf(1, 2, 4), setOf(1, 2), createValidatorSet([...set.validators.slice(1), validatorOf(9, 1)])];
    for (const other of others) assert.notEqual(toHex(validatorSetHash(pureHasher, other)), hash);
  });
});

describe('quorum', () => {
  // Equal powers: validators, least quorum, crashes survived, traitors survived.
  const table = [
    [1, 1, 0, 0],
    [2, 2, 0, 0],
    [3, 2, 1, 0],
    [4, 3, 1, 1],
    [5, 4, 1, 1],
    [6, 4, 2, 1],
    [7, 5, 2, 2],
    [8, 6, 2, 2],
    [9, 6, 3, 2],
    [10, 7, 3, 3],
  ] as const;

  for (const [n, quorum, crashes, traitors] of table) {
    it(`of ${n} equal validators is ${quorum}: ${crashes} may crash, ${traitors} may lie`, () => {
      for (const power of [1, 7, MAX_POWER]) {
        const set = setOf(...new Array<number>(n).fill(power));
        assert.ok(hasQuorum(set, quorum * power));
        assert.ok(!hasQuorum(set, (quorum - 1) * power));
        assert.ok(hasQuorum(set, (n - crashes) * power));
        assert.ok(!hasQuorum(set, (n - crashes - 1) * power));
        // Two quorums share an honest validator: the traitors are fewer than a third, and one more would not be.
        const shared = 2 * quorum - n;
        assert.ok(shared > traitors && 3 * traitors < n && 3 * (traitors + 1) >= n);
      }
    });
  }

  it('of unequal powers is the exact two thirds, and a third must be exceeded', () => {
    const set = setOf(40, 30, 30);
    assert.ok(!hasQuorum(set, 60) && hasQuorum(set, 70) && hasQuorum(set, 67) && !hasQuorum(set, 66));
    assert.ok(!exceedsOneThird(set, 33) && exceedsOneThird(set, 34));
    const three = setOf(1, 1, 1);
    assert.ok(!exceedsOneThird(three, 1) && exceedsOneThird(three, 2));
  });
});

describe('proposer rotation', () => {
  it('takes turns among equals, the lowest key first', () => {
    const set = setOf(1, 1, 1, 1);
    const turns = Array.from({ length: 8 }, (_, round) => proposerOf(set, round).name);
    assert.deepEqual(turns, ['v1', 'v2', 'v3', 'v4', 'v1', 'v2', 'v3', 'v4']);
  });

  it('gives the proposer of a round whatever was asked before, and of the next height the next turn', () => {
    const set = setOf(3, 1, 2);
    const expected = [0, 1, 2, 3, 4, 5, 6, 7].map((round) => {
      let { proposer, set: next } = rotate(set);
      for (let step = 0; step < round; step++) ({ proposer, set: next } = rotate(next));
      return proposer.name;
    });
    for (const round of [5, 0, 7, 3, 1, 6, 2, 4]) assert.equal(proposerOf(set, round).name, expected[round]);
    assert.equal(proposerOf(rotate(set).set, 0).name, expected[1]);
  });

  it('a far round is found, and its proposer is a member of the set itself, so that rounds cost next to no memory', () => {
    const set = setOf(1, 1, 1, 1);
    const far = proposerOf(set, 100_003);
    assert.equal(far, proposerOf(set, 3));
    assert.ok(set.validators.includes(far));
  });

  it('is proportional to power over every cycle, and repeats exactly', () => {
    for (const powers of [[1], [1, 1, 1], [5, 3, 2], [1, 10], [1, 2, 3, 4, 5, 6, 7], [100, 1, 1]]) {
      const set = setOf(...powers);
      const cycle = proposals(set, set.totalPower);
      assert.deepEqual(cycle.counts, powers);
      assert.deepEqual(cycle.set, set);
    }
  });

  it('stays near proportional at every height, with bounded priorities that sum to zero', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 12 }), (powers) => {
        let set = setOf(...powers);
        const total = set.totalPower;
        const counts = powers.map(() => 0);
        for (let height = 1; height <= 300; height++) {
          const { set: next, proposer } = rotate(set);
          const index = validatorIndex(set, proposer.publicKey);
          counts[index] = (counts[index] ?? 0) + 1;
          set = next;
          assert.ok(maxPriority(set) <= 2 * total);
          assert.equal(prioritySum(set), 0);
          assert.ok(counts.every((count, i) => Math.abs(count - (height * (powers[i] ?? 0)) / total) < powers.length));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('holds for the largest set with the largest powers, in exact integers', () => {
    let set = setOf(...new Array<number>(MAX_VALIDATORS).fill(MAX_POWER));
    const { counts } = proposals(set, 3 * MAX_VALIDATORS);
    assert.ok(counts.every((count) => count === 3));
    for (let i = 0; i < 20; i++) {
      set = rotate(set).set;
      const victim = set.validators[(i * 37) % set.validators.length];
      assert.ok(victim);
      set = changeSet(set, { kind: 'remove', publicKey: victim.publicKey }) ?? set;
      const { priority: _priority, ...newcomer } = validatorOf(1000 + i, MAX_POWER);
      set = changeSet(set, { kind: 'add', validator: newcomer }) ?? set;
      assert.equal(set.validators.length, MAX_VALIDATORS);
      assert.ok(set.validators.every(({ priority }) => Number.isSafeInteger(priority)));
      const magnitudes = set.validators.reduce((sum, { priority }) => sum + Math.abs(priority), 0);
      assert.ok(Number.isSafeInteger(magnitudes));
      assert.deepEqual(decodeValidatorSet(encodeValidatorSet(set)), set);
    }
  });
});

describe('demoted validators', () => {
  const turnsOf = (set: ValidatorSet, count: number): string[] =>
    Array.from({ length: count }, (_, round) => proposerOf(set, round).name);
  const demote = (set: ValidatorSet, ...names: string[]): ValidatorSet =>
    withDemotions(set, ({ name }) => names.includes(name));

  it('propose last among the first n rounds, in their order; then turns are the plain ones', () => {
    const set = rotate(setOf(1, 1, 1, 1)).set;
    assert.deepEqual(turnsOf(demote(set, 'v2'), 8), ['v3', 'v4', 'v1', 'v2', 'v2', 'v3', 'v4', 'v1']);
    assert.deepEqual(turnsOf(demote(set, 'v3', 'v2'), 8), ['v4', 'v1', 'v2', 'v3', 'v2', 'v3', 'v4', 'v1']);
    assert.deepEqual(turnsOf(demote(set, 'v1', 'v2', 'v3', 'v4'), 8), turnsOf(set, 8));
  });

  it('of equal power: whoever they are, each validator proposes once in the first n rounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(4095), fc.nat(30), (n, mask, heights) => {
        let set = setOf(...new Array<number>(n).fill(1));
        for (let i = 0; i < heights; i++) set = rotate(set).set;
        const demoted = withDemotions(set, ({ name }) => ((mask >> Number(name.slice(1))) & 1) === 1);
        assert.equal(new Set(turnsOf(demoted, n)).size, n);
        assert.deepEqual(turnsOf(demoted, 3 * n).slice(n), turnsOf(set, 3 * n).slice(n));
      }),
    );
  });

  it('are part of the encoding, and a set without a change stays the same object', () => {
    const set = demote(setOf(1, 2, 3), 'v2');
    assert.deepEqual(decodeValidatorSet(encodeValidatorSet(set)), set);
    assert.equal(demote(set, 'v2'), set);
    assert.deepEqual(demote(set), setOf(1, 2, 3));
  });
});

describe('set change', () => {
  const add = (i: number, power: number): SetChange => {
    const { priority: _priority, ...validator } = validatorOf(i, power);
    return { kind: 'add', validator };
  };

  it('adds a validator behind all others, so that it proposes last', () => {
    const set = proposals(setOf(1, 1, 1), 2).set;
    const changed = changeSet(set, add(9, 1));
    assert.ok(changed);
    assert.equal(changed.totalPower, 4);
    const newcomer = findValidator(changed, keyOf(9));
    assert.ok(newcomer && changed.validators.every(({ priority }) => priority >= newcomer.priority));
    const first = Array.from({ length: 4 }, (_, round) => proposerOf(changed, round).name);
    assert.ok(!first.slice(0, 3).includes('v9'));
    const { counts } = proposals(changed, 400);
    assert.ok(
      counts.every((count) => Math.abs(count - 100) <= 2),
      `${counts.join(' ')}`,
    );
  });

  it('gains no turn for one who leaves and joins again at each of its turns', () => {
    let set = setOf(1, 1, 1, 1);
    let turns = 0;
    for (let height = 0; height < 400; height++) {
      const { set: next, proposer } = rotate(set);
      set = next;
      if (proposer.name !== 'v1') continue;
      turns += 1;
      set = changeSet(set, { kind: 'remove', publicKey: keyOf(1) }) ?? set;
      set = changeSet(set, add(1, 1)) ?? set;
    }
    assert.ok(turns > 0 && turns <= 100, `${turns} turns`);
  });

  it('removes a validator, but never the last one', () => {
    const set = setOf(2, 3);
    const changed = changeSet(set, { kind: 'remove', publicKey: keyOf(1) });
    assert.ok(changed);
    assert.deepEqual(
      changed.validators.map(({ name }) => name),
      ['v2'],
    );
    assert.equal(changed.totalPower, 3);
    assert.equal(changeSet(changed, { kind: 'remove', publicKey: keyOf(2) }), undefined);
    assert.equal(changeSet(set, { kind: 'remove', publicKey: keyOf(9) }), undefined);
  });

  it('rotates a key: power, operator, name and turn stay, the order follows the key', () => {
    const set = rotate(setOf(3, 2, 1)).set;
    const before = findValidator(set, keyOf(1));
    const changed = changeSet(set, { kind: 'rotate', publicKey: keyOf(1), newKey: keyOf(9) });
    assert.ok(changed && before);
    assert.equal(validatorIndex(changed, keyOf(1)), -1);
    assert.deepEqual(changed.validators[2], { ...before, publicKey: keyOf(9) });
    assert.equal(changed.totalPower, 6);
    assert.equal(changeSet(set, { kind: 'rotate', publicKey: keyOf(9), newKey: keyOf(8) }), undefined);
    for (const newKey of [keyOf(1), keyOf(2)]) {
      assert.equal(changeSet(set, { kind: 'rotate', publicKey: keyOf(1), newKey }), undefined);
    }
  });

  it('refuses a key that is in the set, and one validator too many', () => {
    assert.equal(changeSet(setOf(1, 1), add(2, 1)), undefined);
    const full = setOf(...new Array<number>(MAX_VALIDATORS).fill(1));
    assert.equal(changeSet(full, add(200, 1)), undefined);
  });

  it('does not touch the set it starts from', () => {
    const set = rotate(setOf(3, 2, 1)).set;
    const before = encodeValidatorSet(set);
    changeSet(set, add(9, 5));
    changeSet(set, { kind: 'remove', publicKey: keyOf(1) });
    changeSet(set, { kind: 'rotate', publicKey: keyOf(1), newKey: keyOf(9) });
    proposerOf(set, 5);
    assert.deepEqual(encodeValidatorSet(set), before);
  });

  it('keeps priorities centred, within two totals, exact and encodable, over any history', () => {
    const step = fc.record({
      kind: fc.constantFrom('add' as const, 'remove' as const, 'rotate' as const, 'pass' as const),
      at: fc.nat(40),
      other: fc.nat(40),
      power: fc.integer({ min: 1, max: 10_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let set = setOf(1, 1, 1, 1);
        for (const { kind, at, other, power } of steps) {
          set = rotate(set).set;
          if (kind === 'pass') continue;
          const publicKey = keyOf(at);
          const change: SetChange =
            kind === 'add'
              ? add(at, power)
              : kind === 'remove'
                ? { kind, publicKey }
                : { kind, publicKey, newKey: keyOf(other) };
          const changed = changeSet(set, change);
          if (!changed) continue;
          set = changed;
          assert.ok(maxPriority(set) <= 2 * set.totalPower);
          assert.ok(Math.abs(prioritySum(set)) <= set.validators.length);
          assert.equal(
            set.totalPower,
            set.validators.reduce((sum, validator) => sum + validator.power, 0),
          );
          assert.deepEqual(decodeValidatorSet(encodeValidatorSet(set)), set);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
