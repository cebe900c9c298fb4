/** One validator stays away: after some heights nobody waits for it any more. */
import { waitUntil } from '../wait.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';
import type { SeenCommit } from './observer.ts';

const HEIGHTS = { baseline: 100, settle: 60, measured: 200 } as const;
const SHORT_HEIGHTS = { baseline: 6, settle: 3, measured: 6 } as const;
const LONGEST_MS = 600_000;

export async function absent(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const heights = short ? SHORT_HEIGHTS : HEIGHTS;
  const victim = bed.random.pick(bed.indexes);
  const witness = bed.random.pick(bed.others([victim]));
  const baseline = await rateOver(bed, witness, heights.baseline);
  await bed.kill([victim]);
  await rateOver(bed, witness, heights.settle);
  const reduced = await rateOver(bed, witness, heights.measured);
  const share = Math.round((1000 * reduced) / baseline) / 10;
  bed.tell(`    ${baseline.toFixed(3)} blocks/s with all, ${reduced.toFixed(3)} without n${victim}`);
  bed.card.add('one down: blocks a second, of baseline', share, { limit: 95, holds: 'least' }, '%');
  await bed.restart([victim]);
  await bed.settle();
}

/** Blocks a second as a node was seen to commit the next `count` heights. */
async function rateOver(bed: TestBed, witness: number, count: number): Promise<number> {
  const from = bed.observer.height(witness);
  await waitUntil(() => bed.observer.height(witness) >= from + count, LONGEST_MS, 20);
  const commits = bed.observer.commits(witness);
  const at = (height: number): SeenCommit | undefined => commits.find((commit) => commit.height >= height);
  const [first, last] = [at(from), at(from + count)];
  if (!first || !last) return 0;
  return ((last.height - first.height) * 1000) / (last.atMs - first.atMs);
}
