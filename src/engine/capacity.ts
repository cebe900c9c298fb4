/**
 * What the chain takes, as its last blocks show it: how many transactions of clients may wait, and how many go into a block
 * of this node. Both are this node's own choice and make no block invalid.
 */

/** Blocks that are looked at: few, so that it follows a change within some intervals. */
const BLOCKS = 4;
/**
 * What clients send waits for so long at most once it is taken, as long as it pays as much as the others: more would only
 * wait, and after a flood an idle chain would not be quick again before it is gone. Never below some intervals: what waits
 * is all that a block can hold, so that with less than one the rate could not grow.
 */
const WAIT_MS = 3_000;
const WAIT_INTERVALS = 3;
/**
 * Whatever the last blocks held, so many may wait: batches of some clients on an idle chain, and what comes while blocks grow
 * to a rate that was not known. With 4,096 a machine that took 800 a second was quick again only after 5.7 s.
 */
export const LEAST_DEPTH = 3_072;
/**
 * A block holds so much more than what was taken in the time between two small ones: blocks grow while they come in that time,
 * and stay as they are once they take so much longer. Who pays more waits for two at most, the one in work and the next.
 */
const BLOCK_GROWTH = 1.5;
/** A small block: what any machine executes within an interval. What it takes is distance and other work, not its size. */
export const LEAST_BLOCK = 512;
/** Small blocks of which the quickest counts, because any may have been held up. */
const SMALL_BLOCKS = 8;

export class Capacity {
  readonly #intervalMs: number;
  readonly #blocks: { readonly txs: number; readonly tookMs: number }[] = [];
  readonly #smallTookMs: number[] = [];
  /** When the last block left some that wait, so that the next one began at once. */
  #begunAtMs: number | null = null;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /**
   * @param nowMs monotonic
   * @param isMoreWaiting whether the next block can begin at once: other blocks wait for transactions, and tell nothing of the time one takes
   */
  onCommitted(txs: number, nowMs: number, isMoreWaiting: boolean): void {
    const began = this.#begunAtMs;
    this.#begunAtMs = isMoreWaiting ? nowMs : null;
    const tookMs = Math.max(this.#intervalMs, began === null ? 0 : nowMs - began);
    keep(this.#blocks, { txs, tookMs }, BLOCKS);
    if (began !== null && txs <= LEAST_BLOCK) keep(this.#smallTookMs, tookMs, SMALL_BLOCKS);
  }

  /** Transactions a second, while some wait. */
  get rate(): number {
    const txs = this.#blocks.reduce((sum, block) => sum + block.txs, 0);
    return (txs * 1_000) / (this.#blocks.length * this.#tookMs || Infinity);
  }

  /** What a block took, on average. */
  get #tookMs(): number {
    return this.#blocks.reduce((sum, { tookMs }) => sum + tookMs, 0) / Math.max(1, this.#blocks.length);
  }

  /** Transactions that may wait before one of a client must pay more than others. */
  get depth(): number {
    const waitMs = Math.max(WAIT_MS, WAIT_INTERVALS * this.#intervalMs);
    return Math.max(LEAST_DEPTH, Math.ceil((this.rate * waitMs) / 1_000));
  }

  /** Transactions for the next block of this node. */
  get blockTxs(): number {
    const smallMs = this.#smallTookMs.length === 0 ? this.#intervalMs : Math.min(...this.#smallTookMs);
    return Math.max(LEAST_BLOCK, Math.ceil((BLOCK_GROWTH * this.rate * smallMs) / 1_000));
  }
}

function keep<T>(list: T[], item: T, most: number): void {
  list.push(item);
  if (list.length > most) list.shift();
}
