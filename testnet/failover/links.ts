/** Processes that freeze and links that fail: everyone lives, not everyone is heard. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CutMode } from '../proxy/network.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';
import { proposerBar } from './bars.ts';
import { worstGap } from './observer.ts';
import type { Bar } from './scorecard.ts';

const CONVERGE_BAR: Bar = { limit: 5000, holds: 'worst' };
const PAUSE_MS = 10_000;
const SHORT_MS = 3000;
/** Shorter than what makes a node give a connection up, and longer. */
const CUT_MS = [6000, 16_000] as const;
const FLAP_MS = 2000;
/** What was under way when the cut came may still decide a height. */
const IN_FLIGHT_MS = 1000;

export async function pause(bed: TestBed, { short }: FaultOptions): Promise<void> {
  for (let round = 0; round < (short ? 1 : 2); round++) {
    await bed.someMoment();
    const victim = bed.random.pick(bed.indexes);
    const fromMs = performance.now();
    await bed.cluster.pause(victim);
    await sleep(short ? SHORT_MS : PAUSE_MS);
    const toMs = performance.now();
    await bed.cluster.resume(victim);
    addGaps(bed, 'pause: gap of the others', bed.others([victim]), fromMs, toMs);
    bed.card.add('pause: converged after it', await bed.converge(toMs), CONVERGE_BAR);
    await bed.settle();
  }
}

/** The longest time without a commit at any of these nodes, during a fault that leaves them a quorum. */
function addGaps(bed: TestBed, what: string, indexes: readonly number[], fromMs: number, toMs: number): void {
  const gaps = indexes.map((index) => worstGap(bed.observer.commits(index), fromMs, toMs));
  bed.card.add(what, Math.max(...gaps), proposerBar(bed));
  bed.tell(`    ${what}: worst ${Math.round(Math.max(...gaps))} ms in ${((toMs - fromMs) / 1000).toFixed(1)} s`);
}

async function cutFor(
  bed: TestBed,
  what: string,
  ms: number,
  cut: () => void,
): Promise<{ fromMs: number; toMs: number }> {
  const fromMs = performance.now();
  cut();
  await sleep(ms);
  const toMs = performance.now();
  bed.network.heal();
  bed.card.add(`${what}: converged after heal`, await bed.converge(toMs), CONVERGE_BAR);
  return { fromMs, toMs };
}

/** Nobody without a quorum commits: else the cut did not cut, or agreement failed. */
function mustStandStill(bed: TestBed, indexes: readonly number[], fromMs: number, toMs: number): void {
  for (const index of indexes) {
    const late = bed.observer.commits(index).some(({ atMs }) => atMs > fromMs + IN_FLIGHT_MS && atMs <= toMs);
    if (late) bed.card.violate(`n${index} committed while it was cut off`);
  }
}

export async function split(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const rounds: [CutMode, number][] = short
    ? [['held', SHORT_MS]]
    : [
        ['held', CUT_MS[0]],
        ['held', CUT_MS[1]],
        ['reset', CUT_MS[0]],
        ['reset', CUT_MS[1]],
      ];
  for (const [mode, ms] of rounds) {
    await bed.someMoment();
    const victim = bed.random.pick(bed.indexes);
    const rest = bed.others([victim]);
    const { fromMs, toMs } = await cutFor(bed, `partition ${rest.length}|1 (${mode})`, ms, () => {
      bed.network.partition([rest], mode);
    });
    mustStandStill(bed, [victim], fromMs, toMs);
    addGaps(bed, `partition ${rest.length}|1 (${mode}): gap of the majority`, rest, fromMs, toMs);
    await bed.settle();
  }
}

export async function isolation(bed: TestBed, { short }: FaultOptions): Promise<void> {
  for (const ms of short ? [SHORT_MS] : CUT_MS) {
    await bed.someMoment();
    const { fromMs, toMs } = await cutFor(bed, `partition ${bed.indexes.map(() => 1).join('|')}`, ms, () => {
      bed.network.partition([], 'held');
    });
    mustStandStill(bed, bed.indexes, fromMs, toMs);
    await bed.settle();
  }
}

export async function oneWay(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const rounds: ['deaf' | 'mute', number][] = short
    ? [['mute', SHORT_MS]]
    : [
        ['mute', CUT_MS[0]],
        ['deaf', CUT_MS[0]],
        ['mute', CUT_MS[1]],
        ['deaf', CUT_MS[1]],
      ];
  for (const [kind, ms] of rounds) {
    await bed.someMoment();
    const victim = bed.random.pick(bed.indexes);
    const rest = bed.others([victim]);
    const { fromMs, toMs } = await cutFor(bed, `one way, ${kind}`, ms, () => {
      for (const other of rest) {
        if (kind === 'mute') bed.network.holdOneWay(victim, other);
        else bed.network.holdOneWay(other, victim);
      }
    });
    addGaps(bed, 'one way: gap of the others', rest, fromMs, toMs);
    await bed.settle();
  }
}

export async function flapping(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const victim = bed.random.pick(bed.indexes);
  const rest = bed.others([victim]);
  const fromMs = performance.now();
  for (let flap = 0; flap < (short ? 1 : 5); flap++) {
    bed.network.partition([rest], 'held');
    await sleep(FLAP_MS);
    bed.network.heal();
    await sleep(FLAP_MS);
  }
  const toMs = performance.now();
  addGaps(bed, 'flapping: gap of the others', rest, fromMs, toMs);
  bed.card.add('flapping: converged after it', await bed.converge(toMs), CONVERGE_BAR);
  await bed.settle();
}

/** Two nodes that no longer reach each other, while a third one reaches both. */
export async function halfOpen(bed: TestBed, { short }: FaultOptions): Promise<void> {
  for (const ms of short ? [SHORT_MS] : CUT_MS) {
    await bed.someMoment();
    const [a, b] = bed.random.pick(bed.network.pairs());
    const { fromMs, toMs } = await cutFor(bed, 'half-open link', ms, () => {
      bed.network.cut(a, b, 'half-open');
    });
    addGaps(bed, 'half-open link: gap', bed.others([a, b]), fromMs, toMs);
    await bed.settle();
  }
}
