/** How long a transfer takes until it is final, one at a time on an idle chain. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import { accountNonce, submitCommit } from '../load/rpc.ts';
import { nextTransfer } from '../load/transfers.ts';
import type { TestBed } from './bed.ts';

/** Drawn from a span, so that transfers come at any moment. */
const REST_MS = { least: 50, spread: 200 } as const;

/**
 * From the request to a node, each of them by chance, until that node calls the transfer final. Between one and the next lies at
 * least an interval, so that an idle chain proposes at once. The load rests meanwhile.
 *
 * @param onSample ms, Infinity for what did not become final
 */
export async function measureFinality(bed: TestBed, samples: number, onSample: (ms: number) => void): Promise<void> {
  bed.load.pause();
  try {
    await bed.load.idle();
    const { account, genesis, random, intervalMs } = bed;
    account.nonce = await accountNonce(bed.rpc(1), formatAddress(account.address));
    let lastMs = 0;
    for (let sample = 0; sample < samples; sample++) {
      await sleep(Math.max(0, intervalMs - lastMs) + REST_MS.least + random.next() * REST_MS.spread);
      const tx = nextTransfer(genesis.chain, genesis.params, account, account.address);
      const sentAtMs = performance.now();
      const answer = await submitCommit(random.pick(bed.cluster.manifest.nodes).rpc, toHex(tx.bytes));
      lastMs = performance.now() - sentAtMs;
      if (answer.final) bed.load.acknowledged.set(toHex(tx.id), answer.height ?? 0);
      onSample(answer.final ? lastMs : Infinity);
    }
  } finally {
    bed.load.resume();
  }
}
