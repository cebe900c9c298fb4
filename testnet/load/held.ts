/**
 * Transfers that were refused for the moment, and those of the same senders that come after them. Of each sender the first
 * is offered again when it is due, and the others once that one is taken.
 */
export interface Held {
  readonly sender: number;
  readonly order: number;
}

interface Queue<T> {
  readonly items: T[];
  ripeAt: number;
  /** Offered alone, and not answered yet. */
  trial: T | null;
  /** Whether the one before them was taken. */
  isFree: boolean;
}

export class HeldTransfers<T extends Held> {
  readonly #retryMs: number;
  readonly #senders = new Map<number, Queue<T>>();
  #size = 0;

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  get size(): number {
    return this.#size;
  }

  /** It was refused. */
  add(item: T, now: number): void {
    const queue = this.#senders.get(item.sender) ?? { items: [], ripeAt: 0, trial: null, isFree: false };
    this.#senders.set(item.sender, queue);
    queue.items.push(item);
    this.#size++;
    if (queue.trial === item) queue.trial = null;
    queue.ripeAt = now + this.#retryMs;
    queue.isFree = false;
  }

  /** @returns whether it waits behind one of its sender */
  follow(item: T): boolean {
    const queue = this.#senders.get(item.sender);
    if (!queue) return false;
    queue.items.push(item);
    this.#size++;
    return true;
  }

  /** It was taken, or refused for good. */
  settled(item: T, now: number): void {
    const queue = this.#senders.get(item.sender);
    if (queue?.trial !== item) return;
    queue.trial = null;
    queue.isFree = true;
    queue.ripeAt = now;
    if (queue.items.length === 0) this.#senders.delete(item.sender);
  }

  /** Those that are due, in order for each sender. */
  takeRipe(now: number): T[] {
    const ripe: T[] = [];
    for (const [sender, queue] of this.#senders) {
      if (queue.trial || queue.ripeAt > now) continue;
      queue.items.sort((a, b) => a.order - b.order);
      const taken = queue.items.splice(0, queue.isFree ? queue.items.length : 1);
      this.#size -= taken.length;
      ripe.push(...taken);
      if (queue.isFree) this.#senders.delete(sender);
      else queue.trial = taken[0] ?? null;
    }
    return ripe;
  }
}
