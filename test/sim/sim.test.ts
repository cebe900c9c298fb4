import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { report, reportLost } from './expectations.ts';
import { Pool } from './pool.ts';
import { runSeed } from './simulation.ts';
import { Tally } from './tally.ts';

const COMMON = { nodes: [1, 3, 4, 7], minutes: 30 };
const SEEDS = 200;
const PROCESSES = 2;
const MAIN = join(import.meta.dirname, 'main.ts');

describe('simulated clusters', function () {
  this.timeout(900_000);

  it(`${SEEDS} seeds keep every promise and reach what they must`, async () => {
    const pool = new Pool({ processes: PROCESSES });
    const tally = new Tally();
    const failures: string[] = [];
    const startMs = performance.now();
    try {
      const jobs = Array.from({ length: SEEDS }, (_, i) => ({ ...COMMON, seed: i + 1 }));
      await pool.runAll(jobs, ({ job, outcome, failure }) => {
        if (outcome) tally.add(outcome);
        else tally.addLost(job.seed);
        if (!outcome) failures.push(reportLost(job, failure));
        else if (outcome.violations.length > 0) failures.push(report(job, outcome));
        return failures.length < 3;
      });
    } finally {
      pool.end();
    }
    assert.deepEqual(failures, [], failures.join('\n\n'));
    assert.deepEqual(tally.unreached(), []);
    const seconds = (performance.now() - startMs) / 1000;
    const each = pool.cpuMs / 1000 / SEEDS;
    console.log(`      ${each.toFixed(2)} core-seconds a seed, ${seconds.toFixed(0)} s on ${PROCESSES} processes`);
  });

  it('a seed is the same run every time, in another process too', async () => {
    const options = { ...COMMON, seed: 18 };
    const [one, two] = [await runSeed(options), await runSeed(options)];
    assert.deepEqual(one.trace, two.trace);
    assert.equal(one.steps, two.steps);
    const output = execFileSync(process.execPath, [MAIN, '--seed', '18', '--json'], { encoding: 'utf8' });
    assert.equal((JSON.parse(output) as { events: number }).events, one.steps);
  });

  it('three nodes with one traitor fork: no quorum rule could prevent it', () => {
    const args = [MAIN, '--control', '--seeds', '4', '--json'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /the control forks, as it must/);
    assert.ok((JSON.parse(stdout) as { agreementsBroken: number }).agreementsBroken > 0);
  });
});
