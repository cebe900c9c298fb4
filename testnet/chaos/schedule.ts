/** Which nodes are killed when: most often one, sometimes several, sometimes all at the same moment. */
import type { Random } from '../load/random.ts';

export interface Strike {
  /** Wait before it, under load. */
  readonly afterMs: number;
  /** Node indexes, from 1. */
  readonly nodes: readonly number[];
  /** How long they stay down. */
  readonly downMs: number;
}

const MEAN_GAP_MS = 500;
const MAX_GAP_MS = 5000;
const MEAN_DOWN_MS = 350;
const MAX_DOWN_MS = 4000;
const ALL_SHARE = 0.08;
const SEVERAL_SHARE = 0.2;

/** Strikes with at least `kills` kills in sum; the last one may go over. */
export function planStrikes(random: Random, nodes: number, kills: number): Strike[] {
  const strikes: Strike[] = [];
  for (let planned = 0; planned < kills; ) {
    const victims = random.shuffle(Array.from({ length: nodes }, (_, i) => i + 1)).slice(0, victimCount(random, nodes));
    strikes.push({
      afterMs: Math.min(MAX_GAP_MS, random.exponential(MEAN_GAP_MS)),
      nodes: victims,
      downMs: Math.min(MAX_DOWN_MS, random.exponential(MEAN_DOWN_MS)),
    });
    planned += victims.length;
  }
  return strikes;
}

function victimCount(random: Random, nodes: number): number {
  const draw = random.next();
  if (draw < ALL_SHARE) return nodes;
  if (draw < ALL_SHARE + SEVERAL_SHARE && nodes > 2) return 2 + random.integer(nodes - 2);
  return 1;
}
