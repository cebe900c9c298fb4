/** What the last of the best so many pays. One scan serves until it is forgotten, or until a share of them came on top. */
export class Margin {
  readonly #share: number;
  #known: { readonly rate: number; readonly waiting: number } | null = null;

  /** @param share of the count, after which it is looked at again */
  constructor(share: number) {
    this.#share = share;
  }

  forget(): void {
    this.#known = null;
  }

  /**
   * @param rates of all that wait, in any order; may be sorted in place
   * @returns Infinity when none waits: what others pay is not known then
   */
  rate(count: number, waiting: number, rates: () => Float64Array): number {
    if (this.#known && waiting < this.#known.waiting + Math.max(1, count * this.#share)) return this.#known.rate;
    const sorted = rates().sort();
    const rate = sorted[Math.max(0, sorted.length - Math.max(1, Math.floor(count)))] ?? Infinity;
    this.#known = { rate, waiting };
    return rate;
  }
}
