import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '../../../../src/bytes.ts';
import type { SignedJob } from '../../../../src/chain/market/job.ts';
import { signJob } from '../../../../src/chain/market/job.ts';
import type { Agreement } from '../../../../src/chain/modules/compute/agreement.ts';
import { endedUnsent, recordingRows } from '../../../../src/cli/jobs/first-record.ts';
import type { JobRecord } from '../../../../src/cli/jobs/job-record.ts';
import { KEEP_MS, pruneRuns } from '../../../../src/cli/jobs/prune-runs.ts';
import {
  createRun,
  findRun,
  listRuns,
  openRun,
  readKept,
  RECEIPT_FILE,
  RESULT_FILE,
} from '../../../../src/cli/jobs/runs.ts';
import { encodeJobRow, put, TABLE } from '../../../../src/compute/coordinator/rows.ts';
import { jobView } from '../../../../src/rpc/jobs/views.ts';
import type { JobResponse } from '../../../../src/sdk/job-types.ts';
import { fixtureGenesis, signer } from '../../../util/chain-fixture.ts';
import { cliHere } from '../in-process.ts';
import { makeFolder, removeFolder } from '../run.ts';

const { chain } = fixtureGenesis({ timeMs: 1_700_000_000_000 });

function jobOf(id: string, over: Partial<JobResponse> = {}): JobResponse {
  return {
    job_id: id,
    state: 'COMPLETED',
    stage: 'completed',
    kind: 'llm.chat',
    model: null,
    answered_by: 'aitbc-tiny',
    assigned_miner_id: 'ait1miner',
    attempt: 1,
    requested_at: '2026-01-01T00:00:00.000Z',
    expires_at: '2026-01-01T00:10:00.000Z',
    ended_at: '2026-01-01T00:00:01.000Z',
    error: null,
    error_code: null,
    payment_id: 'cc'.repeat(32),
    payment_status: 'released',
    max_price_uait: '1000000',
    spent_uait: '10136',
    fees_uait: '5000',
    output_bytes: 3,
    input_tokens: null,
    output_tokens: null,
    finish: 'stop',
    receipt_id: id.replace(/^../, 'ff'),
    ...over,
  };
}

function recordOf(job: JobResponse): Omit<JobRecord, 'format'> {
  const reasons = {
    job_id: job.job_id,
    state: job.state,
    stage: job.stage,
    summary: 'it is done',
    reasons: [],
    candidates: [],
  };
  const events = [
    { at: job.requested_at, state: 'QUEUED', stage: 'submitted', attempt: 0, error: null, error_code: null },
    {
      at: job.requested_at,
      state: 'FAILED',
      stage: 'failed',
      attempt: 1,
      error: 'no \u001b[2J',
      error_code: 'EXECUTOR',
    },
  ];
  const settlement = { state: 'closed', paid_uait: '10136', refunded_uait: '1', settled_height: 4 } as const;
  const of = { chain_id: chain.chainId, genesis_hash: '00'.repeat(32), client: 'ait1payer', rpc: 'http://127.0.0.1:1' };
  return { ...of, job, events, reasons, settlement };
}

function signedJob(): SignedJob {
  return signJob(chain, signer('session'), {
    ...{ client: new Uint8Array(20), nonce: new Uint8Array(32), kind: 'llm.chat', model: '' },
    ...{ inputHash: new Uint8Array(32), inputBytes: 1, maxOutputBytes: 1, maxPriceUait: 1, createdAtMs: 1 },
    ...{ queueMs: 1, executionMs: 1, totalMs: 1 },
  });
}

describe('jobs of a home', () => {
  let home: string;

  beforeEach(() => {
    home = makeFolder();
  });

  afterEach(() => {
    removeFolder(home);
  });

  async function keep(
    id: string,
    nowMs: number,
    over: Partial<JobResponse> = {},
    state: 'open' | 'closing' | 'closed' | null = 'closed',
  ): Promise<string> {
    const run = await createRun(home, chain, nowMs);
    const record = recordOf(jobOf(id, over));
    await run.record({ ...record, settlement: state && record.settlement && { ...record.settlement, state } });
    await run.keep(RESULT_FILE, utf8('yes'));
    await run.close();
    return run.folder;
  }

  it('are found newest first, by the first digits of their ids or of their receipts', async () => {
    const [a, b] = ['aaaaaaaa11'.padEnd(64, '0'), 'aaaaaaaa22'.padEnd(64, '0')];
    const folder = await keep(a, 1000);
    await keep(b, 2000);
    mkdirSync(join(home, 'jobs', 'other', 'empty'), { recursive: true });
    writeFileSync(join(folder, '..', 'file'), '');
    assert.deepEqual(
      (await listRuns(home)).map(({ record }) => record.job.job_id),
      [b, a],
    );
    assert.equal((await listRuns(home, 1)).length, 1);
    assert.equal((await findRun(home, 'aaaaaaaa11')).folder, folder);
    assert.equal((await findRun(home, 'ffaaaaaa11')).folder, folder);
    await assert.rejects(findRun(home, 'aaaaaaaa'), { code: 'USAGE' });
    await assert.rejects(findRun(home, 'bbbbbbbb'), { code: 'NOT_FOUND' });
    await assert.rejects(findRun(home, 'aaa'), { code: 'USAGE' });
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.equal(statSync(join(folder, 'job.json')).mode & 0o777, 0o600);
  });

  it('are followed by one process at a time, any number at once', async () => {
    const runs = await Promise.all(Array.from({ length: 5 }, () => createRun(home, chain, 1000)));
    const [first] = runs;
    assert.ok(first);
    await assert.rejects(openRun(first.folder), { code: 'CONFLICT' });
    await first.rows.persist([{ key: Uint8Array.of(1), value: utf8('kept') }]);
    await Promise.all(runs.map((run) => run.close()));
    const again = await openRun(first.folder);
    for await (const { value } of again.rows.load()) assert.deepEqual(value, utf8('kept'));
    await again.close();
  });

  it('tell what was kept of them', async () => {
    const id = 'aaaaaaaa11'.padEnd(64, '0');
    await keep(id, 1000);
    const run = await findRun(home, id);
    assert.deepEqual(new Uint8Array(await readKept(run, RESULT_FILE)), utf8('yes'));
    await assert.rejects(readKept(run, RECEIPT_FILE), { code: 'NOT_FOUND' });
    const ask = (...args: string[]) => cliHere(['job', ...args], { AITBC_HOME: home });
    assert.equal((await ask('result', id)).stdout, 'yes');
    const out = join(home, 'answer');
    assert.equal((await ask('result', id, '--out', out)).code, 0);
    assert.equal(readFileSync(out, 'utf8'), 'yes');
    assert.match((await ask('result', id, '--out', out)).stderr, /is there already/);
    assert.match((await ask('list')).stdout, /aaaaaaaa11000000 {2}COMPLETED {2}aitbc-tiny .* 0\.010136 AIT/);
    assert.equal((await ask('list', '--json')).json[0].job_id, id);
    assert.match((await ask('show', id)).stdout, /money {2,}closed: paid 0\.010136 AIT, returned 0\.000001 AIT/);
    assert.match((await ask('why', id)).stdout, /it is done/);
    const logs = await ask('logs', id);
    assert.match(logs.stdout, /no \\u\{1b\}\[2J/);
    assert.equal((await ask('receipt', id)).code, 4);
    assert.equal((await ask('show', 'bbbbbbbb')).code, 4);
  });

  it('are found however early a run is killed: they are recorded before they are kept', async () => {
    const run = await createRun(home, chain, 1000);
    const row = { job: signedJob(), owner: '', isSingle: true, requestHash: null };
    const kept: string[] = [];
    const rows = recordingRows(
      {
        load: () => run.rows.load(),
        persist: async () => {
          kept.push((await listRuns(home)).map(({ record }) => record.job.stage).join());
        },
      },
      (view) => run.record(recordOf(jobView(view))),
    );
    await rows.persist([put(TABLE.keys, new Uint8Array(), new Uint8Array(64))]);
    await rows.persist([put(TABLE.job, new Uint8Array(32).fill(7), encodeJobRow(row))]);
    await rows.persist([put(TABLE.job, new Uint8Array(32).fill(7), encodeJobRow(row))]);
    assert.deepEqual(kept, ['', 'submitted', 'submitted']);
    const { record } = await findRun(home, '07070707');
    assert.equal(record.job.kind, 'llm.chat');
    const unsent = endedUnsent({ ...record, events: [] }, 5_000);
    assert.deepEqual([unsent.job.state, unsent.job.ended_at], ['CANCELED', '1970-01-01T00:00:05.000Z']);
    assert.equal(endedUnsent(record, 5_000), record, 'something happened to it');
    await run.close();
  });

  it('bound: of a home are let go when they are many or old, but never one that has not ended or has open money', async () => {
    const idOf = (number: number): string => `${number}0`.repeat(32).slice(0, 64);
    const old = await Promise.all([
      keep(idOf(1), 1_000),
      keep(idOf(2), 2_000, { ended_at: null }),
      keep(idOf(3), 3_000, {}, 'open'),
      keep(idOf(4), 4_000, { payment_id: null }, null),
      keep(idOf(5), 5_000, {}, 'closing'),
    ]);
    const empty = await createRun(home, chain, 6_000);
    await empty.close();
    await keep(idOf(6), 7_000);
    const asked: string[] = [];
    const reads = {
      agreement: (id: Uint8Array) => {
        asked.push(toHex(id));
        return Promise.resolve(asked.length === 1 ? null : ({ state: { name: 'open' } } as Agreement));
      },
    };
    const nowMs = Date.now();
    assert.equal(await pruneRuns(home, chain, { nowMs, reads }), 0, 'all are young and few');
    const busy = await openRun(old[0] ?? '');
    assert.equal(await pruneRuns(home, chain, { nowMs, reads, keepRuns: 1 }), 2, 'the first is followed by a process');
    await busy.close();
    assert.equal(await pruneRuns(home, chain, { nowMs, reads, keepRuns: 1 }), 1);
    const left = async (): Promise<string[]> => (await listRuns(home)).map(({ record }) => record.job.job_id);
    assert.deepEqual(await left(), [idOf(6), idOf(5), idOf(2)], 'the third is closed by the word of the chain');
    assert.equal(
      await pruneRuns(home, chain, { nowMs: nowMs + KEEP_MS + 60_000, reads }),
      2,
      'what is old, and what is empty',
    );
    assert.deepEqual(await left(), [idOf(5), idOf(2)]);
  });

  it('are none at first', async () => {
    const { code, stdout } = await cliHere(['job', 'list'], { AITBC_HOME: home });
    assert.deepEqual([code, stdout.startsWith('No jobs yet.')], [0, true]);
    assert.equal((await cliHere(['receipts', '--json'], { AITBC_HOME: home })).stdout, '[]\n');
  });
});
