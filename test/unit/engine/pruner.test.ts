/** When old blocks are forgotten, and how little of the node's time that may take. */
import assert from 'node:assert/strict';
import { MIN_RETAINED_BLOCKS, Pruner, retainedBlocks } from '../../../src/engine/pruner.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import type { ChainStore, SweepStep } from '../../../src/store/types.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fixtureGenesis } from '../../util/chain-fixture.ts';
import { settle } from './node-under-test.ts';

describe('the pruner', () => {
  const setUp = (retained: number, neededFrom?: () => number) => {
    const clock = manualClock();
    const asked: number[] = [];
    const node = { height: 100, leftSteps: 0, fault: null as NodeError | null };
    const prune = (keepFrom: number): Promise<SweepStep> => {
      if (node.fault) return Promise.reject(node.fault);
      asked.push(keepFrom);
      return Promise.resolve({ blocks: 1, done: node.leftSteps-- <= 0 });
    };
    const store = { head: () => ({ height: node.height }), base: () => 1, prune } as unknown as ChainStore;
    const log = nopLogger;
    const pruner = new Pruner(retained, { store, clock, log, metrics: nopRegister, ...(neededFrom && { neededFrom }) });
    return { clock, asked, node, pruner };
  };

  it('keeps what was asked for, and never fewer than starting and evidence need', () => {
    const { params } = fixtureGenesis({ params: { evidence_max_age_blocks: 1_000 } });
    assert.equal(retainedBlocks(0, params), Infinity);
    assert.equal(retainedBlocks(1, params), 1_000);
    assert.equal(retainedBlocks(5_000, params), 5_000);
    assert.equal(retainedBlocks(1, { ...params, evidenceMaxAgeBlocks: 10 }), MIN_RETAINED_BLOCKS);
  });

  it('does nothing in an archive', async () => {
    const { pruner, asked } = setUp(Infinity);
    pruner.poke();
    await settle();
    assert.deepEqual(asked, []);
    await pruner.stop();
  });

  it('asks for the newest blocks to be kept, and for whatever else is needed', async () => {
    let needed = 500;
    const { pruner, asked, node } = setUp(30, () => needed);
    pruner.poke();
    await settle();
    needed = 40;
    pruner.poke();
    await settle();
    node.height = 10;
    pruner.poke();
    await settle();
    assert.deepEqual(asked, [71, 40, 1]);
    await pruner.stop();
  });

  it('pauses between steps, runs once at a time, and ends when told to', async () => {
    const { pruner, asked, node, clock } = setUp(30);
    node.leftSteps = 1_000;
    for (let i = 0; i < 10; i++) pruner.poke();
    await settle();
    assert.equal(asked.length, 1);
    for (let i = 0; i < 10; i++) {
      clock.advance(10);
      await settle();
    }
    assert.equal(asked.length, 11);
    await pruner.stop();
    pruner.poke();
    clock.advance(1_000);
    await settle();
    assert.equal(asked.length, 11);
  });

  it('ends after a failure of the disk, which the next commit reports', async () => {
    const { pruner, node, asked } = setUp(30);
    node.fault = new NodeError('STORAGE', 'the disk is full');
    pruner.poke();
    await settle();
    node.fault = null;
    pruner.poke();
    await settle();
    assert.deepEqual(asked, []);
    await pruner.stop();
  });
});
