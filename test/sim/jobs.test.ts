import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import fc from 'fast-check';
import { commandOf, parseSimArgs } from './args.ts';
import { formatItems, parseItems, passes } from './job.ts';
import { Pool } from './pool.ts';
import type { Result } from './pool.ts';
import { progressLine } from './progress.ts';
import type { Outcome } from './simulation.ts';
import { Tally } from './tally.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const FIXTURE = join(import.meta.dirname, 'fixtures', 'worker.ts');
const COMMON = { nodes: [4], minutes: 30 };

function seeds(from: number, to: number): { seed: number; nodes: number[]; minutes: number }[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ ...COMMON, seed: from + i }));
}

describe('jobs of the simulator', function () {
  this.timeout(120_000);

  it('a run that spins, ends its process or never answers costs no other', async () => {
    const pool = new Pool({ processes: 2, limitMs: 1_500, worker: FIXTURE });
    const results: Result[] = [];
    try {
      await pool.runAll(seeds(1, 12), (result) => results.push(result) > 0);
    } finally {
      pool.end();
    }
    assert.deepEqual(
      results.map(({ job }) => job.seed).toSorted((a, b) => a - b),
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
    const failures = new Map(results.filter(({ outcome }) => !outcome).map(({ job, failure }) => [job.seed, failure]));
    assert.deepEqual(new Set(failures.keys()), new Set([3, 5, 7]));
    assert.match(failures.get(3) ?? '', /does not end/);
    assert.equal(failures.get(5), 'its process ended: exit code 9');
    assert.match(failures.get(7) ?? '', /does not end/);
    assert.equal(pool.cpuMs, 9);
  });

  it('hands out nothing more once told to stop', async () => {
    const pool = new Pool({ processes: 1, worker: FIXTURE });
    const results: Result[] = [];
    await pool.runAll(seeds(10, 20), (result) => results.push(result) < 2);
    pool.end();
    assert.deepEqual(
      results.map(({ job }) => job.seed),
      [10, 11],
    );
  });

  it('is ended by one signal, with what it had until then', async () => {
    const child = spawn(process.execPath, [MAIN, '--seeds', '100000', '--jobs', '1', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stderr.once('data', () => child.kill('SIGINT'));
    // All output closed: no process that inherited it is left.
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 130);
    assert.match(stderr, /interrupted after \d+ of 100000 seeds/);
    const { ok, seeds: done } = JSON.parse(stdout) as { ok: boolean; seeds: number };
    assert.equal(ok, false);
    assert.ok(done > 0);
  });
});

describe('command line of the simulator', () => {
  it('says what is wrong and how to get help', () => {
    for (const [args, words] of [
      [['--sedes', '3'], /--sedes/],
      [['--seeds', 'x'], /--seeds takes a whole number/],
      [['--seed', '-1'], /--seed/],
      [['--seeds', '0'], /from 1/],
      [['--nodes', '1,,3'], /--nodes/],
      [['--jobs', '0'], /--jobs takes a whole number from 1/],
      [['--seed', '3', '--seeds', '4'], /one seed/],
      [['--without', '3-'], /--without takes numbers/],
      [['--without', '3', '--only-faults', '4'], /not both/],
      [['more'], /more/],
    ] as const) {
      assert.throws(
        () => parseSimArgs(args),
        (error: Error & { code?: string; hint?: string }) =>
          error.code === 'USAGE' && words.test(error.message) && error.hint?.includes('--help') === true,
        args.join(' '),
      );
    }
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--seeds', 'many'], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /--seeds takes a whole number.*\n.*--help/);
  });

  it('a run written as a command is read as the same run', () => {
    const job = {
      ...{ seed: 7, nodes: [3, 4], minutes: 12, control: false, heights: 9 },
      filter: { kind: 'only', items: ['2', '3', '4', '9', 'm1', 'm2'] } as const,
    };
    const command = commandOf(job);
    assert.match(command, /--only-faults 2-4,9,m1-m2/);
    const { first, count, common } = parseSimArgs(command.split(' ').slice(4));
    assert.equal(count, 1);
    assert.deepEqual({ ...common, seed: first }, job);
  });

  it('lists of faults read back as they were written, and no list is too long', () => {
    const item = fc.tuple(fc.constantFrom('', 'm'), fc.integer({ min: 1, max: 40 })).map(([f, n]) => `${f}${n}`);
    fc.assert(
      fc.property(fc.uniqueArray(item), (items) => {
        assert.deepEqual(new Set(parseItems(formatItems(items))), new Set(items));
      }),
    );
    for (const text of ['', '3,', '9-7', 'm3-5', '1-999999', '-1', 'x', '1-90000,1-90000']) {
      assert.equal(parseItems(text), undefined, text);
    }
    const happens = passes({ kind: 'without', items: ['3', 'm3'] });
    assert.deepEqual(['3', '4', 'm3', 'm4'].map(happens), [false, true, false, true]);
  });

  it('the line of progress tells the time left', () => {
    assert.equal(progressLine(500, 2_500, 1, 100), '500 of 2500 seeds, 1 failed, 5.0 a second, 7 min left');
    assert.equal(progressLine(2_499, 2_500, 0, 100), '2499 of 2500 seeds, 0 failed, 25.0 a second, 1 s left');
    assert.match(progressLine(0, 10, 0, 0), /^0 of 10 seeds/);
  });
});

describe('minima of the simulator', () => {
  const outcome = {
    ...{
      heights: 60,
      transactions: 9,
      faults: 9,
      topRound: 3,
      lateCommits: 30,
      conflictingLocks: 0,
      splitHeights: 0,
      crashesAtWrites: 2,
    },
    ...{
      setChanges: 2,
      evidence: 1,
      demotions: 1,
      livenessChecks: 5,
      slowestMs: 9,
      virtualMs: 9,
      steps: 9,
      trace: [],
      struck: [],
    },
    ...{ plan: { seed: 1 }, violations: [] as string[], counts: new Map<string, number>() },
  } as unknown as Outcome;

  it('grow with the seeds and are asked of many only', () => {
    const tally = new Tally();
    for (let i = 0; i < 19; i++) tally.add(outcome);
    assert.deepEqual(tally.unreached(), []);
    for (let i = 19; i < 200; i++) tally.add(outcome);
    const missing = tally.unreached();
    assert.ok(
      missing.some((text) => /^conflicting locks: 0 of \d+$/.test(text)),
      missing.join('\n'),
    );
    assert.ok(!missing.some((text) => text.startsWith('heights')));
  });

  it('a seed that failed or was lost is named', () => {
    const tally = new Tally();
    tally.add({ ...outcome, violations: ['agreement: two blocks'] });
    tally.addLost(9);
    assert.deepEqual([tally.failed, tally.agreementsBroken, tally.seeds], [[1, 9], 1, 2]);
  });
});
