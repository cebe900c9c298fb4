import assert from 'node:assert/strict';
import {
  cutRanges,
  endOf,
  MAX_RANGES,
  MIN_RANGE_BLOCKS,
  missingAbove,
  RANGE_BLOCKS,
} from '../../../src/sync/ranges.ts';

describe('ranges', () => {
  it('are large where much is missing, and shared out where it is little', () => {
    assert.deepEqual(
      cutRanges(0, 1_000_000, MAX_RANGES).map(({ count }) => count),
      Array<number>(MAX_RANGES).fill(RANGE_BLOCKS),
    );
    assert.deepEqual(cutRanges(10, 10 + MIN_RANGE_BLOCKS + 1, MAX_RANGES), [
      { from: 11, count: MIN_RANGE_BLOCKS },
      { from: 11 + MIN_RANGE_BLOCKS, count: 1 },
    ]);
    assert.equal(cutRanges(0, 800, MAX_RANGES).length, MAX_RANGES);
  });

  it('follow each other up to the target, as many as there is room for', () => {
    for (const target of [1, 31, 32, 33, 255, 257, 5_000]) {
      let upTo = 0;
      for (const range of cutRanges(0, target, Infinity)) {
        assert.equal(range.from, upTo + 1);
        upTo = endOf(range);
      }
      assert.equal(upTo, target);
    }
    assert.equal(cutRanges(0, 5_000, 3).length, 3);
    assert.deepEqual(cutRanges(7, 7, 3), []);
    assert.deepEqual(cutRanges(0, 5_000, 0), []);
  });

  it('lose what the head has passed; pieces of one range are one', () => {
    const ranges = [
      { from: 40, count: 11 },
      { from: 1, count: 20 },
      { from: 45, count: 6 },
      { from: 15, count: 6 },
    ];
    assert.deepEqual(missingAbove(17, ranges), [
      { from: 18, count: 3 },
      { from: 45, count: 6 },
    ]);
  });
});
