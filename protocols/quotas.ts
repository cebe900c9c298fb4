/** Token buckets: how much a peer may ask or send. Time is passed in, so that they are exact in tests. */

export interface QuotaRule {
  /** Tokens a bucket holds when full: the burst. */
  readonly capacity: number;
  readonly refillPerSecond: number;
  /** What a token is, for people: "blocks", "bytes", … */
  readonly unit: string;
  /** Where the figures come from. */
  readonly reason: string;
}

export class TokenBucket {
  readonly #rule: Pick<QuotaRule, 'capacity' | 'refillPerSecond'>;
  #tokens: number;
  #atMs: number;

  /** @param nowMs monotonic */
  constructor(rule: Pick<QuotaRule, 'capacity' | 'refillPerSecond'>, nowMs: number) {
    this.#rule = rule;
    this.#tokens = rule.capacity;
    this.#atMs = nowMs;
  }

  /** Takes `cost` tokens, or none and answers false. A cost above the capacity is granted when the bucket is full. */
  take(cost: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < Math.min(cost, this.#rule.capacity)) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Takes tokens for what has happened already; the bucket may go below zero and `take` fails until it is refilled. */
  charge(cost: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= cost;
  }

  /** Full again: as good as new, so that it need not be kept. */
  full(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#rule.capacity;
  }

  #refill(nowMs: number): void {
    const gained = (Math.max(0, nowMs - this.#atMs) / 1_000) * this.#rule.refillPerSecond;
    this.#tokens = Math.min(this.#rule.capacity, this.#tokens + gained);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}
