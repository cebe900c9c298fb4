/** Binary heap of what waits, best paying first, then oldest. */

export interface Paying {
  /** uait a byte. */
  readonly rate: number;
  readonly order: number;
}

export class PaymentHeap<T extends { readonly entry: Paying }> {
  readonly #items: T[] = [];

  push(item: T): void {
    const items = this.#items;
    items.push(item);
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (!top || !last || items.length === 0) return top;
    items[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let first = at;
      if (left < items.length && this.#before(left, first)) first = left;
      if (right < items.length && this.#before(right, first)) first = right;
      if (first === at) return top;
      this.#swap(at, first);
      at = first;
    }
  }

  #before(a: number, b: number): boolean {
    const left = this.#items[a]?.entry;
    const right = this.#items[b]?.entry;
    if (!left || !right) return false;
    return left.rate > right.rate || (left.rate === right.rate && left.order < right.order);
  }

  #swap(a: number, b: number): void {
    const items = this.#items;
    const [x, y] = [items[a], items[b]];
    if (!x || !y) return;
    items[a] = y;
    items[b] = x;
  }
}
