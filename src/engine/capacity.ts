/**
 * What the chain takes, as its last blocks show it: how many transactions of clients may wait, and how many go into a block
 * of this node. Both are this node's own choice and make no block invalid.
 */

/** Gaps between blocks that are looked at: few, so that it follows a change within some intervals. */
const BLOCKS = 4;
/**
 * What clients send waits for so long at most once it is taken, as long as it pays as much as the others: more would only
 * wait, and after a flood an idle chain would not be quick again before it is gone. Never below some intervals: what waits
 * is all that a block can hold, so that with less than one the rate could not grow.
 */
const WAIT_MS = 3_000;
const WAIT_INTERVALS = 3;
/** Whatever the last blocks held, so many may wait: one batch of a client on an idle chain, and one of another. */
export const LEAST_DEPTH = 4_096;
/**
 * A block holds more than what was taken in one interval while blocks come in time, and a little less once they come late:
 * who pays more waits for two blocks at most, the one in work and the next, and so for little more than two intervals.
 */
const BLOCK_GROWTH = 1.25;
const LATE_SHARE = 0.95;
/** Mean time between blocks that counts as late, in intervals: what agreement takes beside a full block is less. */
const LATE_INTERVALS = 1.1;
/** What any machine executes within an interval. */
export const LEAST_BLOCK = 512;

export class Capacity {
  readonly #intervalMs: number;
  readonly #blocks: { readonly txs: number; readonly atMs: number }[] = [];

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** @param nowMs monotonic */
  onCommitted(txs: number, nowMs: number): void {
    this.#blocks.push({ txs, atMs: nowMs });
    if (this.#blocks.length > BLOCKS + 1) this.#blocks.shift();
  }

  /** Transactions a second. */
  get rate(): number {
    const later = this.#blocks.slice(1);
    return (later.reduce((sum, { txs }) => sum + txs, 0) * 1_000) / (later.length * this.#gapMs || Infinity);
  }

  /** Mean time between blocks. */
  get #gapMs(): number {
    const first = this.#blocks[0]?.atMs ?? 0;
    const last = this.#blocks.at(-1)?.atMs ?? 0;
    return Math.max(this.#intervalMs, (last - first) / Math.max(1, this.#blocks.length - 1));
  }

  /** Transactions that may wait before one of a client must pay more than others. */
  get depth(): number {
    const waitMs = Math.max(WAIT_MS, WAIT_INTERVALS * this.#intervalMs);
    return Math.max(LEAST_DEPTH, Math.ceil((this.rate * waitMs) / 1_000));
  }

  /** Transactions for the next block of this node. */
  get blockTxs(): number {
    const share = this.#gapMs > LATE_INTERVALS * this.#intervalMs ? LATE_SHARE : BLOCK_GROWTH;
    return Math.max(LEAST_BLOCK, Math.ceil((share * this.rate * this.#intervalMs) / 1_000));
  }
}
