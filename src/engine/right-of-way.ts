/**
 * Who goes first on a node of several chains. Their agreement shares one thread, so a block of one transaction that meets one
 * of hundreds would wait at each of its steps, on each of its nodes. So work on a block rests, between two of its steps, while
 * another chain agrees on one that holds far fewer, or is about to: that takes some milliseconds, and the large one is hardly later.
 */
import type { Clock } from '../clock.ts';

/** So many times more transactions make a block give way: never two to each other, and none to one that takes as long itself. */
export const TIMES_LARGER = 8;
/** From its beginning on others rest for a block so long at most: one that takes longer waits for something else. */
export const HOLD_MS = 50;
/** Work on one block rests so long at most, however many small ones others make. */
export const MOST_REST_MS = 100;

interface Hold {
  txs: number;
  readonly untilMs: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

export class RightOfWay {
  readonly #clock: Clock;
  /** By chain; no more than there are. */
  readonly #holds = new Map<Way, Hold>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For one chain. */
  share(): Way {
    return new Way(this.#clock, this.#holds);
  }
}

/** What one chain says of its block, and how it gives way to those of others. */
export class Way {
  readonly clock: Clock;
  readonly #holds: Map<Way, Hold>;
  #restedMs = 0;

  constructor(clock: Clock, holds: Map<Way, Hold>) {
    this.clock = clock;
    this.#holds = holds;
  }

  /**
   * A block of so many transactions comes, or more, where it is said again: from then on others rest for it. The time counts
   * from the first one of a height, so that no proposer can hold the others up with many.
   */
  begin(txs: number): void {
    const known = this.#holds.get(this);
    if (known) {
      known.txs = Math.max(known.txs, txs);
      return;
    }
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#holds.set(this, { txs, untilMs: this.clock.monotonic() + HOLD_MS, over, end });
  }

  /** It is final, or nothing came of it. */
  end(): void {
    this.#restedMs = 0;
    this.#holds.get(this)?.end();
    this.#holds.delete(this);
  }

  /** Ms that the block in work has rested for others. */
  get restedMs(): number {
    return this.#restedMs;
  }

  /** Another chain agrees on a much smaller block. */
  get mustGive(): boolean {
    return this.#first() !== undefined;
  }

  /** Resolves when no other chain agrees on a much smaller block. What is no block of agreement, as a range that was fetched, is the largest. */
  async give(): Promise<void> {
    for (let hold = this.#first(); hold; hold = this.#first()) {
      const fromMs = this.clock.monotonic();
      const leftMs = Math.min(hold.untilMs - fromMs, MOST_REST_MS - this.#restedMs);
      await this.#within(hold.over, leftMs);
      this.#restedMs += this.clock.monotonic() - fromMs;
    }
  }

  #first(): Hold | undefined {
    if (this.#holds.size === 0 || this.#restedMs >= MOST_REST_MS) return undefined;
    const own = this.#holds.get(this)?.txs ?? Infinity;
    const nowMs = this.clock.monotonic();
    for (const [way, hold] of this.#holds) {
      if (way !== this && nowMs < hold.untilMs && TIMES_LARGER * Math.max(1, hold.txs) <= own) return hold;
    }
    return undefined;
  }

  async #within(over: Promise<void>, ms: number): Promise<void> {
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.clock.after(Math.max(1, Math.ceil(ms)), resolve);
    });
    await Promise.race([over, late]);
    cancel();
  }
}
