import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import type { ManifestMiner } from '../../testnet/manifest.ts';
import { Program } from './program.ts';
import type { Finished, TestCluster } from './support.ts';
import { get, startCluster, until } from './support.ts';

interface Submitted {
  readonly job_id: string;
  readonly state: string;
  readonly answer: string;
  readonly model: string | null;
  readonly miner: string | null;
  readonly paid_uait: string;
  readonly refunded_uait: string;
  readonly receipt_id: string | null;
  readonly receipt_valid: boolean;
  readonly settled_height: number | null;
}

/** One cluster for all of it: three validators and two miners, with the models that this package brings. */
describe('the market', function () {
  this.timeout(120_000);
  let at: TestCluster;
  let home: string;
  let rpc: string;

  before(async () => {
    at = await startCluster({ validators: 3, miners: 2 });
    home = mkdtempSync(join(tmpdir(), 'aitbc-market-'));
    rpc = at.rpc(1);
  });

  after(async () => {
    await at.close();
    rmSync(home, { recursive: true, force: true });
  });

  const miners = (): readonly ManifestMiner[] => at.cluster.manifest.miners ?? [];
  const balance = async (address: string): Promise<bigint> =>
    BigInt((await get(`${rpc}/rpc/accounts/${address}`)).json.balance_uait);

  function start(account: string, ...args: string[]): Program {
    const { key_file } = at.account(account);
    return new Program(home, [...args, '--rpc', rpc, '--key-file', key_file ?? '', '-y']);
  }

  async function submit(account: string, prompt: string): Promise<Submitted> {
    const { code, stdout, stderr } = await start(account, 'submit', prompt, '--json').finished;
    assert.equal(code, 0, stderr);
    assert.match(stderr.trimEnd().split('\n').at(-1) ?? '', /Receipt valid/);
    return JSON.parse(stdout) as Submitted;
  }

  /** Counts so far that it takes some seconds, and gives nothing out. */
  function slowJob(count: bigint): string {
    const path = join(home, `slow-${count}.yaml`);
    const parts = [{ media_type: 'application/wasm', base64: counting(count).toString('base64') }];
    writeFileSync(path, JSON.stringify({ kind: 'wasm.run', parts }));
    return path;
  }

  it('has miners whose models every validator knows, and a gateway', () => {
    assert.deepEqual(
      miners().map(({ name, state }) => [name, state]),
      [
        ['m1', 'running'],
        ['m2', 'running'],
      ],
    );
    for (const { models } of miners()) assert.ok(models.length > 0);
    const { gateway } = at.cluster.manifest;
    assert.equal(gateway?.url, rpc);
    assert.match(gateway.api_key, /^aitbc_/);
  });

  it('answers a prompt with a receipt that holds, and settles the money', async () => {
    const { address } = at.account('alice');
    const before = await balance(address);
    const job = await submit('alice', 'What is the capital of Austria?');
    assert.deepEqual(Object.keys(job), [
      ...['job_id', 'state', 'answer', 'model', 'miner', 'paid_uait', 'refunded_uait', 'receipt_id', 'receipt_valid'],
      'settled_height',
    ]);
    assert.match(job.answer, /Vienna/);
    assert.deepEqual([job.state, job.receipt_valid], ['COMPLETED', true]);
    assert.ok(miners().some((miner) => miner.address === job.miner && miner.models.includes(job.model ?? '')));
    const [paid, feeUait] = [BigInt(job.paid_uait), 5000n];
    assert.ok(paid > 0n && BigInt(job.refunded_uait) > 0n && (job.settled_height ?? 0) > 0);
    assert.equal(await balance(address), before - paid - feeUait);

    const verified = await run('job', 'verify', job.job_id, '--rpc', rpc, '--json');
    assert.equal(verified.code, 0, verified.stderr);
    const { findings, receipt_id } = JSON.parse(verified.stdout);
    assert.equal(receipt_id, job.receipt_id);
    const checks = findings.map(({ check }: { check: string }) => check);
    assert.ok(checks.includes('anchor') && checks.includes('place'), checks.join(', '));
    const [receipt, answer] = [join(home, 'receipt.json'), join(home, 'answer')];
    writeFileSync(receipt, (await run('job', 'receipt', job.job_id)).stdout);
    writeFileSync(answer, (await run('job', 'result', job.job_id)).stdout);
    assert.equal((await run('receipt', 'verify', receipt, '--output', answer)).code, 0);
    const settled = await run('receipt', 'verify', receipt, '--settled', '--rpc', rpc, '--json');
    assert.equal(settled.code, 0, settled.stderr);
    assert.match(settled.stderr, /The chain holds its root/);
    assert.equal(JSON.parse(settled.stdout).settlement.paid_uait, job.paid_uait);
  });

  it('says at once what nobody offers, and what costs more, and keeps nothing of it', async () => {
    const unknown = await start('alice', 'submit', 'hi', '--model', 'llama3', '--json').finished;
    assert.deepEqual(
      [unknown.code, /NO_MODEL/.test(unknown.stderr), /aitbc-tiny-1m/.test(unknown.stderr)],
      [4, true, true],
    );
    const dear = await start('alice', 'submit', 'hi', '--max-price', '100uait', '--json').finished;
    assert.deepEqual([dear.code, /PRICE/.test(dear.stderr)], [7, true]);
    assert.equal(JSON.parse((await run('job', 'list', '--json')).stdout).length, 1);
  });

  it('serves several clients at once, and one account several times', async () => {
    const jobs = await Promise.all([
      submit('alice', 'What is the capital of Kenya?'),
      submit('alice', 'What is the capital of Peru?'),
      submit('bob', 'What is 27 plus 15?'),
    ]);
    assert.deepEqual(
      jobs.map(({ state, receipt_valid }) => [state, receipt_valid]),
      jobs.map(() => ['COMPLETED', true]),
    );
    assert.match(jobs[0].answer, /Nairobi/);
    assert.match(jobs[1].answer, /Lima/);
    assert.match(jobs[2].answer, /42/);
    assert.equal(new Set(jobs.map(({ job_id }) => job_id)).size, 3);
  });

  it("serves clients of OpenAI's and Ollama's protocols through the gateway, and gives their receipts", async () => {
    const { url, api_key: apiKey } = at.cluster.manifest.gateway ?? { url: '', api_key: '' };
    const messages = [{ role: 'user' as const, content: 'What is the capital of Chile?' }];
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const { data: stream, response } = await openai.chat.completions
      .create({ model: 'aitbc-tiny-1m', messages, stream: true })
      .withResponse();
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    assert.match(text, /Santiago/);

    const ollama = new Ollama({ host: url, headers: { authorization: `Bearer ${apiKey}` } });
    const answer = await ollama.chat({ model: 'aitbc-tiny-1m', messages });
    assert.equal(answer.message.content, text);
    const { embeddings } = await ollama.embed({ model: 'aitbc-hash-256', input: ['one text', 'another'] });
    assert.deepEqual(
      embeddings.map(({ length }) => length),
      [256, 256],
    );

    const job = response.headers.get('x-aitbc-job') ?? '';
    const found = await fetch(`${url}/v1/jobs/${job}/receipt`, { headers: { 'x-api-key': apiKey } });
    const path = join(home, 'gateway-receipt.json');
    writeFileSync(path, await found.text());
    const verified = await run('receipt', 'verify', path, '--rpc', rpc);
    assert.equal(verified.code, 0, verified.stderr);
    const { anchor: _, ...unsettled } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(unsettled));
    const refused = await run('receipt', 'verify', path, '--settled', '--rpc', rpc);
    assert.deepEqual(
      [refused.code, /✗ the chain holds no root that this file leads to/.test(refused.stderr)],
      [11, true],
    );
  });

  it('goes on with a job whose client was killed', async () => {
    const killed = start('bob', 'job', 'run', slowJob(1_000_000_000n));
    await killed.says(/running/);
    killed.child.kill('SIGKILL');
    const id = /Job ([0-9a-f]{64})/.exec((await killed.finished).stderr)?.[1] ?? '';
    const { code, stdout, stderr } = await start('bob', 'job', 'watch', id, '--json').finished;
    assert.equal(code, 0, stderr);
    const job = JSON.parse(stdout) as Submitted;
    assert.deepEqual([job.job_id, job.state, job.receipt_valid], [id, 'COMPLETED', true]);
  });

  it('stops a job on Ctrl-C, and says what was paid', async () => {
    const job = start('alice', 'job', 'run', slowJob(1_000_000_000_000n));
    await job.says(/running/);
    job.child.kill('SIGINT');
    const { code, stderr } = await job.finished;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /Canceled\. Paid 0\.\d+ AIT\./);
  });

  it('survives a miner that is killed in the middle of a job', async () => {
    const job = start('bob', 'job', 'run', slowJob(1_000_000_000n), '--json');
    const [, address] = await job.says(/leased +miner (ait1\w+)/);
    await job.says(/running/);
    const miner = miners().find((each) => each.address === address);
    assert.ok(miner);
    await at.cluster.kill([miner.name]);
    assert.equal(miners().find(({ name }) => name === miner.name)?.state, 'killed');
    await at.cluster.restart([miner.name]);
    const { code, stdout, stderr } = await job.finished;
    assert.equal(code, 0, stderr);
    const done = JSON.parse(stdout) as Submitted;
    assert.deepEqual([done.state, done.receipt_valid], ['COMPLETED', true]);
    assert.match(stderr, /attempt 2/);
  });

  it('leaves no money held', async () => {
    // The gateway keeps agreements for further jobs.
    const accounts = at.cluster.manifest.accounts.filter(({ name }) => name !== 'gateway');
    const { json } = await get(`${rpc}/v1/market/params`);
    const staked = BigInt(json.min_stake_uait) * BigInt(miners().length);
    const given = accounts.reduce((sum, { balance_uait }) => sum + BigInt(balance_uait), 0n);
    await until('what jobs held is paid or returned', async () => {
      const balances = await Promise.all(accounts.map(({ address }) => balance(address)));
      const burned = given - staked - balances.reduce((sum, uait) => sum + uait, 0n);
      // Fees alone: some thousand uait a transaction, less what miners have from the gateway.
      return burned > 0n && burned < 1_000_000n;
    });
  });

  function run(...args: string[]): Promise<Finished> {
    return new Program(home, args).finished;
  }
});

/** A WASI module that counts up to a number and ends. */
function counting(to: bigint): Buffer {
  const signed = (value: bigint): number[] => {
    const bytes: number[] = [];
    for (let left = value; ; ) {
      const low = Number(left & 0x7fn);
      left >>= 7n;
      if (left === 0n && (low & 0x40) === 0) return [...bytes, low];
      bytes.push(low | 0x80);
    }
  };
  const section = (id: number, body: readonly number[]): number[] => [id, body.length, ...body];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  // One i64 local; loop: local += 1; branch back while local < to.
  const add = [0x20, 0, 0x42, 1, 0x7c, 0x22, 0];
  const again = [0x42, ...signed(to), 0x54, 0x0d, 0];
  const body = [1, 1, 0x7e, 0x03, 0x40, ...add, ...again, 0x0b, 0x0b];
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('_start'), 0, 0]),
    ...section(10, [1, body.length, ...body]),
  ]);
}
