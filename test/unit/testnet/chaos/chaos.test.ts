import assert from 'node:assert/strict';
import type { Vote } from '../../../../src/chain/votes.ts';
import { isNodeError } from '../../../../src/errors.ts';
import { parseChaosArgs } from '../../../../testnet/chaos/args.ts';
import { VoteBook } from '../../../../testnet/audit.ts';
import { planStrikes } from '../../../../testnet/chaos/schedule.ts';
import { createRandom } from '../../../../testnet/load/random.ts';

describe('chaos schedule', () => {
  it('repeats for a seed, reaches the number of kills, and strikes one, several and all', () => {
    const plan = planStrikes(createRandom('s'), 4, 400);
    assert.deepEqual(plan, planStrikes(createRandom('s'), 4, 400));
    assert.ok(plan.reduce((sum, { nodes }) => sum + nodes.length, 0) >= 400);
    const sizes = new Set(plan.map(({ nodes }) => nodes.length));
    assert.ok(sizes.has(1) && sizes.has(4) && (sizes.has(2) || sizes.has(3)));
    for (const { nodes, afterMs, downMs } of plan) {
      assert.equal(new Set(nodes).size, nodes.length);
      assert.ok(nodes.every((node) => node >= 1 && node <= 4));
      assert.ok(afterMs >= 0 && afterMs <= 5000 && downMs >= 0 && downMs <= 4000);
    }
  });

  it('works with one node', () => {
    assert.ok(planStrikes(createRandom('s'), 1, 20).every(({ nodes }) => nodes.length === 1));
  });
});

describe('chaos vote book', () => {
  const vote = (round: number, block: number | null, validator = 1): Vote => ({
    type: 'prevote',
    height: 5,
    round,
    blockId: block === null ? null : new Uint8Array(32).fill(block),
    validator: new Uint8Array(32).fill(validator),
    signature: new Uint8Array(64),
  });

  it('takes the same vote again, and votes of other rounds, types and keys', () => {
    const book = new VoteBook();
    for (const item of [
      vote(0, 1),
      vote(0, 1),
      vote(1, 2),
      vote(0, 2, 2),
      { ...vote(0, 2), type: 'precommit' as const },
    ]) {
      book.add(item);
    }
    assert.deepEqual(book.conflicts, []);
    assert.equal(book.size, 4);
  });

  it('finds two votes in one slot, nil included', () => {
    for (const other of [vote(0, 2), vote(0, null)]) {
      const book = new VoteBook();
      book.add(vote(0, 1));
      book.add(other);
      assert.equal(book.conflicts.length, 1);
    }
  });
});

describe('chaos arguments', () => {
  it('have defaults and refuse nonsense', () => {
    const { nodes, kills, seed } = parseChaosArgs([]);
    assert.deepEqual([nodes, kills], [3, 100]);
    assert.match(seed, /^\d+$/);
    assert.equal(parseChaosArgs(['--seed', 'x']).seed, 'x');
    for (const argv of [['--kills', '0'], ['--nodes', 'x'], ['run']]) {
      assert.throws(
        () => parseChaosArgs(argv),
        (error) => isNodeError(error) && error.kind.exit === 2,
      );
    }
  });
});
