/** Time as the impure parts see it. Pure code takes times as arguments; the simulator brings its own clock. */
export interface Clock {
  /** Wall clock, ms since 1970 (UTC). May jump. */
  now(): number;
  /** Monotonic ms, for measuring spans. */
  monotonic(): number;
  /** Runs `fn` once after `ms`, with 0 when others had a turn; the returned function cancels it and may be called at any time. */
  after(ms: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, fn) => {
    if (ms === 0) {
      const turn = setImmediate(fn);
      return () => {
        clearImmediate(turn);
      };
    }
    const timer = setTimeout(fn, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Resolves after `ms`; 0 lets others have a turn. */
export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** Repeats `fn` every `ms` on the given clock until the returned function is called. */
export function every(clock: Clock, ms: number, fn: () => void): () => void {
  let cancel = clock.after(ms, tick);
  let stopped = false;
  function tick(): void {
    fn();
    if (!stopped) cancel = clock.after(ms, tick);
  }
  return () => {
    stopped = true;
    cancel();
  };
}
