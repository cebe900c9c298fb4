/**
 * What the chain takes, as its last blocks show it: how many transactions of clients may wait, how many go into a block
 * of this node, and how long it waits for a proposal. All are this node's own choice and make no block invalid.
 */
import type { Timeouts } from '../consensus/types.ts';

/** Blocks that are looked at: few, so that it follows a change within some intervals. */
const BLOCKS = 4;
/**
 * And for what may wait: more of them. What is let in on top is verified at once by all nodes, so that a room that grew and
 * shrank with each block made bursts of work that the next blocks waited for.
 */
const RATE_BLOCKS = 12;
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
 * From being built until it is final a block takes this share of the interval at most: what comes meanwhile waits for the next
 * one to begin and then for that time, and the rest of the interval is left for verifying and passing on what comes.
 */
const BUSY_SHARE = 0.6;
/**
 * Chains of one node part less of it among them, whether the others have blocks or not: a block of a quiet one that meets a
 * large one of a full chain waits at each of its steps on each of its nodes. So a chain takes beside others what it would if
 * all were full, not all that is left over.
 */
const SHARED_BUSY_SHARE = 0.2;
/**
 * Less of it in a crowd, which begins when three quarters of what may wait do, and ends below a half: what was let in meanwhile
 * is verified beside the blocks, so that large ones are soon slow ones, and who pays more than the others waits for them, too.
 */
const CROWD_BUSY_SHARE = 0.4;
const CROWD_FROM = 0.75;
const CROWD_UNTIL = 0.5;
/** Or twice what the distance between the validators costs each block, where that is longer. */
const DISTANCES = 2;
/** Nor more than so many times what the largest of the last ones held: a single quick one proves little on a busy machine. */
const GROWTH = 1.5;
const CROWD_GROWTH = 1.1;
/**
 * What a block takes shows late what is too much: first those are used up that were verified before. After two in a row
 * that took so many times their share of the interval, the next ones hold this part of the last, and then only so much more
 * than one that held as many, until for some blocks nothing is left waiting. One alone was held up by something else.
 * Without it four nodes that were offered three times what they take made blocks of 512 to 2,000, of which some took more
 * than a second.
 */
const OVERRUN = 1.5;
const CUT = 0.75;
const CAREFUL_GROWTH = 1.08;
/** Of what a block may hold, when it was not less for want of transactions. */
const USED = 0.95;
const CALM_BLOCKS = 4;
/** A block holds so many whatever the last ones took. */
export const LEAST_BLOCK = 512;
/** Blocks that show what a transaction takes: of smaller ones most of the time is distance. */
const TELLING_TXS = LEAST_BLOCK / 2;
/**
 * Blocks that show the distance, and any that is quicker than they were. Of the last few the quickest counts, because any
 * may have been held up: those of a cluster that has just begun were, and its nodes took the distance for half a second.
 */
const DISTANCE_TXS = LEAST_BLOCK / 4;
const DISTANCE_BLOCKS = 8;
/**
 * A proposal is waited for at least twice as long as the slowest of the last blocks took, though not for more than twice the
 * configured time: on a busy machine a proposer that is late is not one that is gone, and giving it up costs more than waiting.
 */
const PATIENCE = 2;
const MOST_PATIENCE = 2;

export interface CommittedBlock {
  readonly txs: number;
  /** In its header. */
  readonly timeMs: number;
  /** Of this node's clock, which may differ from its proposer's. */
  readonly nowMs: number;
  /** Monotonic. */
  readonly atMs: number;
  /** Transactions that the next block could hold: with some it can begin at once, without it waits for them. */
  readonly waiting: number;
  /** In which it was decided; null when that was not seen. */
  readonly round: number | null;
  /** That work on it rested here for other chains. */
  readonly restedMs: number;
}

interface Timed {
  readonly txs: number;
  readonly ms: number;
}

export class Capacity {
  readonly #intervalMs: number;
  readonly #chains: () => number;
  /** The last blocks, with the time until each since the one before was final or transactions came. */
  readonly #gaps: Timed[] = [];
  /** Transactions that a block may hold since two took too long. */
  #careful = Infinity;
  #wasOverrun = false;
  #isCrowd = false;
  /** Blocks since some were left waiting. */
  #calm = 0;
  readonly #telling: Timed[] = [];
  readonly #distancesMs: number[] = [];
  /** What the last blocks took whose first proposer was there. */
  readonly #tookMs: number[] = [];
  /** When the last block left some that wait. */
  #waitingSinceMs: number | null = null;
  /** When the next one could begin, as there was enough for it: wall clock. */
  #dueMs = Infinity;
  /** When the next one was first seen here. */
  #begunAtMs: number | null = null;

  /** @param chains that run on this node, this one included */
  constructor(intervalMs: number, chains: () => number = () => 1) {
    this.#intervalMs = intervalMs;
    this.#chains = chains;
  }

  /** A block for the next height is built here, or was proposed by another. @param atMs monotonic */
  onBegun(atMs: number): void {
    this.#begunAtMs ??= atMs;
  }

  onCommitted({ txs, timeMs, nowMs, atMs, waiting, round, restedMs }: CommittedBlock): void {
    // What its header says holds the time of building, but two clocks; what was seen here is the least that it took. A
    // proposer that began late had too much to do before: that counts too.
    const wholeMs = Math.max(1, nowMs - Math.min(timeMs, this.#dueMs), atMs - (this.#begunAtMs ?? atMs));
    const ms = Math.max(1, wholeMs - restedMs);
    const isMoreWaiting = waiting > 0;
    this.#begunAtMs = null;
    this.#dueMs = isMoreWaiting ? Math.max(nowMs, timeMs + this.#intervalMs) : Infinity;
    const gapMs = this.#waitingSinceMs === null ? 0 : atMs - this.#waitingSinceMs;
    this.#waitingSinceMs = isMoreWaiting ? atMs : null;
    keep(this.#gaps, { txs, ms: Math.max(this.#intervalMs, gapMs) }, RATE_BLOCKS);
    this.#takeCare(txs, ms, isMoreWaiting);
    if (txs >= TELLING_TXS) keep(this.#telling, { txs, ms }, BLOCKS);
    if (txs <= DISTANCE_TXS || ms < this.#distanceMs) keep(this.#distancesMs, ms, DISTANCE_BLOCKS);
    if (round === 0) keep(this.#tookMs, wholeMs, BLOCKS);
    this.#isCrowd = waiting > (this.#isCrowd ? CROWD_UNTIL : CROWD_FROM) * this.depth;
  }

  /** Transactions a second, while some wait. */
  get rate(): number {
    return 1_000 * pace(this.#gaps);
  }

  /** Transactions that may wait before one of a client must pay more than others. */
  get depth(): number {
    const waitMs = Math.max(WAIT_MS, WAIT_INTERVALS * this.#intervalMs);
    return Math.max(LEAST_DEPTH, Math.ceil((this.rate * waitMs) / 1_000));
  }

  /** Transactions for the next block of this node: it grows from block to block, because small ones are slow for what they hold. */
  get blockTxs(): number {
    const largest = Math.max(0, ...this.#gaps.slice(-BLOCKS).map(({ txs }) => txs));
    const grown = (this.#isCrowd ? CROWD_GROWTH : GROWTH) * largest;
    const wanted = Math.min(pace(this.#telling) * this.#budgetMs, grown, this.#careful);
    return Math.max(LEAST_BLOCK, Math.floor(wanted));
  }

  /** What a block may take until it is final. */
  get #budgetMs(): number {
    const chains = this.#chains();
    const alone = this.#isCrowd ? CROWD_BUSY_SHARE : BUSY_SHARE;
    const share = chains > 1 ? SHARED_BUSY_SHARE / chains : alone;
    return Math.max(share * this.#intervalMs, DISTANCES * this.#distanceMs);
  }

  get #distanceMs(): number {
    return this.#distancesMs.length === 0 ? 0 : Math.min(...this.#distancesMs);
  }

  #takeCare(txs: number, ms: number, isMoreWaiting: boolean): void {
    const isOverrun = txs >= TELLING_TXS && ms > OVERRUN * this.#budgetMs;
    const isAgain = isOverrun && this.#wasOverrun;
    this.#wasOverrun = isOverrun;
    this.#calm = isMoreWaiting ? 0 : this.#calm + 1;
    if (this.#calm >= CALM_BLOCKS) this.#careful = Infinity;
    else if (isAgain) {
      this.#careful = Math.max(LEAST_BLOCK, CUT * Math.min(txs, this.#careful));
    } else if (txs >= USED * this.#careful) this.#careful *= CAREFUL_GROWTH;
  }

  /** Those of the next height. @param configured for blocks that take their usual time */
  timeouts(configured: Timeouts): Timeouts {
    const wantedMs = PATIENCE * Math.max(0, ...this.#tookMs);
    const mostMs = MOST_PATIENCE * configured.proposeMs;
    return { ...configured, proposeMs: Math.min(mostMs, Math.max(configured.proposeMs, wantedMs)) };
  }
}

/** Transactions a millisecond. */
function pace(blocks: readonly Timed[]): number {
  const ms = blocks.reduce((sum, block) => sum + block.ms, 0);
  return ms === 0 ? 0 : blocks.reduce((sum, block) => sum + block.txs, 0) / ms;
}

function keep<T>(list: T[], item: T, most: number): void {
  list.push(item);
  if (list.length > most) list.shift();
}
