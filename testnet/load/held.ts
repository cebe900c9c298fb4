/** Transfers that were refused for the moment, and those of the same senders that come after them, until they are due again. */

export class Held<T extends { readonly sender: number; readonly order: number }> {
  readonly #retryMs: number;
  readonly #senders = new Map<number, { readonly items: T[]; readonly ripeAt: number }>();
  #size = 0;

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  get size(): number {
    return this.#size;
  }

  /** It was refused. */
  add(item: T, now: number): void {
    const held = this.#senders.get(item.sender);
    if (held) held.items.push(item);
    else this.#senders.set(item.sender, { items: [item], ripeAt: now + this.#retryMs });
    this.#size++;
  }

  /** @returns whether it waits behind one of its sender */
  follow(item: T): boolean {
    if (!this.#senders.has(item.sender)) return false;
    this.add(item, 0);
    return true;
  }

  /** Those that are due, in order for each sender. */
  takeRipe(now: number): T[] {
    const ripe: T[] = [];
    for (const [sender, { items, ripeAt }] of this.#senders) {
      if (ripeAt > now) continue;
      this.#senders.delete(sender);
      this.#size -= items.length;
      ripe.push(...items.sort((a, b) => a.order - b.order));
    }
    return ripe;
  }
}
