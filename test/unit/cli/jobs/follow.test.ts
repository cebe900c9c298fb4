import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hash } from '../../../../src/bytes.ts';
import { toHex, utf8 } from '../../../../src/bytes.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import { listRoot } from '../../../../src/chain/list-root.ts';
import { receiptId } from '../../../../src/chain/market/receipt.ts';
import type { Agreement } from '../../../../src/chain/modules/compute/agreement.ts';
import type { Followed } from '../../../../src/cli/jobs/follow.ts';
import { followJob } from '../../../../src/cli/jobs/follow.ts';
import type { JobRecord } from '../../../../src/cli/jobs/job-record.ts';
import type { Run } from '../../../../src/cli/jobs/runs.ts';
import { createRun } from '../../../../src/cli/jobs/runs.ts';
import type { Output } from '../../../../src/cli/output.ts';
import type { JobReceipt, JobRequest } from '../../../../src/compute/coordinator/coordinator.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import type { MarketReads } from '../../../../src/sdk/market-reads.ts';
import { fixtureGenesis } from '../../../util/chain-fixture.ts';
import { receiptKeys, signedFixture } from '../../../util/receipt-fixture.ts';
import { ScriptedCoordinator } from '../../rpc/scripted-coordinator.ts';
import { makeFolder, removeFolder } from '../run.ts';

const { chain } = fixtureGenesis({ timeMs: 1_700_000_000_000 });
const ANSWER = 'Vienna is the capital of Austria.';
const REQUEST: JobRequest = {
  ...{ kind: 'llm.chat', model: '', params: [], parts: [], maxOutputBytes: 100, maxPriceUait: 1_000_000 },
  ...{ queueMs: 1000, executionMs: 1000, totalMs: 5000, owner: '', idempotencyKey: null, agreement: 'single' },
};

/** With a receipt that holds, or one about another output. */
class Jobs extends ScriptedCoordinator {
  told = ANSWER;

  override receipt(id: Hash): JobReceipt | undefined {
    if (!super.receipt(id)) return undefined;
    const { signed, acknowledgement } = signedFixture(chain, utf8(this.told));
    return { receipt: signed, acknowledgement, id: receiptId(nativeCrypto, chain, signed.receipt) };
  }
}

describe('following a job', () => {
  let folder: string;
  let run: Run;
  let jobs: Jobs;
  let notes: string[];
  let settled: Agreement['state'];

  beforeEach(async () => {
    folder = makeFolder();
    run = await createRun(folder, chain, 1000);
    jobs = new Jobs(chain);
    notes = [];
    settled = { name: 'closed', atHeight: 42, atMs: 1, refundedUait: 49_864 };
  });

  afterEach(async () => {
    await run.close();
    removeFolder(folder);
  });

  const out: Output = { json: true, data: () => undefined, note: (line) => notes.push(line) };

  function reads(): MarketReads {
    const { signed } = signedFixture(chain, utf8(jobs.told));
    const agreement: Agreement = {
      client: signed.receipt.client,
      signer: receiptKeys.session.publicKey,
      miner: addressOf(nativeCrypto, signed.receipt.miner),
      capUait: 50_000,
      paidUait: signed.receipt.dueUait,
      expiresAtMs: 60_000,
      receiptsRoot: listRoot(nativeCrypto, [receiptId(nativeCrypto, chain, signed.receipt)]),
      state: settled,
    };
    const none = (): Promise<never> => Promise.reject(new Error('not asked'));
    const agreementOf = (): Promise<Agreement> => Promise.resolve(agreement);
    return { terms: none, balanceUait: none, stakedUait: none, agreement: agreementOf, head: none, done: none };
  }

  async function follow(play: (id: Hash) => void, settleMs = 1000): Promise<Followed> {
    const { id } = await jobs.submit(REQUEST);
    const market = { offers: () => [], jobs, reads: reads(), close: () => Promise.resolve() };
    const followed = followJob(
      { market, run, job: id, chain, client: 'ait1payer', rpc: 'http://x', out, settleMs },
      new AbortController().signal,
    );
    play(id);
    return followed;
  }

  const kept = (name: string): string => readFileSync(join(run.folder, name), 'utf8');

  it('gives the answer, its receipt and what became of the money, and keeps them', async () => {
    const { answer, receipt, settlement, view } = await follow((id) => {
      jobs.answer(id, 'Vienna is ', 'the capital of Austria.');
    });
    assert.deepEqual([new TextDecoder().decode(answer), view.state], [ANSWER, 'completed']);
    assert.equal(receipt?.problem, null);
    assert.deepEqual(settlement, { state: 'closed', paid_uait: '136', refunded_uait: '49864', settled_height: 42 });
    assert.match(notes.join('\n'), /running {4}aitbc-tiny-1m/);
    assert.match(notes.at(-1) ?? '', /✓ Receipt valid: signed by miner and client, and its root is on the chain\./);
    assert.equal(kept('result'), ANSWER);
    assert.equal(JSON.parse(kept('receipt.json')).receipt_id, receipt.id);
    const record = JSON.parse(kept('job.json')) as JobRecord;
    assert.deepEqual([record.job.job_id, record.job.state], [toHex(view.id), 'COMPLETED']);
    assert.deepEqual([record.settlement?.settled_height, record.events.at(-1)?.stage], [42, 'completed']);
  });

  it('says that a receipt does not hold', async () => {
    jobs.told = 'Graz';
    const { receipt } = await follow((id) => {
      jobs.answer(id, ANSWER);
    });
    assert.match(receipt?.problem ?? '', /about another output/);
    assert.match(notes.at(-1) ?? '', /^✗ the receipt does not hold/);
  });

  it('begins the answer anew when the next miner answers otherwise', async () => {
    const { answer } = await follow((id) => {
      jobs.start(id);
      jobs.give(id, 'Salzburg, I th');
      setTimeout(() => {
        jobs.lose(id);
        jobs.answer(id, ANSWER);
      }, 20);
    });
    assert.equal(new TextDecoder().decode(answer), ANSWER);
    assert.ok(notes.some((line) => line.includes('the answer begins anew')));
  });

  it('tells what a job waits for once, with what to do, and why it failed', async () => {
    jobs.reasons = [{ code: 'PRICE', count: 2, message: 'too dear', hint: 'offer more' }];
    const { view, receipt, summary } = await follow((id) => {
      const fault = { code: 'PRICE', message: 'too \u001b[31mdear' } as const;
      for (let i = 0; i < 3; i++) jobs.move(id, 'queued', { fault });
      jobs.fail(id, fault, 'expired');
    });
    assert.deepEqual([view.state, receipt, summary], ['expired', null, 'all miners are busy']);
    assert.equal(notes.filter((line) => /queued/.test(line)).length, 1);
    assert.equal(notes.filter((line) => /offer more/.test(line)).length, 1);
    assert.ok(notes.every((line) => !line.includes('\u001b')));
  });

  it('bound: waits for the settlement so long and no longer', async () => {
    settled = { name: 'open' };
    const { settlement } = await follow((id) => {
      jobs.answer(id, ANSWER);
    }, 100);
    assert.deepEqual([settlement?.state, settlement?.settled_height], ['open', null]);
    assert.ok(notes.some((line) => line.includes('not settled yet')));
  });
});
