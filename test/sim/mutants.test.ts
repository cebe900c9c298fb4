import assert from 'node:assert/strict';
import { hunt, misfits } from './mutant-hunt.ts';
import { MUTANTS } from './mutant-list.ts';

/** Each is caught within a few seconds; `npm run sim:mutants` tries them all. */
const QUICK = [
  'quorum of more than half',
  'skips rounds on one vote',
  'a precommit takes no lock',
  'guard checks nothing and is not read',
];
const SEEDS = 32;

describe('mutants', function () {
  this.timeout(300_000);

  it('every mutant still fits the source, each under a name of its own', async () => {
    const wrong = await Promise.all(MUTANTS.map(misfits));
    assert.deepEqual(wrong.flat(), []);
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  for (const name of QUICK) {
    it(`is caught within ${SEEDS} seeds: ${name}`, async () => {
      const mutant = MUTANTS.find((other) => other.name === name);
      assert.ok(mutant);
      assert.ok(await hunt(mutant, SEEDS));
    });
  }
});
