/**
 * Deficit round robin (Shreedhar and Varghese, 1995) among owners: whoever sends many or large jobs waits behind its own.
 * Taking one costs the same however many wait.
 */
interface Waiting<T> {
  readonly item: T;
  readonly cost: number;
}

interface Owner<T> {
  readonly name: string;
  /** Those before `head` are taken. */
  items: Waiting<T>[];
  head: number;
  deficit: number;
}

/** More than the largest job costs, so that each owner has its turn in each round. */
const QUANTUM = 128;

export class FairQueue<T> {
  readonly #owners = new Map<string, Owner<T>>();
  /** Owners that wait, in their turn. */
  #round: Owner<T>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param cost from 1 to 128 */
  push(owner: string, item: T, cost: number): void {
    let waiting = this.#owners.get(owner);
    if (!waiting) {
      waiting = { name: owner, items: [], head: 0, deficit: 0 };
      this.#owners.set(owner, waiting);
      this.#round.push(waiting);
    }
    waiting.items.push({ item, cost: Math.min(QUANTUM, Math.max(1, cost)) });
    this.#size++;
  }

  /** @param isWanted items that are not are left out; nothing else takes them out */
  shift(isWanted: (item: T) => boolean): T | undefined {
    for (let owner = this.#round[0]; owner !== undefined; owner = this.#round[0]) {
      const next = owner.items[owner.head];
      if (next === undefined) {
        this.#round.shift();
        this.#owners.delete(owner.name);
      } else if (!isWanted(next.item)) {
        this.#take(owner);
      } else if (owner.deficit < next.cost) {
        owner.deficit += QUANTUM;
        this.#round.shift();
        this.#round.push(owner);
      } else {
        owner.deficit -= next.cost;
        this.#take(owner);
        return next.item;
      }
    }
    return undefined;
  }

  /** Forgets those that are not wanted, wherever they wait. */
  compact(isWanted: (item: T) => boolean): void {
    for (const owner of this.#round) {
      const items = owner.items.slice(owner.head).filter(({ item }) => isWanted(item));
      this.#size -= owner.items.length - owner.head - items.length;
      owner.items = items;
      owner.head = 0;
    }
    this.#round = this.#round.filter((owner) => {
      if (owner.items.length === 0) this.#owners.delete(owner.name);
      return owner.items.length > 0;
    });
  }

  #take(owner: Owner<T>): void {
    owner.head++;
    this.#size--;
    if (owner.head < 64 || owner.head * 2 < owner.items.length) return;
    owner.items = owner.items.slice(owner.head);
    owner.head = 0;
  }
}
