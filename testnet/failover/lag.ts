/** A validator that comes back to a chain that has gone on without it. */
import { NodeError } from '../../src/errors.ts';
import { waitUntil } from '../wait.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';

const BLOCKS = 1000;
const SHORT_BLOCKS = 60;
const LONGEST_MS = 300_000;

export async function lag(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const blocks = short ? SHORT_BLOCKS : BLOCKS;
  const victim = bed.random.pick(bed.indexes);
  await bed.kill([victim]);
  const height = bed.observer.height(victim);
  const behind = (): number => bed.observer.highest() - height;
  if (!(await waitUntil(() => behind() >= blocks, LONGEST_MS))) {
    throw new NodeError('TIMEOUT', `only ${behind()} of ${blocks} blocks were made in time`);
  }
  const missing = behind();
  const tookMs = await bed.restart([victim]);
  bed.tell(
    `    n${victim} was ${missing} blocks behind, caught up and signing ${Math.round(tookMs)} ms after its start`,
  );
  bed.card.add(`restart ${blocks} blocks behind: caught up and signing`, tookMs, { limit: 10_000, holds: 'worst' });
  await bed.settle();
}
