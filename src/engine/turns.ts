/** Long work in steps, with turns for others between them. */
import type { Steps } from '../chain/execute.ts';
import type { Clock } from '../clock.ts';
import { delay } from '../clock.ts';

/**
 * Work goes on for so long before others have their turn. On a busy node a turn takes tens of milliseconds, and who waits for
 * a block waits for as many as there were; votes wait for this at most, and for a step.
 */
const SLICE_MS = 4;

/** Takes the steps, all at once where no clock is given. */
export async function inTurns<T>(steps: Steps<T>, clock: Clock | undefined): Promise<T> {
  let fromMs = clock?.monotonic() ?? 0;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (!clock || clock.monotonic() - fromMs < SLICE_MS) continue;
    await delay(clock, 0);
    fromMs = clock.monotonic();
  }
}
