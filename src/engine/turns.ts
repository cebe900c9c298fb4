/** Long work in steps, with turns for others between them. */
import type { Steps } from '../chain/execute.ts';
import type { Clock } from '../clock.ts';
import { delay } from '../clock.ts';

/** Takes the steps, all at once where no clock is given. */
export async function inTurns<T>(steps: Steps<T>, clock: Clock | undefined): Promise<T> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (clock) await delay(clock, 0);
  }
}
