/** Nothing fails: what the links alone cost. */
import { plural } from '../../src/cli/output.ts';
import { measureFinality } from '../failover/finality.ts';
import { percentiles } from '../load/percentiles.ts';
import { blockSummary } from '../load/rpc.ts';
import { worstPathMs } from '../sites/topology.ts';
import type { Scene } from './scene.ts';
import { span } from './scene.ts';

/** Final is what crossed the longest way three times (proposal and two votes), and was computed. */
const CROSSINGS = 3;
const SPARE_MS = 400;
const MAX_ROUNDS_PERCENT = 1;

export async function steady(scene: Scene, doing: (what: string) => void): Promise<string> {
  const { bed, card, length } = scene;
  const from = bed.observer.highest() + 1;
  const finalMs: number[] = [];
  await measureFinality(bed, length.blocks, (ms) => {
    finalMs.push(ms);
    doing(`transfer ${finalMs.length} of ${length.blocks}`);
    card.add('transfer final', ms, { limit: CROSSINGS * worstPathMs(scene.topology) + SPARE_MS, holds: 'p99' });
  });
  const to = bed.observer.highest();
  scene.quietHeights = [from, to];
  const missing = finalMs.filter((ms) => !Number.isFinite(ms)).length;
  if (missing > 0) bed.card.violate(`${missing} transfers did not become final with nothing failing`);
  const above = await roundsAbove(bed.rpc(1), from, to);
  const count = to - from + 1;
  const share = Math.round((above * 1000) / Math.max(1, count)) / 10;
  // In a short run one slow block would be many percent.
  const isJudged = count * MAX_ROUNDS_PERCENT >= 100;
  card.add(
    'blocks with more than one round',
    share,
    isJudged ? { limit: MAX_ROUNDS_PERCENT, holds: 'worst' } : null,
    '%',
  );
  const { p50, p99 } = percentiles(finalMs);
  const rounds = above === 0 ? 'none needed a second round' : `${above} needed a second round`;
  return `${plural(count, 'block')}, ${rounds}; a transfer is final after ${span(p50)} (99 of 100 within ${span(p99)})`;
}

async function roundsAbove(rpc: string, from: number, to: number): Promise<number> {
  let above = 0;
  for (let height = from; height <= to; height++) if ((await blockSummary(rpc, height)).round > 0) above++;
  return above;
}
