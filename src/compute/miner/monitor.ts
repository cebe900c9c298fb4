/** How fast models answer here, measured from the work itself: a moving average for each. */
import type { Clock } from '../../clock.ts';

export const MAX_MEASURED = 64;
/** Weight of the latest measurement. */
const SHARE = 0.25;
/** Output of less time than this says little about a rate. */
const LEAST_MS = 50;
const UNKNOWN_FIRST_MS = { warm: 500, cold: 5_000 } as const;

export interface Speed {
  readonly kind: string;
  readonly model: string;
  /** Of output, from the first piece to the last; 0: not measured yet. */
  readonly bytesPerSecond: number;
  /** From the start to the first piece; null: not measured yet. */
  readonly firstMs: number | null;
}

/** One run, from its start. */
export interface Stopwatch {
  output(bytes: number): void;
  /** Counts. A run without output says nothing. */
  done(): void;
}

export class Monitor {
  readonly #clock: Clock;
  readonly #speeds = new Map<string, Speed>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(kind: string, model: string): Stopwatch {
    const startMs = this.#clock.monotonic();
    let firstMs: number | null = null;
    let lastMs = startMs;
    let [firstBytes, bytes] = [0, 0];
    return {
      output: (more) => {
        lastMs = this.#clock.monotonic();
        bytes += more;
        if (firstMs !== null) return;
        firstMs = lastMs - startMs;
        firstBytes = more;
      },
      done: () => {
        if (firstMs === null) return;
        const spanMs = lastMs - startMs - firstMs;
        const rate = spanMs >= LEAST_MS ? ((bytes - firstBytes) * 1000) / spanMs : null;
        this.#note(kind, model, firstMs, rate);
      },
    };
  }

  speed(kind: string, model: string): Speed {
    return this.#speeds.get(keyOf(kind, model)) ?? { kind, model, bytesPerSecond: 0, firstMs: null };
  }

  /** Expected wait for the first piece. */
  firstMs(kind: string, model: string, isWarm: boolean): number {
    const known = this.speed(kind, model).firstMs;
    return Math.ceil(known ?? (isWarm ? UNKNOWN_FIRST_MS.warm : UNKNOWN_FIRST_MS.cold));
  }

  speeds(): readonly Speed[] {
    return [...this.#speeds.values()];
  }

  #note(kind: string, model: string, firstMs: number, rate: number | null): void {
    const key = keyOf(kind, model);
    const before = this.speed(kind, model);
    const mix = (old: number, now: number): number => old + (now - old) * SHARE;
    const bytesPerSecond =
      rate === null ? before.bytesPerSecond : before.bytesPerSecond === 0 ? rate : mix(before.bytesPerSecond, rate);
    this.#speeds.delete(key);
    this.#speeds.set(key, {
      ...{ kind, model, bytesPerSecond },
      firstMs: before.firstMs === null ? firstMs : mix(before.firstMs, firstMs),
    });
    if (this.#speeds.size <= MAX_MEASURED) return;
    for (const oldest of this.#speeds.keys()) {
      this.#speeds.delete(oldest);
      return;
    }
  }
}

function keyOf(kind: string, model: string): string {
  return JSON.stringify([kind, model]);
}
