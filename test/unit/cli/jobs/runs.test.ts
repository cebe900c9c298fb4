import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../../../../src/bytes.ts';
import type { JobRecord } from '../../../../src/cli/jobs/job-record.ts';
import {
  createRun,
  findRun,
  listRuns,
  openRun,
  readKept,
  RECEIPT_FILE,
  RESULT_FILE,
} from '../../../../src/cli/jobs/runs.ts';
import type { JobResponse } from '../../../../src/sdk/job-types.ts';
import { fixtureGenesis } from '../../../util/chain-fixture.ts';
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

describe('jobs of a home', () => {
  let home: string;

  beforeEach(() => {
    home = makeFolder();
  });

  afterEach(() => {
    removeFolder(home);
  });

  async function keep(id: string, nowMs: number, over: Partial<JobResponse> = {}): Promise<string> {
    const run = await createRun(home, chain, nowMs);
    await run.record(recordOf(jobOf(id, over)));
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
    assert.match((await ask('list')).stdout, /aaaaaaaa11000000 {2}COMPLETED {2}aitbc-tiny .* 0\.010136 AIT/);
    assert.equal((await ask('list', '--json')).json[0].job_id, id);
    assert.match((await ask('show', id)).stdout, /money {2,}closed: paid 0\.010136 AIT, returned 0\.000001 AIT/);
    assert.match((await ask('why', id)).stdout, /it is done/);
    const logs = await ask('logs', id);
    assert.match(logs.stdout, /no \\u\{1b\}\[2J/);
    assert.equal((await ask('receipt', id)).code, 4);
    assert.equal((await ask('show', 'bbbbbbbb')).code, 4);
  });

  it('are none at first', async () => {
    const { code, stdout } = await cliHere(['job', 'list'], { AITBC_HOME: home });
    assert.deepEqual([code, stdout.startsWith('No jobs yet.')], [0, true]);
    assert.equal((await cliHere(['receipts', '--json'], { AITBC_HOME: home })).stdout, '[]\n');
  });
});
