/** How far a run of many seeds is: one line, written anew on a terminal and now and then elsewhere. */
const EVERY_MS = { terminal: 200, elsewhere: 10_000 };

export class Progress {
  readonly #total: number;
  readonly #isTerminal: boolean;
  readonly #startMs = performance.now();
  #toldMs = -Infinity;
  #isOpen = false;

  /** @param total seeds to come */
  constructor(total: number, isTerminal: boolean) {
    this.#total = total;
    this.#isTerminal = isTerminal;
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  tell(done: number, failed: number): void {
    const nowMs = performance.now();
    if (done >= this.#total) return;
    if (nowMs - this.#toldMs < (this.#isTerminal ? EVERY_MS.terminal : EVERY_MS.elsewhere)) return;
    this.#toldMs = nowMs;
    const line = progressLine(done, this.#total, failed, this.seconds);
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
    this.#isOpen = this.#isTerminal;
  }

  /** Says something above the line. */
  above(text: string): void {
    this.end();
    process.stderr.write(text);
  }

  end(): void {
    if (this.#isOpen) process.stderr.write('\r\u001b[K');
    this.#isOpen = false;
  }
}

/** `120 of 10000 seeds, 0 failed, 4.1 a second, 40 min left` */
export function progressLine(done: number, total: number, failed: number, seconds: number): string {
  const rate = done / Math.max(seconds, 0.001);
  const leftSeconds = Math.ceil((total - done) / Math.max(rate, 0.001));
  const left = leftSeconds < 120 ? `${leftSeconds} s` : `${Math.ceil(leftSeconds / 60)} min`;
  return `${done} of ${total} seeds, ${failed} failed, ${rate.toFixed(1)} a second, ${left} left`;
}
