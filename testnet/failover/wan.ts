/** Links as between distant sites. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import { accountNonce, blockSummary, submitCommit } from '../load/rpc.ts';
import { nextTransfer } from '../load/transfers.ts';
import type { TestBed } from './bed.ts';
import type { FaultOptions } from './bars.ts';

/** One way, for the pairs of nodes in turn. */
const DELAYS_MS = [40, 80, 150] as const;
const JITTER = 0.2;
const BYTES_PER_S = 10_000_000 / 8;
const STALL_SHARE = 0.01;
const SPARE_MS = 400;
const LOAD_MS = 20_000;
const SHORT_LOAD_MS = 3000;
const SAMPLES = 100;
/** Between a final transfer and the next: with the time it took longer than an interval, so that an idle chain proposes at once. */
const PAUSE_MS = { least: 350, spread: 250 } as const;

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
    await singleTransfers(bed, short ? 3 : SAMPLES);
    await countRounds(bed, from, bed.observer.highest());
  } finally {
    bed.load.resume();
    bed.network.clear();
  }
  await bed.settle();
}

/** From the request to a node until it calls the transfer final, one at a time on an idle chain. */
async function singleTransfers(bed: TestBed, samples: number): Promise<void> {
  bed.load.pause();
  await sleep(PAUSE_MS.least + PAUSE_MS.spread);
  const { account, genesis, random } = bed;
  const worstMs = Math.max(...DELAYS_MS);
  account.nonce = await accountNonce(bed.rpc(1), formatAddress(account.address));
  for (let sample = 0; sample < samples; sample++) {
    await sleep(PAUSE_MS.least + random.next() * PAUSE_MS.spread);
    const tx = nextTransfer(genesis.chain, genesis.params, account, account.address);
    const sentAtMs = performance.now();
    const answer = await submitCommit(random.pick(bed.cluster.manifest.nodes).rpc, toHex(tx.bytes));
    const tookMs = answer.final ? performance.now() - sentAtMs : Infinity;
    if (answer.final) bed.load.acknowledged.set(toHex(tx.id), answer.height ?? 0);
    bed.card.add('wide area links: finality', tookMs, { limit: 3 * worstMs + SPARE_MS, holds: 'p99' });
  }
  bed.load.resume();
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
