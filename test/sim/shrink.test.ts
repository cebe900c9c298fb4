import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Job } from './job.ts';
import { passes } from './job.ts';
import { kindOf, shrink } from './shrink.ts';
import type { Outcome } from './simulation.ts';
import { runSeed } from './simulation.ts';

/** A run in which faults 1 to `faults` strike one at each height. */
function pretend(job: Job, faults: number, judge: (names: readonly string[]) => string | null): Outcome {
  const heights = Math.min(faults, job.heights ?? faults);
  const struck = Array.from({ length: heights }, (_, i) => ({ name: String(i + 1), kind: 'crash', atMs: i }));
  const happened = struck.filter(({ name }) => passes(job.filter)(name));
  const violation = judge(happened.map(({ name }) => name));
  return {
    ...{ violations: violation === null ? [] : [violation], struck: happened, heights },
    ...{ plan: { seed: job.seed, heights: faults }, trace: [] },
  } as unknown as Outcome;
}

const JOB: Job = { seed: 1, nodes: [4], minutes: 30 };

describe('shrinker', function () {
  this.timeout(300_000);

  it('leaves exactly the faults that a violation needs', async () => {
    const faults = 60;
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: faults }), { maxLength: 5 }), async (numbers) => {
        const needed = numbers.toSorted((a, b) => a - b).map(String);
        const judge = (names: readonly string[]): string | null =>
          needed.every((name) => names.includes(name)) ? 'agreement: two blocks' : null;
        const run = (job: Job): Promise<Outcome> => Promise.resolve(pretend(job, faults, judge));
        const found = await shrink(JOB, await run(JOB), { run, maxRuns: 1_000 });
        assert.deepEqual(
          found.outcome.struck.map(({ name }) => name),
          needed,
        );
        assert.equal(kindOf(found.outcome), 'agreement');
        const again = await run(found.job);
        assert.deepEqual(again.violations, ['agreement: two blocks']);
      }),
      { numRuns: 50 },
    );
  });

  it('leaves out faults that do nothing but delay the end', async () => {
    // Fault n comes at moment n. A run has its heights after as many moments, and each fault delays them by two.
    const faults = 30;
    const run = (job: Job): Promise<Outcome> => {
      const heights = job.heights ?? 10;
      const struck: { name: string; kind: string; atMs: number }[] = [];
      for (let atMs = 1; atMs <= Math.min(faults, heights + 2 * struck.length); atMs++) {
        if (passes(job.filter)(String(atMs))) struck.push({ name: String(atMs), kind: 'crash', atMs });
      }
      const isHit = struck.some(({ name }) => name === '25');
      const violations = isHit ? ['agreement: two blocks'] : [];
      return Promise.resolve({ violations, struck, heights, plan: { heights: 10 } } as unknown as Outcome);
    };
    const { outcome } = await shrink(JOB, await run(JOB), { run, maxRuns: 100 });
    assert.deepEqual(
      outcome.struck.map(({ name }) => name),
      ['25'],
    );
  });

  it('does not take another violation for the same', async () => {
    const judge = (names: readonly string[]): string =>
      names.includes('7') && names.includes('31') ? 'agreement: two blocks' : 'liveness: no block';
    const run = (job: Job): Promise<Outcome> => Promise.resolve(pretend(job, 40, judge));
    const { outcome } = await shrink(JOB, await run(JOB), { run, maxRuns: 1_000 });
    assert.deepEqual(
      outcome.struck.map(({ name }) => name),
      ['7', '31'],
    );
  });

  it('ends after so many runs with the smallest so far, also when runs are lost', async () => {
    let runs = 0;
    const run = (job: Job): Promise<Outcome | null> =>
      Promise.resolve(
        ++runs % 2 === 0 ? null : pretend(job, 500, (names) => (names.length > 77 ? 'bounds: many' : null)),
      );
    const first = pretend(JOB, 500, () => 'bounds: many');
    const found = await shrink(JOB, first, { run, maxRuns: 30 });
    assert.equal(runs, 30);
    assert.equal(found.runs, 30);
    assert.ok(found.outcome.struck.length < 500);
  });

  it('a planted violation shrinks to the faults of the two kinds it needs', async () => {
    const NEEDED = ['one-way partition', 'crash at a vote'];
    let runs = 0;
    const run = async (job: Job): Promise<Outcome> => {
      runs++;
      const outcome = await runSeed(job);
      const kinds = new Set(outcome.struck.map(({ kind }) => kind));
      const isHit = NEEDED.every((kind) => kinds.has(kind));
      return isHit ? { ...outcome, violations: ['planted: both kinds of faults'] } : outcome;
    };
    let job: Job = { seed: 0, nodes: [4], minutes: 30, heights: 20 };
    let outcome: Outcome;
    do {
      job = { ...job, seed: job.seed + 1 };
      outcome = await run(job);
    } while (kindOf(outcome) !== 'planted' || outcome.struck.length < 12);
    runs = 0;
    const found = await shrink(job, outcome, { run, maxRuns: 100 });
    const kinds = found.outcome.struck.map(({ kind }) => kind);
    assert.deepEqual(
      NEEDED.filter((kind) => !kinds.includes(kind)),
      [],
    );
    // A third may be what makes the run last until the others come.
    assert.ok(kinds.length <= 4, kinds.join());
    assert.deepEqual((await run(found.job)).struck, found.outcome.struck);
    console.log(`      ${outcome.struck.length} faults to ${kinds.length} in ${found.runs} runs`);
  });
});

describe('faults by number', function () {
  this.timeout(120_000);

  it('leaving one out changes nothing before it, and neither moment nor kind of those that come by time', async () => {
    const job: Job = { seed: 2, nodes: [4], minutes: 30, heights: 25 };
    const all = await runSeed(job);
    const timed = all.struck.filter(({ name }) => !name.startsWith('m'));
    const left = timed[Math.floor(timed.length / 2)];
    assert.ok(left);
    const some = await runSeed({ ...job, filter: { kind: 'without', items: [left.name] } });
    const at = all.struck.indexOf(left);
    assert.deepEqual(some.struck.slice(0, at), all.struck.slice(0, at));
    assert.ok(!some.struck.some(({ name }) => name === left.name));
    const kept = new Map(some.struck.map((fault) => [fault.name, fault]));
    for (const fault of timed) {
      // A stretch without faults may come at another time by now.
      const other = kept.get(fault.name);
      if (other) assert.deepEqual(other, fault);
    }
    const none = await runSeed({ ...job, filter: { kind: 'only', items: [] } });
    assert.deepEqual([none.struck, none.violations], [[], []]);
  });
});
