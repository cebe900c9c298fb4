/** How a command that runs a node ends: in order at the first signal, at once at the second. */
import type { RunningNode } from '../node.ts';

/** After a clean stop, whatever still holds the process is cut off. */
const LINGER_MS = 3000;
const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;

export async function endNode(node: RunningNode): Promise<void> {
  await node.stop();
  process.exitCode = 0;
  setTimeout(() => process.exit(0), LINGER_MS).unref();
}

/** The first signal asks to stop, also while the node still starts; the second ends the process. */
export function watchSignals(): { started(): void; onStop(stop: () => void): void } {
  let asked = false;
  let starting = true;
  let stop: (() => void) | null = null;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(SIGNAL_EXITS[signal]);
      asked = true;
      if (!starting) stop?.();
    });
  }
  return {
    started: () => {
      starting = false;
    },
    onStop: (fn) => {
      stop = fn;
      if (asked) fn();
    },
  };
}
