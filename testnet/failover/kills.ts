/** Processes that end: one, the proposer, more than the chain can spare, and all in turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../wait.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';
import { nonProposerBar, proposerBar } from './bars.ts';
import { firstAfter, gapAround, worstGap } from './observer.ts';
import type { Bar } from './scorecard.ts';

const RESTART_BAR: Bar = { limit: 10_000, holds: 'worst' };
const NEXT_BLOCK_BAR: Bar = { limit: 3000, holds: 'worst' };
/** Kills that hit another height than meant are repeated, up to this many times as often as asked for. */
const ATTEMPTS = 4;
const OUTAGE_MS = 15_000;
const SHORT_OUTAGE_MS = 3000;
/** Votes that were under way when the quorum went may still decide a height. */
const IN_FLIGHT_MS = 1000;

const CAUGHT_UP = 'restart after kill -9: caught up and signing';

export async function killNonProposer(bed: TestBed, { kills }: FaultOptions): Promise<void> {
  await killRepeatedly(bed, kills, 'kill a non-proposer: gap', nonProposerBar(bed), (proposer) =>
    bed.random.pick(bed.others([proposer])),
  );
}

export async function killProposer(bed: TestBed, { kills }: FaultOptions): Promise<void> {
  await killRepeatedly(bed, kills, 'kill the proposer: gap', proposerBar(bed), (proposer) => proposer);
}

async function killRepeatedly(
  bed: TestBed,
  kills: number,
  what: string,
  bar: Bar,
  choose: (proposer: number) => number,
): Promise<void> {
  let done = 0;
  for (let attempt = 0; done < kills && attempt < kills * ATTEMPTS; attempt++) {
    await bed.someMoment();
    const proposer = await bed.proposer();
    if (!proposer) continue;
    const victim = choose(proposer.index);
    const killedAtMs = await bed.kill([victim]);
    const survivors = bed.others([victim]);
    const goesOn = await bed.committedAfter(survivors, killedAtMs);
    // The height may have been decided between the question and the kill; then another one proposes.
    const struck = survivors.some(
      (index) => firstAfter(bed.observer.commits(index), killedAtMs)?.height === proposer.height,
    );
    if (struck || !goesOn) {
      const gaps = survivors.map((index) => gapAround(bed.observer.commits(index), killedAtMs) ?? Infinity);
      bed.card.add(what, Math.max(...gaps), bar);
      done++;
      bed.tell(`    n${victim} killed: worst gap ${Math.round(Math.max(...gaps))} ms`);
    }
    bed.card.add(CAUGHT_UP, await bed.restart([victim]), RESTART_BAR);
    await bed.settle();
  }
}

export async function restart(bed: TestBed, { short }: FaultOptions): Promise<void> {
  for (let round = 0; round < (short ? 1 : 3); round++) {
    await bed.someMoment();
    const tookMs = await bed.restart([bed.random.pick(bed.indexes)]);
    bed.card.add('restart in order: caught up and signing', tookMs, RESTART_BAR);
    await bed.settle();
  }
}

/** Every validator in turn, several times. Whether an acknowledged transaction was lost is for the audit to say. */
export async function rolling(bed: TestBed, { short }: FaultOptions): Promise<void> {
  const fromMs = performance.now();
  for (let round = 0; round < (short ? 1 : 3); round++) {
    for (const index of bed.indexes) {
      const tookMs = await bed.restart([index]);
      bed.card.add('rolling restarts: caught up and signing', tookMs, RESTART_BAR);
    }
  }
  await bed.settle();
  const { observer } = bed;
  const commits = bed.indexes.flatMap((index) => observer.commits(index)).sort((a, b) => a.height - b.height);
  bed.card.add('rolling restarts: gap', worstGap(firstSights(commits), fromMs, performance.now()), null);
}

/** When a height was first seen at any node. */
function firstSights(commits: readonly { readonly height: number; readonly atMs: number }[]) {
  const sights = new Map<number, number>();
  for (const { height, atMs } of commits) sights.set(height, Math.min(atMs, sights.get(height) ?? Infinity));
  return [...sights].map(([height, atMs]) => ({ height, atMs })).sort((a, b) => a.atMs - b.atMs);
}

/** Kills one more than the chain survives; after a while one of them comes back, with transactions waiting. */
export async function quorumLost(bed: TestBed, { short }: FaultOptions): Promise<void> {
  for (let round = 0; round < (short ? 1 : 2); round++) {
    await bed.someMoment();
    const victims = bed.random.shuffle(bed.indexes).slice(0, bed.indexes.length - bed.quorum + 1);
    const [first, ...rest] = victims as [number, ...number[]];
    const survivor = bed.others(victims)[0] ?? 0;
    await bed.kill(victims);
    await sleep(IN_FLIGHT_MS);
    const height = bed.observer.height(survivor);
    await sleep(short ? SHORT_OUTAGE_MS : OUTAGE_MS);
    if (bed.observer.height(survivor) > height) bed.card.violate('blocks were made without a quorum');

    const back = bed.cluster.restart([first]);
    const connected = async (): Promise<boolean> => {
      const status = await bed.status(survivor);
      return status !== undefined && status.validators_reachable >= status.quorum;
    };
    await waitUntil(connected, 60_000, 10);
    const connectedAtMs = performance.now();
    await back;
    const answeredAtMs = performance.now();
    await waitUntil(() => bed.observer.height(survivor) > height, 60_000, 5);
    const nextAtMs = bed.observer.commits(survivor).find((commit) => commit.height > height)?.atMs ?? Infinity;
    bed.card.add('quorum lost: next block after reconnection', Math.max(0, nextAtMs - connectedAtMs), NEXT_BLOCK_BAR);
    bed.card.add('quorum lost: next block after the first answer', Math.max(0, nextAtMs - answeredAtMs), null);
    if (rest.length > 0) await bed.restart(rest);
    await bed.settle();
  }
}
