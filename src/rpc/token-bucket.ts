/** A rate with bursts: tokens come at a steady pace up to a most, and what is asked for takes them away. */

export class TokenBucket {
  readonly most: number;
  readonly #perS: number;
  #tokens: number;
  #atMs: number;

  /** Full at first. @param nowMs monotonic, as everywhere here */
  constructor(most: number, perS: number, nowMs: number) {
    this.most = most;
    this.#perS = perS;
    this.#tokens = most;
    this.#atMs = nowMs;
  }

  /** What is there; below 0 for what was spent in advance. */
  tokens(nowMs: number): number {
    this.#tokens = Math.min(this.most, this.#tokens + (Math.max(0, nowMs - this.#atMs) / 1000) * this.#perS);
    this.#atMs = nowMs;
    return this.#tokens;
  }

  /** Whether something may be asked for now. */
  hasOne(nowMs: number): boolean {
    return this.tokens(nowMs) >= 1;
  }

  /** Also beyond what is there: the rest is waited for before the next one. */
  spend(count: number, nowMs: number): void {
    this.#tokens = this.tokens(nowMs) - count;
  }

  /** Until there are so many. */
  waitMs(count: number, nowMs: number): number {
    return Math.max(0, ((count - this.tokens(nowMs)) / this.#perS) * 1000);
  }

  /** Until it is full. */
  fullInMs(nowMs: number): number {
    return this.waitMs(this.most, nowMs);
  }
}
