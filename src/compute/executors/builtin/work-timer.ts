/** A limit of time that counts only while it is not paused: a module does not pay for a slow receiver. */
export class WorkTimer {
  readonly #abort = new AbortController();
  #leftMs: number;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#leftMs = ms;
    this.#resume();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  async pausedFor(work: Promise<void>): Promise<void> {
    this.stop();
    this.#leftMs -= performance.now() - this.#since;
    try {
      await work;
    } finally {
      this.#resume();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #resume(): void {
    this.#since = performance.now();
    this.#timer = setTimeout(
      () => {
        this.#abort.abort();
      },
      Math.max(0, this.#leftMs),
    );
  }
}
