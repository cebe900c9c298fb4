/** How fast news travels, beside the system before this one on the same links. */
import { percentiles } from '../load/percentiles.ts';
import { createRandom } from '../load/random.ts';
import type { SeenCommit } from '../failover/observer.ts';
import { modelPolling } from './polling.ts';
import type { Scene } from './scene.ts';
import { span } from './scene.ts';

export function compare(scene: Scene): Promise<string> {
  const { bed, card } = scene;
  const [from = 0, to = 0] = scene.quietHeights ?? [];
  const spreads = spreadTimes(
    bed.indexes.map((index) => bed.observer.commits(index)),
    from,
    to,
  );
  const polled = modelPolling(scene.topology, createRandom('polling'));
  for (const ms of spreads) card.add('a block, from its first site to its last', ms, null);
  const { p50, p99 } = percentiles(spreads);
  scene.comparison = { ours: { blocks: spreads.length, p50_ms: p50, p99_ms: p99 }, polling: polled };
  const { everySite, periodMs } = polled;
  const times = Math.round(everySite.meanMs / p50);
  return Promise.resolve(
    `a block is at every site ${span(p50)} after the first (99 of 100 within ${span(p99)}); ` +
      `with polling every ${span(periodMs)} it would take ${span(everySite.meanMs)} on average and ${span(everySite.worstMs)} at worst, ${times} times as long`,
  );
}

/** For each height, from when the first node was seen to have it until all were. */
export function spreadTimes(commits: readonly (readonly SeenCommit[])[], from: number, to: number): number[] {
  const spreads: number[] = [];
  for (let height = from; height <= to; height++) {
    const times = commits.map((of) => of.find((commit) => commit.height >= height)?.atMs ?? Number.NaN);
    const spread = Math.max(...times) - Math.min(...times);
    if (!Number.isNaN(spread)) spreads.push(spread);
  }
  return spreads;
}
