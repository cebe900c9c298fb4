import assert from 'node:assert/strict';
import { Capacity, LEAST_BLOCK, LEAST_DEPTH } from '../../../src/engine/capacity.ts';

/** Blocks of so many transactions, so far apart. */
function after(blocks: number, txs: number, gapMs: number, intervalMs = 500): Capacity {
  const capacity = new Capacity(intervalMs);
  for (let i = 0; i < blocks; i++) capacity.onCommitted(txs, i * gapMs);
  return capacity;
}

describe('capacity', () => {
  it('is the least on a chain that showed nothing yet, or little', () => {
    for (const capacity of [new Capacity(500), after(1, 10_000, 0), after(9, 1, 10_000)]) {
      assert.equal(capacity.depth, LEAST_DEPTH);
      assert.equal(capacity.blockTxs, LEAST_BLOCK);
    }
  });

  it('what waits is what the last blocks took in three seconds', () => {
    const capacity = after(5, 2_000, 500);
    assert.equal(capacity.rate, 4_000);
    assert.equal(capacity.depth, 12_000);
  });

  it('or in three intervals, where those are longer: with less the rate could not grow', () => {
    assert.equal(after(5, 20_000, 10_000, 10_000).depth, 60_000);
  });

  it('blocks grow while they come in time, and shrink below one interval when they come late', () => {
    assert.equal(after(5, 2_000, 500).blockTxs, 2_500);
    assert.equal(after(5, 2_000, 1_000).blockTxs, 950);
  });

  it('follows a change within a few blocks, and forgets what was before', () => {
    const capacity = after(50, 2_000, 500);
    for (let i = 0; i < 5; i++) capacity.onCommitted(600, 25_000 + i * 500);
    assert.equal(capacity.rate, 1_200);
  });

  it('many blocks at once, as when catching up, count as those of one interval', () => {
    assert.equal(after(5, 1_000, 0).rate, 2_000);
  });
});
