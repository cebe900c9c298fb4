import assert from 'node:assert/strict';
import { Capacity, LEAST_BLOCK, LEAST_DEPTH } from '../../../src/engine/capacity.ts';

class Chain {
  readonly capacity: Capacity;
  #nowMs = 0;

  constructor(intervalMs = 500) {
    this.capacity = new Capacity(intervalMs);
  }

  /** Blocks of so many transactions, so far apart, with more waiting after each. */
  busy(blocks: number, txs: number, gapMs: number): this {
    return this.#blocks(blocks, txs, gapMs, true);
  }

  idle(blocks: number, txs: number, gapMs: number): this {
    return this.#blocks(blocks, txs, gapMs, false);
  }

  #blocks(blocks: number, txs: number, gapMs: number, isMoreWaiting: boolean): this {
    for (let i = 0; i < blocks; i++) this.capacity.onCommitted(txs, (this.#nowMs += gapMs), isMoreWaiting);
    return this;
  }
}

describe('capacity', () => {
  it('is the least on a chain that showed nothing yet, or little', () => {
    for (const { capacity } of [new Chain(), new Chain().idle(9, 1, 10_000), new Chain().busy(9, 100, 500)]) {
      assert.equal(capacity.depth, LEAST_DEPTH);
      assert.equal(capacity.blockTxs, LEAST_BLOCK);
    }
  });

  it('what waits is what the last blocks took in three seconds', () => {
    const { capacity } = new Chain().busy(5, 2_000, 500);
    assert.equal(capacity.rate, 4_000);
    assert.equal(capacity.depth, 12_000);
  });

  it('or in three intervals, where those are longer: with less the rate could not grow', () => {
    assert.equal(new Chain(10_000).busy(5, 20_000, 10_000).capacity.depth, 60_000);
  });

  it('blocks grow while they come in time, stay as they are at one and a half, and shrink when they come later', () => {
    assert.equal(new Chain().busy(5, 2_000, 500).capacity.blockTxs, 3_000);
    assert.equal(new Chain().busy(5, 2_000, 750).capacity.blockTxs, 2_000);
    assert.equal(new Chain().busy(5, 2_000, 1_000).capacity.blockTxs, 1_500);
  });

  it('late is what comes later than small blocks: distance between nodes makes no block smaller', () => {
    assert.equal(new Chain().busy(9, LEAST_BLOCK, 1_000).busy(4, 2_000, 1_000).capacity.blockTxs, 3_000);
    assert.equal(new Chain().busy(9, LEAST_BLOCK, 1_000).busy(4, 2_000, 2_000).capacity.blockTxs, 1_500);
  });

  it('a small block that was held up counts for nothing beside quick ones', () => {
    const held = new Chain().busy(6, LEAST_BLOCK, 500).busy(1, LEAST_BLOCK, 9_000);
    assert.equal(held.busy(4, 2_000, 1_000).capacity.blockTxs, 1_500);
  });

  it('the time in which nothing waited is none that a block took', () => {
    const { capacity } = new Chain().idle(3, 1_000, 60_000);
    assert.equal(capacity.rate, 2_000);
    assert.equal(capacity.blockTxs, 1_500);
  });

  it('bound: follows a change within a few blocks, and forgets what was before', () => {
    assert.equal(new Chain().busy(50, 2_000, 500).busy(4, 600, 500).capacity.rate, 1_200);
    const { capacity } = new Chain().busy(50, LEAST_BLOCK, 2_000).busy(8, LEAST_BLOCK, 500);
    assert.equal(capacity.blockTxs, 768);
  });
});
