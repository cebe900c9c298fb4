/** What is asked of the chain often and changes slowly, kept for a moment, so that a match waits for none of it. */
import type { Clock } from '../../clock.ts';
import type { Money } from './ports.ts';
import type { KnownMiner } from './miner-index.ts';

export type Terms = Awaited<ReturnType<Money['terms']>>;

const HEAD_MS = 1_000;
const BALANCE_MS = 2_000;
const TERMS_MS = 60_000;
const STAKE_MS = 60_000;

interface Kept<T> {
  readonly value: Promise<T>;
  readonly atMs: number;
}

type Head = Awaited<ReturnType<Money['head']>>;

export class ChainView {
  readonly #money: Money;
  readonly #clock: Clock;
  #terms: Kept<Terms> | null = null;
  #head: Kept<Head> | null = null;
  #balance: Kept<number> | null = null;

  constructor(money: Money, clock: Clock) {
    this.#money = money;
    this.#clock = clock;
  }

  terms(): Promise<Terms> {
    this.#terms = this.#fresh(this.#terms, TERMS_MS, () => this.#money.terms());
    return this.#terms.value;
  }

  head(): Promise<Head> {
    this.#head = this.#fresh(this.#head, HEAD_MS, () => this.#money.head());
    return this.#head.value;
  }

  balanceUait(): Promise<number> {
    this.#balance = this.#fresh(this.#balance, BALANCE_MS, () => this.#money.balanceUait());
    return this.#balance.value;
  }

  /** Money moved. */
  forgetBalance(): void {
    this.#balance = null;
  }

  async stakedUait(miner: KnownMiner): Promise<number> {
    const now = this.#clock.monotonic();
    if (miner.stakedUait === null || now - miner.stakeAtMs > STAKE_MS) {
      miner.stakedUait = await this.#money.stakedUait(miner.address);
      miner.stakeAtMs = now;
    }
    return miner.stakedUait;
  }

  /** What failed is asked again by the next one. */
  #fresh<T>(kept: Kept<T> | null, ms: number, ask: () => Promise<T>): Kept<T> {
    const now = this.#clock.monotonic();
    if (kept !== null && now - kept.atMs < ms) return kept;
    const fresh = { value: ask(), atMs: now };
    fresh.value.catch(() => {
      this.#terms = this.#head = this.#balance = null;
    });
    return fresh;
  }
}
