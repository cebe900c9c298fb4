/** Virtual time: events in order of their moment, then of their making. Nothing here knows the real time. */
import type { Clock } from '../../src/clock.ts';
import { toNodeError } from '../../src/errors.ts';

interface TimedEvent {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Events in one turn of the event loop, at most: between two of them all promise reactions run, a turn costs far more. */
const MAX_BATCH = 256;

/** Wall-clock time at the start of every run. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

export class VirtualTime {
  readonly #heap: TimedEvent[] = [];
  #order = 0;
  #nowMs = 0;
  /** Events that ran. */
  steps = 0;

  /** ms since the start of the run. */
  get nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): () => void {
    const event: TimedEvent = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /**
   * Runs one event after another, each with all that follows from it at once.
   *
   * @param isOver asked before each event and after the last; throws what it throws
   */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let waiting = 0;
      let batch = 1;
      let ended = false;
      const end = (finish: () => void): void => {
        ended = true;
        finish();
      };
      const tick = (): void => {
        if (ended) return;
        waiting--;
        try {
          if (isOver() || !this.#runNext()) end(resolve);
          else if (waiting === 0) fill();
        } catch (error) {
          end(() => {
            reject(toNodeError(error));
          });
        }
      };
      const fill = (): void => {
        for (waiting = 0; waiting < batch; waiting++) setImmediate(tick);
        batch = Math.min(2 * batch, MAX_BATCH);
      };
      fill();
    });
  }

  /** @returns false when nothing is left */
  #runNext(): boolean {
    for (let event = this.#pop(); event; event = this.#pop()) {
      if (!event.run) continue;
      this.#nowMs = event.atMs;
      this.steps++;
      event.run();
      return true;
    }
    return false;
  }

  #push(event: TimedEvent): void {
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (!parent || !isBefore(event, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  #pop(): TimedEvent | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      if (!left) break;
      const right = heap[child + 1];
      if (right && isBefore(right, left)) child++;
      const least = heap[child] ?? left;
      if (!isBefore(least, last)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: TimedEvent, b: TimedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All promise reactions have run: a macrotask comes only after the last of them. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** One machine's clock. Its timers end with the process that set them, its offset is the machine's. */
export class MachineClock {
  offsetMs = 0;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  now(): number {
    return Math.floor(EPOCH_MS + this.#time.nowMs + this.offsetMs);
  }

  /** @param isAlive of the process: a dead one hears no timer */
  forProcess(isAlive: () => boolean): Clock {
    return {
      now: () => this.now(),
      monotonic: () => this.#time.nowMs,
      after: (ms, fn) =>
        this.#time.after(Math.max(1, ms), () => {
          if (isAlive()) fn();
        }),
    };
  }
}
