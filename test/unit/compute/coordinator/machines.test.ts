import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JobInput, JobProgress } from '../../../../src/compute/coordinator/job-machine.ts';
import { isEnded, NEW_JOB, stepJob } from '../../../../src/compute/coordinator/job-machine.ts';
import type { Ledger } from '../../../../src/compute/coordinator/ledger.ts';
import { canBegin, openLedger, stepLedger } from '../../../../src/compute/coordinator/ledger.ts';
import { fade, isDistrusted, learn, NO_RECORD, reliability } from '../../../../src/compute/coordinator/miner-record.ts';
import type { Candidate } from '../../../../src/compute/coordinator/ranking.ts';
import { rank, reasonsOf, seededRandom } from '../../../../src/compute/coordinator/ranking.ts';

describe('coordinator: ledger of an agreement', () => {
  const amount = fc.integer({ min: 0, max: 1_000 });
  const move = fc.oneof(
    fc.record({ type: fc.constant('begin' as const), maxUait: amount, firstUait: amount }),
    fc.record({ type: fc.constant('raise' as const), toUait: amount }),
    fc.record({ type: fc.constant('done' as const), dueUait: amount }),
    fc.record({ type: fc.constant('refused' as const) }),
    // What the miner counts for an attempt that was lost: up to all that it was given.
    fc.record({ type: fc.constant('ended' as const), minersShare: fc.integer({ min: 0, max: 100 }) }),
  );

  it('gives vouchers that only grow, within cap and maximum, on a base that is never below the miner’s', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_000 }), fc.array(move, { maxLength: 60 }), (capUait, moves) => {
        let ledger: Ledger = openLedger(capUait);
        let minersUait = 0;
        for (const each of moves) {
          const before = ledger;
          if (each.type === 'begin') {
            if (!canBegin(ledger, each.maxUait)) continue;
            assert.ok(ledger.baseUait >= minersUait, 'the base is not below what the miner counts');
            ledger = stepLedger(ledger, each).state;
          } else if (ledger.runningMaxUait === null) continue;
          else if (each.type === 'raise' || each.type === 'refused') ledger = stepLedger(ledger, each).state;
          else if (each.type === 'done') {
            const dueUait = Math.min(each.dueUait, ledger.runningMaxUait);
            ledger = stepLedger(ledger, { type: 'acknowledge', dueUait }).state;
            assert.ok(ledger.givenUait >= ledger.baseUait + dueUait, 'the last voucher covers what is due');
            minersUait = ledger.baseUait + dueUait;
            ledger = stepLedger(ledger, { type: 'done', dueUait }).state;
          } else {
            minersUait = ledger.baseUait + Math.floor(((ledger.givenUait - ledger.baseUait) * each.minersShare) / 100);
            ledger = stepLedger(ledger, { type: 'ended' }).state;
          }
          assert.ok(ledger.givenUait >= before.givenUait, 'vouchers only grow');
          assert.ok(ledger.givenUait <= capUait && ledger.baseUait <= ledger.givenUait);
          if (ledger.runningMaxUait !== null) {
            assert.ok(ledger.givenUait <= ledger.baseUait + ledger.runningMaxUait, 'never above the attempt’s maximum');
          }
          assert.ok(ledger.baseUait >= minersUait);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('coordinator: job machine', () => {
  const reason = { code: 'BUSY', message: 'busy' } as const;
  const loss = fc.record({
    how: fc.constantFrom('refused', 'failed', 'lost', 'faulty'),
    code: fc.constantFrom('BUSY', 'EXECUTOR', 'BAD_JOB', 'LEASE_LOST'),
    message: fc.constant('why'),
    exposureUait: fc.integer({ min: 0, max: 10 }),
  });
  const input: fc.Arbitrary<JobInput> = fc.oneof(
    fc.constantFrom<JobInput>({ type: 'queue' }, { type: 'match' }, { type: 'fund' }, { type: 'start' }),
    fc.constantFrom<JobInput>({ type: 'assign' }, { type: 'cancel' }, { type: 'requeue', reason }),
    fc.constantFrom<JobInput>(
      { type: 'timeout', of: 'queue', reason: null },
      { type: 'timeout', of: 'total', exposureUait: 3 },
    ),
    fc.record({ type: fc.constant('loss' as const), loss, hasOthers: fc.boolean() }) as fc.Arbitrary<JobInput>,
    fc.record({ type: fc.constant('deliver' as const), dueUait: fc.nat(10), canceled: fc.boolean() }),
  );

  it('ends once, never loses count of what it spent, and never goes back a number', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        let job: JobProgress = NEW_JOB;
        let ends = 0;
        for (const each of inputs) {
          if (each.type === 'assign' && job.state !== 'funded') continue;
          const step = stepJob(job, each, { maxAttempts: 4 });
          ends += step.through.filter(({ state }) => isEnded(state)).length;
          assert.ok(step.state.attempt >= job.attempt && step.state.spentUait >= job.spentUait);
          if (isEnded(job.state)) assert.deepEqual(step, { state: job, effects: [], through: [] });
          job = step.state;
        }
        assert.ok(ends <= 1);
        assert.equal(ends === 1, isEnded(job.state));
        assert.ok(job.losses <= 4);
      }),
      { numRuns: 500 },
    );
  });
});

describe('coordinator: ranking', () => {
  const maxUait = 100_000;
  const candidate = (costUait: number, more: Partial<Candidate> = {}): Candidate => ({
    ...{ costUait, bytesPerSecond: 1_000, isWarm: true, isFree: true, record: NO_RECORD, stakedUait: 1_000 },
    ...{ hasAgreement: false, isAvoided: false },
    ...more,
  });
  const seed = new Uint8Array(32).fill(3);

  it('is the same for the same seed, and says what a score is made of', () => {
    const some = [candidate(400), candidate(20_000, { isFree: false }), candidate(80_000)];
    const ranked = () => rank(some, maxUait, seededRandom(seed));
    assert.deepEqual(ranked(), ranked());
    for (const each of ranked()) {
      const lines = reasonsOf(each, maxUait);
      assert.ok(lines.some((line) => line.includes('uait, of 100000')));
      const sum = lines.reduce((points, line) => points + Number.parseFloat(line), 0);
      assert.ok(Math.abs(sum - each.score) < 0.1, `${lines.join(', ')}: ${each.score}`);
    }
  });

  it('puts cheaper ones, proven ones and those with an agreement before others, and cheats last', () => {
    const first = (...some: Candidate[]): Candidate | undefined => rank(some, maxUait, () => 0.5)[0]?.candidate;
    const plain = candidate(4_000);
    const cheap = candidate(400);
    const proven = candidate(4_000, { record: { ...NO_RECORD, successes: 20 } });
    const open = candidate(4_000, { hasAgreement: true });
    const cheat = candidate(4, { record: { ...NO_RECORD, successes: 50, faults: 1 } });
    assert.equal(first(plain, cheap), cheap);
    assert.equal(first(plain, proven), proven);
    assert.equal(first(plain, open), open);
    assert.equal(first(cheat, candidate(96_000, { isAvoided: true }))?.isAvoided, true);
  });

  it('gives a turn in twenty to chance, and none of it to cheats', () => {
    const best = candidate(4);
    const dear = candidate(80_000);
    const cheat = candidate(4, { record: { ...NO_RECORD, faults: 1 } });
    const turns = Array.from({ length: 2_000 }, (_, i) => {
      const next = seededRandom(new Uint8Array([i >> 8, i, 7, 7]));
      return rank([best, dear, cheat], maxUait, next)[0]?.candidate;
    });
    const explored = turns.filter((each) => each === dear).length;
    assert.ok(explored > 10 && explored < 100, `${explored} of 2000`);
    assert.ok(!turns.includes(cheat));
  });

  it('forgets with time', () => {
    const bad = learn(NO_RECORD, { type: 'fault' }, 0);
    assert.ok(isDistrusted(bad));
    const later = fade(bad, 7 * 24 * 3_600_000);
    assert.ok(!isDistrusted(later) && reliability(later) > 0.49);
  });
});
