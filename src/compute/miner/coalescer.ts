/**
 * Small pieces of output put together, so that a stream of tokens costs no frame and hash each. The first piece goes at
 * once, what follows within 20 ms waits for the end of them, or for a KiB.
 */
import { concatBytes } from '../../bytes.ts';
import type { Clock } from '../../clock.ts';
import { MAX_PIECE_BYTES } from '../../../protocols/market/work-frames.ts';

export const FLUSH_MS = 20;
const FLUSH_BYTES = 1024;

export class Coalescer {
  readonly #clock: Clock;
  readonly #hand: (piece: Uint8Array) => Promise<void>;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lastMs = -Infinity;
  #cancelTimer: (() => void) | null = null;
  /** Handing over what came before; fails for good once it failed. */
  #handing: Promise<void> = Promise.resolve();
  #isHanding = false;

  /** @param hand resolves when more may come */
  constructor(clock: Clock, hand: (piece: Uint8Array) => Promise<void>) {
    this.#clock = clock;
    this.#hand = hand;
  }

  /** Resolves when more may come: holds a KiB and one piece at most. @throws what handing over threw */
  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_PIECE_BYTES)
      await this.#addPiece(bytes.subarray(at, at + MAX_PIECE_BYTES));
  }

  /** Hands over the rest. */
  async flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    while (this.#bytes > 0 || this.#isHanding) {
      this.#next();
      await this.#handing;
    }
    await this.#handing;
  }

  close(): void {
    this.#cancelTimer?.();
    this.#waiting = [];
    this.#bytes = 0;
  }

  async #addPiece(bytes: Uint8Array): Promise<void> {
    if (this.#bytes + bytes.length > MAX_PIECE_BYTES) await this.flush();
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= FLUSH_BYTES) {
      await this.flush();
      return;
    }
    if (this.#isHanding || this.#cancelTimer) return;
    const pauseMs = this.#lastMs + FLUSH_MS - this.#clock.monotonic();
    if (pauseMs <= 0) this.#next();
    else this.#schedule(pauseMs);
  }

  #schedule(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => {
      this.#cancelTimer = null;
      this.#next();
    });
  }

  /** One at a time. */
  #next(): void {
    if (this.#isHanding || this.#bytes === 0) return;
    const piece = this.#waiting.length === 1 && this.#waiting[0] ? this.#waiting[0] : concatBytes(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    this.#lastMs = this.#clock.monotonic();
    this.#isHanding = true;
    this.#handing = this.#hand(piece).then(() => {
      this.#isHanding = false;
      if (this.#bytes > 0 && !this.#cancelTimer) this.#schedule(FLUSH_MS);
    });
    // Whoever adds or flushes next is told.
    this.#handing.catch(() => {
      this.#isHanding = false;
    });
  }
}
