/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/clock.ts';

export interface ManualClock extends Clock {
  /** Moves time on, running what falls due in order. */
  advance(ms: number): void;
  readonly pending: number;
}

export function manualClock(): ManualClock {
  let nowMs = 1_000_000;
  const timers = new Set<{ atMs: number; fn: () => void }>();
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: (ms, fn) => {
      const timer = { atMs: nowMs + ms, fn };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance: (ms) => {
      const end = nowMs + ms;
      for (;;) {
        const due = [...timers].filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
        if (!due) break;
        nowMs = due.atMs;
        timers.delete(due);
        due.fn();
      }
      nowMs = end;
    },
    get pending() {
      return timers.size;
    },
  };
}
