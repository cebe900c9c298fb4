import assert from 'node:assert/strict';
import { Stretch } from '../../../src/sync/progress.ts';

describe('progress of catching up', () => {
  it('is none while nothing came', () => {
    assert.equal(new Stretch(0).progress(0, 1_000), null);
  });

  it('gives the rate, and the time left at that rate', () => {
    const stretch = new Stretch(1_000);
    stretch.came(500, 2_000);
    stretch.came(500, 3_000);
    assert.deepEqual(stretch.progress(1_000, 6_000), { targetHeight: 6_000, blocksPerSecond: 500, etaMs: 10_000 });
    assert.equal(stretch.progress(6_000, 6_000)?.etaMs, 0);
  });

  it('gives the rate of the last seconds, however long it has gone on', () => {
    const stretch = new Stretch(0);
    let nowMs = 0;
    for (let i = 0; i < 10_000; i++) stretch.came(1, (nowMs += 10));
    for (let i = 0; i < 200; i++) stretch.came(1, (nowMs += 100));
    const rate = stretch.progress(0, 1)?.blocksPerSecond ?? 0;
    assert.ok(rate >= 9.9 && rate <= 12, String(rate));
  });
});
