import assert from 'node:assert/strict';
import { validatorIndex } from '../../../src/chain/validator-set.ts';
import { ValidatorHeights } from '../../util/validator-heights.ts';
import { runCluster } from './cluster.ts';
import { setOf } from './table.ts';
import { randomOf } from './random.ts';

interface Series {
  readonly powers: readonly number[];
  readonly heights: number;
  readonly seed?: number;
  readonly absentAt: (height: number) => readonly number[];
  readonly traitors?: readonly number[];
  readonly faultsMs?: (height: number) => number;
  readonly demotedAtFirst?: readonly number[];
}

/** Real machines agree on every height; the block after it carries the certificate that its maker holds, or any other. */
function run({
  powers,
  heights,
  seed = 1,
  absentAt,
  traitors = [],
  faultsMs,
  demotedAtFirst = [],
}: Series): ValidatorHeights {
  const chain = new ValidatorHeights(setOf(powers), demotedAtFirst);
  const random = randomOf(seed);
  for (let height = 1; height <= heights; height++) {
    const set = chain.sets.current;
    const faultsUntilMs = faultsMs?.(height) ?? 0;
    const outcome = runCluster({
      seed: seed * 10_000 + height,
      powers,
      set,
      traitors,
      absent: absentAt(height),
      sharedWork: true,
      faultsUntilMs,
      endMs: faultsUntilMs + 15_000,
    });
    const where = `height ${height}, seed ${seed}`;
    assert.deepEqual(outcome.violations, [], where);
    assert.equal(outcome.commits.size, outcome.honest, `${where}: not all committed`);
    const certificates = [...outcome.certificates.values()];
    const certificate = certificates[Math.floor(random() * certificates.length)];
    assert.ok(certificate && outcome.proposer);
    chain.commit({ proposer: outcome.proposer, round: certificate.round, signers: certificate.signers });
  }
  return chain;
}

describe('a cluster with absent proposers', () => {
  it('one of four absent for 360 heights: after the first 60, about one height in 64 needs a second round', () => {
    const chain = run({ powers: [1, 1, 1, 1], heights: 360, absentAt: () => [2] });
    const late = chain.late(61);
    assert.ok(late.length >= 1 && late.length <= 5, `${late.length} heights were late`);
    assert.ok(chain.late().length - late.length <= 4);
    assert.ok(chain.outcomes.every(({ round }) => round <= 1));
    assert.equal(chain.proposed(2), 0);
    assert.deepEqual(
      chain.absences.map(({ misses }) => misses),
      [6],
    );
  });

  it('one of three absent: the other two propose in turn', () => {
    const chain = run({ powers: [1, 1, 1], heights: 200, absentAt: () => [0] });
    assert.ok(chain.late(61).length <= 3, `${chain.late(61).length} heights were late`);
    assert.equal(chain.proposed(1) + chain.proposed(2), 200);
    assert.ok(chain.proposed(1) >= 60 && chain.proposed(2) >= 60);
  });

  it('two neighbours of seven absent: both are demoted, and soon nobody waits for either', () => {
    const chain = run({ powers: [1, 1, 1, 1, 1, 1, 1], heights: 200, absentAt: () => [3, 4] });
    assert.ok(chain.late(61).length <= 8, `${chain.late(61).length} heights were late`);
    assert.ok(chain.outcomes.every(({ round }) => round <= 2));
  });

  it('back after a long absence it proposes again within 70 heights, and its misses wear off', () => {
    const chain = run({ powers: [1, 1, 1, 1], heights: 400, absentAt: (height) => (height <= 200 ? [1] : []) });
    assert.equal(chain.proposed(1), chain.proposed(1, 201));
    assert.ok(chain.proposed(1, 201) > 0);
    assert.ok(chain.outcomes.slice(200, 270).some(({ proposer, set }) => validatorIndex(set, proposer) === 1));
    assert.ok(chain.proposed(1, 320) >= 19, 'its full share of turns');
    assert.deepEqual(chain.absences, []);
  });

  for (const period of [2, 3, 7, 20]) {
    it(`flapping, up and down for ${period} heights each: never worse than without demotion, and no chain stops`, () => {
      const heights = 240;
      const isDown = (height: number): boolean => Math.floor(height / period) % 2 === 1;
      const chain = run({ powers: [1, 1, 1, 1], heights, absentAt: (height) => (isDown(height) ? [2] : []) });
      // Turns fall to it in every fourth height; half of them while it is down.
      assert.ok(chain.late(61).length <= (heights - 60) / 8, `${chain.late(61).length} heights were late`);
    });
  }

  it('all demoted: turns are the plain ones, and all are cleared by being there', () => {
    const chain = run({ powers: [1, 1, 1, 1], heights: 20, absentAt: () => [], demotedAtFirst: [0, 1, 2, 3] });
    assert.deepEqual(chain.late(), []);
    for (const index of [0, 1, 2, 3]) assert.equal(chain.proposed(index), 5);
  });

  it('all but the absent one demoted by mistake: it costs one round, as it would without demotion', () => {
    const chain = run({ powers: [1, 1, 1, 1], heights: 8, absentAt: () => [3], demotedAtFirst: [0, 1, 2] });
    assert.equal(chain.outcomes[0]?.round, 1);
    assert.ok(chain.outcomes.every(({ round }) => round <= 1));
  });

  it('with faults, crashes and a traitor for 40 heights: every one is decided', () => {
    for (let seed = 1; seed <= 4; seed++) {
      const chain = run({
        powers: [1, 1, 1, 1],
        heights: 40,
        seed,
        traitors: [1],
        absentAt: () => [],
        faultsMs: (height) => (height % 4 === 0 ? 0 : 4_000),
      });
      assert.ok(chain.late().length > 0);
      assert.ok(chain.outcomes.some(({ set }) => set.validators.some(({ demoted }) => demoted)));
    }
  });
});
