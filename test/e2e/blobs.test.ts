/** Inputs beyond a mebibyte, from the command line over a node that is not the miner's, to a receipt that holds. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEAF_TEXT_BYTES } from '../../src/chain/market/blob.ts';
import { toHex } from '../../src/bytes.ts';
import { createClient } from '../../src/sdk/client.ts';
import { uploadInput } from '../../src/sdk/blobs.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { ECHO } from '../util/wasm-program.ts';
import { Program } from './program.ts';
import type { TestCluster } from './support.ts';
import { startCluster, until } from './support.ts';

const MIB = 1024 * 1024;

interface Done {
  readonly job_id: string;
  readonly state: string;
  readonly receipt_valid: boolean;
  readonly paid_uait: string;
}

describe('jobs with large inputs', function () {
  this.timeout(114_000);
  let at: TestCluster;
  let home: string;
  let rpc: string;

  before(async () => {
    at = await startCluster({ validators: 3, miners: 1 });
    home = mkdtempSync(join(tmpdir(), 'aitbc-blobs-'));
    rpc = at.rpc(1);
  });

  after(async () => {
    await at.close();
    rmSync(home, { recursive: true, force: true });
  });

  function start(...args: string[]): Program {
    const { key_file } = at.account('alice');
    return new Program(home, [...args, '--rpc', rpc, '--key-file', key_file ?? '', '-y']);
  }

  function specOf(name: string, fields: Readonly<Record<string, unknown>>): string {
    const path = join(home, `${name}.yaml`);
    writeFileSync(path, JSON.stringify({ max_price: '100ait', ...fields }));
    return path;
  }

  /** Runs it, holds its receipt offline, and does its work again. */
  async function runSpec(spec: string): Promise<{ readonly job: Done; readonly folder: string }> {
    const { code, stdout, stderr } = await start('job', 'run', spec, '--json').finished;
    assert.equal(code, 0, stderr);
    const job = JSON.parse(stdout) as Done;
    assert.deepEqual([job.state, job.receipt_valid], ['COMPLETED', true]);
    const [receipt, answer] = [join(home, 'receipt.json'), join(home, 'answer')];
    writeFileSync(receipt, (await run('job', 'receipt', job.job_id)).stdout);
    rmSync(answer, { force: true });
    assert.equal((await run('job', 'result', job.job_id, '--out', answer)).code, 0);
    assert.equal((await run('receipt', 'verify', receipt, '--output', answer)).code, 0);
    const verified = await run('job', 'verify', job.job_id, '--rpc', rpc, '--json');
    assert.equal(verified.code, 0, verified.stderr);
    assert.equal(JSON.parse(verified.stdout).replay.result, 'same', verified.stdout);
    return { job, folder: runFolder(job.job_id) };
  }

  function runFolder(id: string): string {
    const chains = join(home, 'jobs');
    for (const chain of readdirSync(chains)) {
      for (const name of readdirSync(join(chains, chain))) {
        const path = join(chains, chain, name);
        if (chain !== 'accounts' && readFileSync(join(path, 'job.json'), 'utf8').includes(id)) return path;
      }
    }
    throw new Error(`no run of ${id}`);
  }

  function run(...args: string[]) {
    return new Program(home, args).finished;
  }

  it('runs a module of several mebibytes over an input of its own file', async () => {
    // A custom section: nothing of it is run.
    const padding = Buffer.concat([Buffer.from([3, 0x70, 0x61, 0x64]), randomBytes(3 * MIB)]);
    writeFileSync(join(home, 'echo.wasm'), Buffer.concat([ECHO, Buffer.from([0]), unsigned(padding.length), padding]));
    const input = randomBytes(2 * MIB);
    writeFileSync(join(home, 'input.bin'), input);
    const { folder } = await runSpec(
      specOf('wasm', {
        ...{ kind: 'wasm.run', module_file: 'echo.wasm', input_file: 'input.bin' },
        max_output_bytes: 4 * MIB,
      }),
    );
    assert.deepEqual(readFileSync(join(folder, 'result')), input);
    const kept = readdirSync(join(folder, 'blobs'));
    assert.ok(kept.length >= 1, 'the module is a blob');
  });

  it('makes a vector of a document of several mebibytes', async () => {
    writeFileSync(join(home, 'book.txt'), 'A sentence about Vienna and its coffee houses. '.repeat(60_000));
    const { folder } = await runSpec(specOf('embed', { kind: 'text.embed', input_file: 'book.txt' }));
    assert.equal(readFileSync(join(folder, 'result')).length, 256 * 4);
  });

  it('goes on with what has come when the miner is killed while it fetches', async () => {
    const input = randomBytes(32 * MIB);
    writeFileSync(join(home, 'echo-small.wasm'), ECHO);
    writeFileSync(join(home, 'large.bin'), input);
    const fields = { kind: 'wasm.run', module_file: 'echo-small.wasm', input_file: 'large.bin', max_output_bytes: MIB };
    const job = start('job', 'run', specOf('large', fields), '--json');
    const [miner] = at.cluster.manifest.miners ?? [];
    assert.ok(miner);
    const shelf = join(miner.home, 'chains', 'ait-devnet', 'market', 'blobs');
    mkdirSync(shelf, { recursive: true });
    const leaves = (): number =>
      readdirSync(shelf).reduce((sum, root) => sum + readdirSync(join(shelf, root)).length, 0);
    const had = leaves();
    await until('the miner fetches', () => Promise.resolve(leaves() > had + 20 || null));
    await at.cluster.kill([miner.name]);
    const got = leaves() - had;
    assert.ok(got < Math.ceil(input.length / LEAF_TEXT_BYTES), `it had all ${got}`);
    await at.cluster.restart([miner.name]);
    const { code, stdout, stderr } = await job.finished;
    assert.equal(code, 0, stderr);
    const done = JSON.parse(stdout) as Done;
    assert.deepEqual([done.state, done.receipt_valid], ['COMPLETED', true]);
    assert.match(stderr, /attempt 2/);
    assert.deepEqual(readFileSync(join(runFolder(done.job_id), 'result')), input.subarray(0, MIB));
  });

  it('takes uploaded inputs into jobs that a node pays for', async () => {
    const { url, api_key: apiKey } = at.cluster.manifest.gateway ?? { url: '', api_key: '' };
    const text = new TextEncoder().encode('A long story about a short bridge. '.repeat(14_000));
    const blob = await uploadInput(createClient({ url, apiKey }), text);
    assert.equal(blob.sha256, toHex(nativeHasher.hash(text)));
    const headers = { 'content-type': 'application/json', 'x-api-key': apiKey };
    const body = JSON.stringify({ kind: 'text.embed', parts: [{ media_type: 'text/plain', blob }] });
    const made = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body });
    const job = (await made.json()) as { job_id: string; state: string };
    assert.equal(made.status, 201, JSON.stringify(job));
    const result = await until('the result', async () => {
      const answer = await fetch(`${url}/v1/jobs/${job.job_id}/result`, { headers });
      return answer.status === 200 ? ((await answer.json()) as { result: { output_base64: string } }) : null;
    });
    assert.equal(Buffer.from(result.result.output_base64, 'base64').length, 256 * 4);
  });
});

/** LEB128. */
function unsigned(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}
