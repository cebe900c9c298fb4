/** Time limits as AbortSignals on an injected clock. */
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  /** To be called when the work is done: releases the timer. */
  clear(): void;
}

/** Aborts with NodeError TIMEOUT after `ms`, or with the outer signal. */
export function deadline(clock: Clock, ms: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  const onOuter = (): void => {
    controller.abort(new NodeError('TIMEOUT', 'the request was cancelled', { cause: outer?.reason }));
  };
  const cancel = clock.after(ms, () => {
    controller.abort(new NodeError('TIMEOUT', 'the peer did not answer in time', { data: { ms } }));
  });
  if (outer?.aborted === true) onOuter();
  else outer?.addEventListener('abort', onOuter, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      cancel();
      outer?.removeEventListener('abort', onOuter);
    },
  };
}
