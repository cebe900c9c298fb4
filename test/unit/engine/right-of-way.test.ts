import assert from 'node:assert/strict';
import { HOLD_MS, MOST_REST_MS, RightOfWay, TIMES_LARGER } from '../../../src/engine/right-of-way.ts';
import type { Way } from '../../../src/engine/right-of-way.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';

describe('right of way', () => {
  let clock: ManualClock;
  let rightOfWay: RightOfWay;
  let large: Way;
  let small: Way;
  let given = 0;

  beforeEach(() => {
    clock = manualClock();
    rightOfWay = new RightOfWay(clock);
    [large, small] = [rightOfWay.share(), rightOfWay.share()];
    given = 0;
  });

  /** Whether it is given at once. */
  async function gives(way: Way): Promise<boolean> {
    const before = given;
    void way.give().then(() => given++);
    await settled();
    return given > before;
  }

  async function settled(): Promise<void> {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }

  it('is everyone’s where nothing is agreed on', async () => {
    assert.ok(await gives(large));
    large.begin(500);
    assert.ok(await gives(large));
    large.end();
    assert.ok(await gives(small));
  });

  it('is a small block’s until it is final', async () => {
    large.begin(500);
    small.begin(1);
    assert.equal(await gives(large), false);
    assert.ok(await gives(small));
    clock.advance(20);
    small.end();
    await settled();
    assert.equal(given, 2);
    assert.equal(large.restedMs, 20);
    assert.equal(clock.pending, 0);
    large.end();
    assert.equal(large.restedMs, 0);
  });

  it('is nobody’s among blocks of like size', async () => {
    large.begin(TIMES_LARGER * 10 - 1);
    small.begin(10);
    assert.ok(await gives(large));
    assert.ok(await gives(small));
  });

  it('is what the block that comes of it holds: what waited was fewer', async () => {
    large.begin(500);
    small.begin(1);
    small.begin(499);
    small.begin(2);
    assert.ok(await gives(large));
  });

  it('is before a range that was fetched, which is no block of agreement', async () => {
    small.begin(500);
    assert.equal(await gives(large), false);
    small.end();
    await settled();
    assert.equal(given, 1);
  });

  it('bound: a block that takes long is waited for 50 ms, and its height has no second turn', async () => {
    large.begin(500);
    small.begin(1);
    assert.equal(await gives(large), false);
    clock.advance(HOLD_MS);
    await settled();
    assert.equal(given, 1);
    small.begin(2);
    assert.ok(await gives(large));
    small.end();
    small.begin(1);
    assert.equal(await gives(large), false);
  });

  it('bound: a block rests 100 ms, however many small ones there are', async () => {
    large.begin(500);
    for (let restedMs = 0; restedMs < MOST_REST_MS; restedMs += 40) {
      small.begin(1);
      assert.equal(await gives(large), false);
      clock.advance(Math.min(40, MOST_REST_MS - restedMs));
      small.end();
      await settled();
    }
    small.begin(1);
    assert.ok(await gives(large));
    large.end();
    large.begin(500);
    assert.equal(await gives(large), false);
  });
});
