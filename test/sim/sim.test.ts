import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { report, unreached } from './expectations.ts';
import type { Outcome } from './simulation.ts';
import { runSeed } from './simulation.ts';

const NODES = [1, 3, 4, 7];
const MINUTES = 30;
const SEEDS = 20;

describe('simulated clusters', function () {
  this.timeout(300_000);

  it(`${SEEDS} seeds keep every promise`, async () => {
    const outcomes: Outcome[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await runSeed({ seed, nodes: NODES, minutes: MINUTES });
      assert.deepEqual(outcome.violations, [], report(outcome, NODES, MINUTES));
      outcomes.push(outcome);
    }
    assert.deepEqual(unreached(outcomes), []);
  });

  it('a seed is the same run every time, in another process too', async () => {
    const options = { seed: 18, nodes: NODES, minutes: MINUTES };
    const [one, two] = [await runSeed(options), await runSeed(options)];
    assert.deepEqual(one.trace, two.trace);
    assert.equal(one.steps, two.steps);
    const main = join(import.meta.dirname, 'main.ts');
    const output = execFileSync(process.execPath, [main, '--seed', '18', '--json'], { encoding: 'utf8' });
    assert.equal((JSON.parse(output) as { events: number }).events, one.steps);
  });

  it('three nodes with one traitor fork: no quorum rule could prevent it', async () => {
    const forks: string[] = [];
    for (let seed = 1; seed <= 10 && forks.length === 0; seed++) {
      const { violations } = await runSeed({ seed, nodes: NODES, minutes: MINUTES, control: true });
      forks.push(...violations.filter((text) => text.startsWith('agreement')));
    }
    assert.ok(forks.length > 0);
  });
});
