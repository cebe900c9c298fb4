import assert from 'node:assert/strict';
import { cutRanges, endOf, gaps, MAX_RANGES, MIN_RANGE_BLOCKS, RANGE_BLOCKS } from '../../../src/sync/ranges.ts';

describe('ranges', () => {
  it('are large where much is missing, and shared out where it is little', () => {
    assert.deepEqual(
      cutRanges([{ from: 1, count: 1_000_000 }], MAX_RANGES).map(({ count }) => count),
      Array<number>(MAX_RANGES).fill(RANGE_BLOCKS),
    );
    assert.deepEqual(cutRanges([{ from: 11, count: MIN_RANGE_BLOCKS + 1 }], MAX_RANGES), [
      { from: 11, count: MIN_RANGE_BLOCKS },
      { from: 11 + MIN_RANGE_BLOCKS, count: 1 },
    ]);
    assert.equal(cutRanges([{ from: 1, count: 800 }], MAX_RANGES).length, MAX_RANGES);
  });

  it('follow each other through what is missing, as many as there is room for', () => {
    for (const count of [1, 31, 32, 33, 255, 257, 5_000]) {
      let upTo = 0;
      for (const range of cutRanges([{ from: 1, count }], Infinity)) {
        assert.equal(range.from, upTo + 1);
        upTo = endOf(range);
      }
      assert.equal(upTo, count);
    }
    assert.equal(cutRanges([{ from: 1, count: 5_000 }], 3).length, 3);
    assert.deepEqual(cutRanges([], 3), []);
    assert.deepEqual(cutRanges([{ from: 1, count: 5_000 }], 0), []);
  });

  it('leave gaps, wherever the head stands and however they overlap', () => {
    const held = [
      { from: 40, count: 11 },
      { from: 10, count: 5 },
      { from: 45, count: 10 },
      { from: 12, count: 2 },
    ];
    assert.deepEqual(gaps(5, 60, held), [
      { from: 6, count: 4 },
      { from: 15, count: 25 },
      { from: 55, count: 6 },
    ]);
    assert.deepEqual(gaps(12, 42, held), [{ from: 15, count: 25 }]);
    assert.deepEqual(gaps(54, 54, held), []);
    assert.deepEqual(gaps(60, 54, held), []);
    assert.deepEqual(gaps(0, 3, []), [{ from: 1, count: 3 }]);
  });
});
