/** Many deadlines on one timer: a binary heap in which each entry knows its place, so that one is dropped as fast as added. */
import type { Clock } from '../../clock.ts';

export interface Deadline {
  readonly atMs: number;
  readonly run: () => void;
  place: number;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #heap: Deadline[] = [];
  #cancelTimer: (() => void) | null = null;
  #timerAtMs = Infinity;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Monotonic. */
  get nowMs(): number {
    return this.#clock.monotonic();
  }

  get size(): number {
    return this.#heap.length;
  }

  /** @param ms from now on */
  after(ms: number, run: () => void): Deadline {
    const deadline = { atMs: this.#clock.monotonic() + Math.max(0, ms), run, place: this.#heap.length };
    if (this.#isClosed) return deadline;
    this.#heap.push(deadline);
    this.#up(deadline);
    this.#arm();
    return deadline;
  }

  /** Safe to call again, and after it ran. */
  drop(deadline: Deadline | null): void {
    if (deadline === null || this.#heap[deadline.place] !== deadline) return;
    const last = this.#heap.pop();
    if (last === undefined || last === deadline) return;
    last.place = deadline.place;
    this.#heap[last.place] = last;
    this.#up(last);
    this.#down(last);
  }

  /** None runs any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#heap.length = 0;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.atMs >= this.#timerAtMs) return;
    this.#cancelTimer?.();
    this.#timerAtMs = first.atMs;
    this.#cancelTimer = this.#clock.after(Math.max(1, Math.ceil(first.atMs - this.#clock.monotonic())), () => {
      this.#cancelTimer = null;
      this.#timerAtMs = Infinity;
      this.#runDue();
      this.#arm();
    });
  }

  #runDue(): void {
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= now; first = this.#heap[0]) {
      this.drop(first);
      first.run();
    }
  }

  #up(deadline: Deadline): void {
    while (deadline.place > 0) {
      const above = this.#heap[(deadline.place - 1) >> 1];
      if (above === undefined || above.atMs <= deadline.atMs) return;
      this.#swap(above, deadline);
    }
  }

  #down(deadline: Deadline): void {
    for (;;) {
      const left = this.#heap[2 * deadline.place + 1];
      const right = this.#heap[2 * deadline.place + 2];
      const below = left !== undefined && right !== undefined && right.atMs < left.atMs ? right : left;
      if (below === undefined || below.atMs >= deadline.atMs) return;
      this.#swap(deadline, below);
    }
  }

  #swap(a: Deadline, b: Deadline): void {
    const { place } = a;
    a.place = b.place;
    b.place = place;
    this.#heap[a.place] = a;
    this.#heap[b.place] = b;
  }
}
