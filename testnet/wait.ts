/** Waiting for conditions of other processes: asked again and again, with an end. */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/** @returns whether the condition came to hold within the time */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  pollMs = POLL_MS,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() >= deadline) return false;
    await sleep(pollMs);
  }
}
