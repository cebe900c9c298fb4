/** Seeds that found a fault, each with what it found; causes and fixes are in README.md beside this file. */
import assert from 'node:assert/strict';
import { report } from './expectations.ts';
import { runSeed } from './simulation.ts';

const NODES = [1, 3, 4, 7];
const MINUTES = 30;

const SEEDS: Readonly<Record<number, string>> = {
  6: 'a key that voted without its folder: the guard was asked to keep a lock on a block that is not here',
  15: 'an own full queue was blamed on the peer whose block waited in it',
  27: 'catching up from a busy liar span without ever letting the event loop go on',
  44: 'a power cut in a write of the guard stopped a height for good',
  58: 'the same with three nodes',
  182: 'a node one block behind did not learn it from votes, and the height waited for it',
  3001: 'whoever left the set kept its last block to itself',
  3753: 'the same, with a power cut before',
  3785: 'a node whose folder was put back counted as healthy before its first signature was on its disk',
  8822: 'nobody who signs its head was left to tell the last validator of the block before',
};

describe('seeds that found a fault', function () {
  this.timeout(120_000);

  for (const [seed, what] of Object.entries(SEEDS)) {
    it(`${seed}: ${what}`, async () => {
      const job = { seed: Number(seed), nodes: NODES, minutes: MINUTES };
      const outcome = await runSeed(job);
      assert.deepEqual(outcome.violations, [], report(job, outcome));
    });
  }
});
