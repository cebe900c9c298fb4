import assert from 'node:assert/strict';
import { Capacity, LEAST_BLOCK, LEAST_DEPTH } from '../../../src/engine/capacity.ts';

interface Blocks {
  readonly count: number;
  readonly txs: number;
  /** Between blocks. */
  readonly gapMs: number;
  /** From the time in the header until final; the gap when not given. */
  readonly tookMs?: number;
  /** From the first sight of it until final; `tookMs` when not given. */
  readonly seenMs?: number;
  readonly round?: number | null;
  /** For other chains. */
  readonly restedMs?: number;
}

const CONFIGURED = { proposeMs: 600, proposeDeltaMs: 300, voteMs: 300, voteDeltaMs: 150, capMs: 8_000 };

class Chain {
  readonly capacity: Capacity;
  /** How far this node's clock is ahead of those of the proposers. */
  readonly #aheadMs: number;
  #nowMs = 0;

  constructor({ intervalMs = 500, aheadMs = 0, chains = 1 } = {}) {
    this.capacity = new Capacity(intervalMs, () => chains);
    this.#aheadMs = aheadMs;
  }

  /** With more waiting after each. */
  busy(blocks: Blocks): this {
    return this.#blocks(blocks, () => 1);
  }

  /** With such a part of what may wait, and one more. */
  crowded(part: number, blocks: Blocks): this {
    return this.#blocks(blocks, () => part * this.capacity.depth + 1);
  }

  idle(blocks: Blocks): this {
    return this.#blocks(blocks, () => 0);
  }

  /**
   * From a crowd on, blocks as large as they may be, which take `baseMs` and `msATx` for each transaction, while so many come.
   *
   * @returns blocks until each holds all that wait; Infinity when that is not within a hundred
   */
  drain({ ratePerS, baseMs, msATx }: { ratePerS: number; baseMs: number; msATx: number }): number {
    let waiting = this.capacity.depth;
    for (let block = 1; block <= 100; block++) {
      const txs = Math.min(Math.floor(waiting), this.capacity.blockTxs);
      const tookMs = baseMs + msATx * txs;
      const gapMs = Math.max(500, tookMs);
      waiting = Math.min(this.capacity.depth, waiting - txs + (ratePerS * tookMs) / 1_000);
      const left = waiting;
      this.#blocks({ count: 1, txs, gapMs, tookMs }, () => left);
      waiting += (ratePerS * (gapMs - tookMs)) / 1_000;
      if (waiting <= this.capacity.blockTxs) return block;
    }
    return Infinity;
  }

  #blocks(
    { count, txs, gapMs, tookMs = gapMs, seenMs = tookMs, round = 0, restedMs = 0 }: Blocks,
    waiting: () => number,
  ): this {
    for (let i = 0; i < count; i++) {
      const atMs = (this.#nowMs += gapMs);
      this.capacity.onBegun(atMs - seenMs);
      this.capacity.onBegun(atMs);
      const nowMs = atMs + this.#aheadMs;
      this.capacity.onCommitted({ txs, timeMs: atMs - tookMs, nowMs, atMs, waiting: waiting(), round, restedMs });
    }
    return this;
  }
}

describe('capacity', () => {
  it('does not count the time that work on a block rested for other chains', () => {
    const blocks = { count: 8, txs: 1_000, gapMs: 500, tookMs: 100 };
    const [rested, unhindered] = [new Chain({ chains: 2 }), new Chain({ chains: 2 })];
    rested.busy({ ...blocks, tookMs: 140, restedMs: 40 });
    assert.equal(rested.capacity.blockTxs, unhindered.busy(blocks).capacity.blockTxs);
    // The next proposal is waited for as long as the whole took.
    assert.equal(
      new Chain().idle({ ...blocks, tookMs: 400, restedMs: 100 }).capacity.timeouts(CONFIGURED).proposeMs,
      800,
    );
  });

  it('is the least on a chain that showed nothing yet, or little', () => {
    const quiet = new Chain().idle({ count: 9, txs: 1, gapMs: 10_000, tookMs: 60 });
    for (const { capacity } of [new Chain(), quiet, new Chain().busy({ count: 9, txs: 100, gapMs: 500, tookMs: 60 })]) {
      assert.equal(capacity.depth, LEAST_DEPTH);
      assert.equal(capacity.blockTxs, LEAST_BLOCK);
    }
  });

  it('what waits is what the last blocks took in three seconds', () => {
    const { capacity } = new Chain().busy({ count: 5, txs: 2_000, gapMs: 500 });
    assert.equal(capacity.rate, 4_000);
    assert.equal(capacity.depth, 12_000);
  });

  it('or in three intervals, where those are longer: with less the rate could not grow', () => {
    const { capacity } = new Chain({ intervalMs: 10_000 }).busy({ count: 5, txs: 20_000, gapMs: 10_000 });
    assert.equal(capacity.depth, 60_000);
  });

  it('a block holds what is final within six tenths of the interval', () => {
    assert.equal(new Chain().busy({ count: 5, txs: 1_000, gapMs: 500, tookMs: 250 }).capacity.blockTxs, 1_200);
    assert.equal(new Chain().busy({ count: 5, txs: 2_000, gapMs: 500, tookMs: 300 }).capacity.blockTxs, 2_000);
    assert.equal(new Chain().busy({ count: 5, txs: 3_000, gapMs: 500, tookMs: 400 }).capacity.blockTxs, 2_250);
  });

  it('grows within a few blocks, because of small ones most of the time is distance, by a half each', () => {
    const chain = new Chain().busy({ count: 4, txs: 500, gapMs: 500, tookMs: 100 });
    assert.equal(chain.capacity.blockTxs, 750);
    assert.equal(chain.busy({ count: 1, txs: 750, gapMs: 500, tookMs: 110 }).capacity.blockTxs, 1_125);
  });

  it('the chains of a node part two tenths among them', () => {
    const blocks = { count: 5, txs: 1_200, gapMs: 500, tookMs: 60 };
    assert.equal(new Chain({ chains: 2 }).busy(blocks).capacity.blockTxs, 1_000);
    assert.equal(new Chain({ chains: 16 }).busy(blocks).capacity.blockTxs, LEAST_BLOCK);
    assert.equal(new Chain({ chains: 0 }).busy(blocks).capacity.blockTxs, 1_800, 'while it is being started');
  });

  it('in a crowd it holds what is final within four tenths and grows by a tenth, until less than half of what may waits', () => {
    const slow = { count: 5, txs: 1_000, gapMs: 500, tookMs: 250 };
    assert.equal(new Chain().crowded(0.7, slow).capacity.blockTxs, 1_200);
    const chain = new Chain().crowded(0.75, slow);
    assert.equal(chain.capacity.blockTxs, 800);
    assert.equal(chain.crowded(0.5, slow).capacity.blockTxs, 800);
    assert.equal(chain.crowded(0.4, slow).capacity.blockTxs, 1_200);
    const quick = { count: 5, txs: 1_000, gapMs: 500, tookMs: 100 };
    assert.equal(new Chain().crowded(0.75, quick).capacity.blockTxs, 1_100);
    const beside = new Chain({ chains: 2 }).crowded(0.75, { ...slow, tookMs: 50 });
    assert.equal(beside.capacity.blockTxs, 1_000, 'as without a crowd');
  });

  it('a crowd ends in a while when no more comes than its blocks take, on a node of several chains, too', () => {
    // Blocks that take the share of a crowd hold 1,416, those of one of two chains 1,333.
    const alone = { baseMs: 30, msATx: 0.12 };
    assert.ok(new Chain().drain({ ...alone, ratePerS: 2_300 }) <= 40);
    const beside = { baseMs: 10, msATx: 0.03 };
    assert.ok(new Chain({ chains: 2 }).drain({ ...beside, ratePerS: 2_300 }) <= 40);
    assert.equal(new Chain({ chains: 2 }).drain({ ...beside, ratePerS: 2_800 }), Infinity);
  });

  it('blocks of a few transactions say nothing of what one takes', () => {
    const chain = new Chain().busy({ count: 4, txs: 2_000, gapMs: 500, tookMs: 200 });
    assert.equal(chain.idle({ count: 3, txs: 200, gapMs: 500, tookMs: 200 }).capacity.blockTxs, 3_000);
  });

  it('where the distance alone takes longer, a block may take twice as long as that', () => {
    const far = new Chain().idle({ count: 9, txs: 10, gapMs: 1_000, tookMs: 450 });
    assert.equal(far.busy({ count: 4, txs: 1_000, gapMs: 500, tookMs: 750 }).capacity.blockTxs, 1_200);
  });

  it('one that was held up says nothing of the distance beside quick ones', () => {
    const chain = new Chain().idle({ count: 7, txs: 1, gapMs: 1_000, tookMs: 60 });
    chain.idle({ count: 1, txs: 1, gapMs: 10_000, tookMs: 9_000 });
    assert.equal(chain.busy({ count: 4, txs: 1_000, gapMs: 500, tookMs: 300 }).capacity.blockTxs, 1_000);
  });

  it('nor do slow ones at the beginning, once a larger one was quicker', () => {
    const chain = new Chain().idle({ count: 2, txs: 1, gapMs: 1_000, tookMs: 600 });
    chain.busy({ count: 4, txs: 1_000, gapMs: 500, tookMs: 300 });
    assert.equal(chain.capacity.blockTxs, 1_500);
    assert.equal(chain.busy({ count: 1, txs: 1_000, gapMs: 340, tookMs: 140 }).capacity.blockTxs, 1_153);
  });

  it('a clock behind those of the proposers makes no block endless: what was seen here is the least that it took', () => {
    const late = new Chain({ aheadMs: -400 });
    const blocks = { count: 5, txs: 1_000, gapMs: 500, tookMs: 250, seenMs: 200 };
    assert.equal(late.busy(blocks).capacity.blockTxs, 1_500);
  });

  it('a proposer that begins late counts as slow, while there is something to propose', () => {
    const blocks = { count: 5, txs: 1_000, gapMs: 1_000, tookMs: 250 };
    assert.equal(new Chain().idle(blocks).capacity.blockTxs, 1_200);
    assert.ok(new Chain().busy(blocks).capacity.blockTxs < 600);
  });

  it('a proposal is waited for twice as long as the last blocks took, and at most twice the configured time', () => {
    const { capacity } = new Chain();
    assert.deepEqual(capacity.timeouts(CONFIGURED), CONFIGURED);
    const after = (tookMs: number, round: number | null = 0): number => {
      const blocks = { count: 5, txs: 10, gapMs: 2_000, tookMs, round };
      return new Chain().idle(blocks).capacity.timeouts(CONFIGURED).proposeMs;
    };
    assert.deepEqual([after(60), after(300), after(450), after(1_500)], [600, 600, 900, 1_200]);
    const slowOnce = new Chain().idle({ count: 1, txs: 10, gapMs: 2_000, tookMs: 500 });
    slowOnce.idle({ count: 3, txs: 10, gapMs: 2_000, tookMs: 60 });
    assert.equal(slowOnce.capacity.timeouts(CONFIGURED).proposeMs, 1_000);
    slowOnce.idle({ count: 1, txs: 10, gapMs: 2_000, tookMs: 60 });
    assert.equal(slowOnce.capacity.timeouts(CONFIGURED).proposeMs, 600);
    assert.deepEqual([after(900, 1), after(900, null)], [600, 600], 'a proposer that was gone, or not waited for');
  });

  it('after two blocks that took too long, the next ones hold three quarters of it, and grow slowly until a crowd is over', () => {
    const chain = new Chain().busy({ count: 4, txs: 1_600, gapMs: 500, tookMs: 250 });
    assert.equal(chain.capacity.blockTxs, 1_920);
    chain.busy({ count: 1, txs: 1_600, gapMs: 600, tookMs: 460 });
    assert.ok(chain.capacity.blockTxs > 1_500, 'one alone was held up');
    chain.busy({ count: 1, txs: 1_600, gapMs: 600, tookMs: 460 });
    assert.equal(chain.capacity.blockTxs, 1_200);
    chain.busy({ count: 1, txs: 1_000, gapMs: 140, tookMs: 100 });
    assert.equal(chain.capacity.blockTxs, 1_200, 'not more than was used');
    chain.busy({ count: 2, txs: 1_200, gapMs: 500, tookMs: 100 });
    assert.equal(chain.capacity.blockTxs, Math.floor(1_200 * 1.08));
    chain.busy({ count: 9, txs: 1_290, gapMs: 800, tookMs: 800 });
    assert.equal(chain.capacity.blockTxs, LEAST_BLOCK, 'bound: never less');
    chain.idle({ count: 3, txs: 800, gapMs: 500, tookMs: 100 });
    assert.ok(chain.capacity.blockTxs < 600);
    chain.idle({ count: 1, txs: 800, gapMs: 500, tookMs: 100 });
    assert.equal(chain.capacity.blockTxs, 1_200);
  });

  it('the time in which nothing waited is none that the chain needed', () => {
    assert.equal(new Chain().idle({ count: 3, txs: 1_000, gapMs: 60_000 }).capacity.rate, 2_000);
  });

  it('bound: follows a change within a few blocks, and forgets what was before', () => {
    const chain = new Chain().busy({ count: 50, txs: 2_000, gapMs: 500, tookMs: 100 });
    chain.busy({ count: 4, txs: 600, gapMs: 500, tookMs: 300 });
    assert.equal(chain.capacity.blockTxs, 600);
    assert.equal(chain.busy({ count: 8, txs: 600, gapMs: 500, tookMs: 300 }).capacity.rate, 1_200);
    const nearer = new Chain().idle({ count: 50, txs: 10, gapMs: 2_000, tookMs: 1_000 });
    nearer
      .idle({ count: 8, txs: 10, gapMs: 2_000, tookMs: 50 })
      .busy({ count: 4, txs: 1_000, gapMs: 500, tookMs: 300 });
    assert.equal(nearer.capacity.blockTxs, 1_000);
  });
});
