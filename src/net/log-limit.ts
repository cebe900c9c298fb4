/** Keeps a remote side from filling the log: a message goes out at once, then at most once a period, with a count. */
import type { Clock } from '../clock.ts';
import type { LogContext, Logger } from '../log.ts';
import type { LogLevel } from '../log-level.ts';

const DEFAULT_PERIOD_MS = 10_000;
/** Keys remembered; the oldest is forgotten, which can only let a line through. */
const MAX_KEYS = 512;

export interface LogLimit {
  /** @param key what repeats, e.g. the peer; joined with the message */
  log(level: Exclude<LogLevel, 'debug'>, key: string, message: string, context: LogContext): void;
}

export function createLogLimit(logger: Logger, clock: Clock, periodMs = DEFAULT_PERIOD_MS): LogLimit {
  const seen = new Map<string, { atMs: number; suppressed: number }>();
  return {
    log(level, key, message, context) {
      const id = `${message}\n${key}`;
      const nowMs = clock.monotonic();
      const last = seen.get(id);
      if (last !== undefined && nowMs - last.atMs < periodMs) {
        last.suppressed += 1;
        logger.debug(message, context);
        return;
      }
      seen.delete(id);
      seen.set(id, { atMs: nowMs, suppressed: 0 });
      const oldest = seen.keys().next();
      if (seen.size > MAX_KEYS && oldest.done !== true) seen.delete(oldest.value);
      const suppressed = last?.suppressed ?? 0;
      logger[level](message, suppressed > 0 ? { ...context, suppressed } : context);
    },
  };
}
