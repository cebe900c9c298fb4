/** How catching up goes: since when blocks come, how fast, and how long the rest takes at that rate. */

/** The rate is that of the last seconds: blocks differ, and so do peers. */
const RATE_WINDOW_MS = 10_000;
const MAX_SAMPLES = 64;

export interface SyncProgress {
  readonly targetHeight: number;
  readonly blocksPerSecond: number;
  /** Until the target at this rate; the target itself may move. */
  readonly etaMs: number;
}

interface Sample {
  readonly atMs: number;
  readonly blocks: number;
}

/** Blocks fetched since catching up began, or since it last stood still. A claim alone is no progress, nor is a lie. */
export class Stretch {
  readonly startMs: number;
  #samples: Sample[];
  #blocks = 0;
  #lastMs: number;

  constructor(nowMs: number) {
    this.startMs = nowMs;
    this.#lastMs = nowMs;
    this.#samples = [{ atMs: nowMs, blocks: 0 }];
  }

  get blocks(): number {
    return this.#blocks;
  }

  /** When blocks came the last time, or the beginning. */
  get lastMs(): number {
    return this.#lastMs;
  }

  came(blocks: number, nowMs: number): void {
    this.#blocks += blocks;
    this.#lastMs = nowMs;
    this.#samples.push({ atMs: nowMs, blocks: this.#blocks });
    const second = (): Sample | undefined => this.#samples[1];
    while (this.#samples.length > MAX_SAMPLES || (second()?.atMs ?? Infinity) <= nowMs - RATE_WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Null while no block came. */
  progress(height: number, targetHeight: number): SyncProgress | null {
    const first = this.#samples[0];
    if (!first || this.#blocks === 0) return null;
    const seconds = Math.max(0.001, (this.#lastMs - first.atMs) / 1000);
    const blocksPerSecond = (this.#blocks - first.blocks) / seconds;
    const etaMs = Math.round((Math.max(0, targetHeight - height) / Math.max(0.001, blocksPerSecond)) * 1000);
    return { targetHeight, blocksPerSecond: Math.round(blocksPerSecond * 10) / 10, etaMs };
  }
}
