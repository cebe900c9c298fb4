/** Long work in steps, with turns for others between them. */
import type { Steps } from '../chain/execute.ts';
import { delay } from '../clock.ts';
import type { Way } from './right-of-way.ts';

/**
 * Work goes on for so long before others have their turn. On a busy node a turn takes tens of milliseconds, and who waits for
 * a block waits for as many as there were; votes wait for this at most, and for a step.
 */
const SLICE_MS = 4;

/**
 * Takes the steps, all at once where no way is given; rests before and between them while a smaller block of another chain has
 * its. Where none has, the first is taken at once.
 */
export async function inTurns<T>(steps: Steps<T>, way: Way | undefined): Promise<T> {
  if (way?.mustGive) await way.give();
  let fromMs = way?.clock.monotonic() ?? 0;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (!way || way.clock.monotonic() - fromMs < SLICE_MS) continue;
    await delay(way.clock, 0);
    await way.give();
    fromMs = way.clock.monotonic();
  }
}
