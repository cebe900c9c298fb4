/** Links as between distant sites. */
import { setTimeout as sleep } from 'node:timers/promises';
import { blockSummary } from '../load/rpc.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';
import { measureFinality } from './finality.ts';

/** One way, for the pairs of nodes in turn. */
const DELAYS_MS = [40, 80, 150] as const;
const JITTER = 0.2;
const BYTES_PER_S = 10_000_000 / 8;
const STALL_SHARE = 0.01;
const SPARE_MS = 400;
const LOAD_MS = 20_000;
const SHORT_LOAD_MS = 3000;
const SAMPLES = 100;

export async function wan(bed: TestBed, { short }: FaultOptions): Promise<void> {
  bed.network.pairs().forEach(([a, b], i) => {
    const delayMs = DELAYS_MS[i % DELAYS_MS.length] ?? 0;
    // A lost segment is sent again one round trip later, and all behind it waits.
    bed.network.shape(a, b, {
      delayMs,
      jitter: JITTER,
      bytesPerSecond: BYTES_PER_S,
      stallShare: STALL_SHARE,
      stallMs: 2 * delayMs,
    });
  });
  try {
    await bed.settle();
    const from = bed.observer.highest() + 1;
    await sleep(short ? SHORT_LOAD_MS : LOAD_MS);
    await measureFinality(bed, short ? 3 : SAMPLES, (ms) => {
      bed.card.add('wide area links: finality', ms, { limit: 3 * Math.max(...DELAYS_MS) + SPARE_MS, holds: 'p99' });
    });
    await countRounds(bed, from, bed.observer.highest());
  } finally {
    bed.network.clear();
  }
  await bed.settle();
}

/** Share of heights that needed more than one round. */
async function countRounds(bed: TestBed, from: number, to: number): Promise<void> {
  let above = 0;
  for (let height = from; height <= to; height++) {
    const { round } = await blockSummary(bed.rpc(1), height);
    if (round > 0) above++;
  }
  const share = Math.round((above / Math.max(1, to - from + 1)) * 1000) / 10;
  bed.tell(`    ${above} of ${to - from + 1} heights needed more than one round`);
  bed.card.add('wide area links: rounds above 0', share, { limit: 1, holds: 'worst' }, '%');
}
