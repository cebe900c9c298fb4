import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '../../../../src/bytes.ts';
import type { JobPart } from '../../../../src/chain/market/content.ts';
import { blobBytesOf, contentHash, encodeContent } from '../../../../src/chain/market/content.ts';
import { jobId, signJob } from '../../../../src/chain/market/job.ts';
import type { WorkReceipt } from '../../../../src/chain/market/receipt.ts';
import { receiptId } from '../../../../src/chain/market/receipt.ts';
import type { WorkJson } from '../../../../src/chain/market/work-json.ts';
import { workToJson } from '../../../../src/chain/market/work-json.ts';
import { sealBlob } from '../../../../src/compute/blobs/cipher.ts';
import { DETERMINISTIC_CAPABILITIES } from '../../../../src/compute/executors/builtin/builtin.ts';
import { embed } from '../../../../src/compute/executors/builtin/hash-embedding.ts';
import { createReplayer } from '../../../../src/compute/replayer.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { blobFiles } from '../../../../src/store/blob-files.ts';
import { fixtureGenesis } from '../../../util/chain-fixture.ts';
import { receiptKeys, signedFixture, workReceipt } from '../../../util/receipt-fixture.ts';
import { cliHere } from '../in-process.ts';
import type { Ended } from '../run.ts';
import { makeFolder, removeFolder } from '../run.ts';

const { chain } = fixtureGenesis({ timeMs: 1_700_000_000_000 });
const TEXT = 'A fox crosses the river at night.';
const MODEL = 'aitbc-hash-256';
const DIGEST = DETERMINISTIC_CAPABILITIES.find(({ model }) => model === MODEL)?.digest ?? null;

const INLINE = [{ role: '', mediaType: 'text/plain', data: utf8(TEXT) }];

/** Signed by both sides, whatever the result is. */
function workOf(output: Uint8Array, change: Partial<WorkReceipt> = {}, parts: readonly JobPart[] = INLINE): WorkJson {
  const content = encodeContent({ salt: new Uint8Array(32).fill(3), params: [], parts });
  const { client } = workReceipt(chain, output);
  const job = signJob(chain, receiptKeys.session, {
    ...{
      client,
      nonce: new Uint8Array(32),
      kind: 'text.embed',
      model: '',
      inputHash: contentHash(nativeCrypto, content),
    },
    ...{
      inputBytes: content.length + blobBytesOf(parts),
      maxOutputBytes: 65_536,
      maxPriceUait: 100_000,
      createdAtMs: 1_800_000_000_000,
    },
    ...{ queueMs: 1_000, executionMs: 1_000, totalMs: 10_000 },
  });
  const { inputHash, kind } = job.spec;
  const { signed, acknowledgement } = signedFixture(chain, output, {
    ...{ job: jobId(nativeCrypto, chain, job), kind, model: MODEL, modelDigest: DIGEST, inputHash, ...change },
  });
  const id = receiptId(nativeCrypto, chain, signed.receipt);
  const receipt = { chain, signed, acknowledgement, id, anchor: null };
  return workToJson(nativeCrypto, { receipt, job, content, replayedHash: null });
}

describe('aitbc job verify FILE', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = makeFolder();
    path = join(folder, 'work.json');
  });
  afterEach(() => {
    removeFolder(folder);
  });

  const verify = (json: unknown, ...args: string[]): Promise<Ended> => {
    writeFileSync(path, JSON.stringify(json));
    return cliHere(['job', 'verify', path, ...args], { AITBC_HOME: folder });
  };
  const right = embed([TEXT]);
  const wrong = right.with(7, 1);

  it('does the work again: the very result comes, or the miner is caught and the proof named', async () => {
    const { code, stderr } = await verify(workOf(right));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /✓ Receipt valid.*\n.*✓ Done again on this machine, the work gives the very result/);
    const caught = await verify(workOf(wrong), '--json');
    assert.equal(caught.code, 11);
    const { error } = JSON.parse(caught.stderr.slice(caught.stderr.indexOf('{'))) as {
      error: { code: string; data: Record<string, string> };
    };
    assert.equal(error.code, 'WRONG_RESULT');
    assert.equal(error.data['signed'], toHex(nativeCrypto.hash(wrong)));
    assert.equal(error.data['replayed'], toHex(nativeCrypto.hash(right)));
    assert.equal(error.data['proof'], path);
  }).timeout(10_000);

  it('finds large input beside the file, and says so where it is not', async () => {
    const { ref, list, leaf } = await sealBlob(nativeCrypto, utf8(TEXT), new Uint8Array(32).fill(5));
    const parts = [{ role: '', mediaType: 'text/plain', blob: ref }];
    const absent = await verify(workOf(wrong, {}, parts));
    assert.equal(absent.code, 0, absent.stderr);
    assert.match(absent.stderr, /Not shown either way: .*blobs\/[0-9a-f]{64}, which is not here/);
    const files = blobFiles(join(folder, 'blobs'), nativeCrypto);
    await files.begin(ref.root, '', list);
    await files.write(ref.root, 0, await leaf(0));
    writeFileSync(join(folder, 'blobs', 'of somebody else'), 'stays');
    const { code, stderr } = await verify(workOf(right, {}, parts));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /✓ Done again on this machine, the work gives the very result/);
    assert.equal((await verify(workOf(wrong, {}, parts))).code, 11);
    assert.deepEqual(readdirSync(join(folder, 'blobs')).sort(), [toHex(ref.root), 'of somebody else'].sort());
    await files.write(ref.root, 0, new Uint8Array(20));
    assert.match((await verify(workOf(wrong, {}, parts))).stderr, /Not shown either way/);
  }).timeout(20_000);

  it('says what cannot be concluded, and exits 0', async () => {
    const { code, stderr } = await verify(workOf(wrong, { modelDigest: null }));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Not shown either way: the miner named no digest.*Neither right nor wrong follows/);
    assert.equal((await verify(workOf(wrong), '--no-replay', '--json')).json.replay, null);
  });

  it('holds receipt, job and input against each other', async () => {
    const work = workOf(right);
    for (const changed of [
      { ...work, content: workOf(right).content.replace(/^..../, 'AAAA') },
      { ...work, job: workOf(right).job.replace(/^../, work.job.startsWith('00') ? '01' : '00') },
      { ...work, receipt: { ...work.receipt, price: 1 } },
      { ...work, format: 'aitbc-work/2' },
      { ...work, more: 1 },
      'no work',
    ]) {
      assert.notEqual((await verify(changed)).code, 0);
    }
    assert.equal((await verify({ ...work, content: work.content.replace(/^..../, 'AAAA') })).code, 11);
  });
});

describe('work done again by the back ends of this machine', () => {
  const digest = new Uint8Array(32).fill(1);
  const chat = { kind: 'llm.chat', model: 'm', digest, contextTokens: null, streams: true, warm: true, tags: [] };
  const replayer = createReplayer({
    capabilities: [{ ...chat, deterministic: false }],
    run: async (_, { emit }) => {
      await emit(utf8('Vienna'));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    },
  });
  const job = { kind: 'llm.chat', model: 'm', params: [], maxOutputBytes: 100 };
  const parts = [{ role: 'user', mediaType: 'text/plain', data: utf8(TEXT) }];
  const { signal } = new AbortController();

  it('is compared when it is chosen by no chance, and says whether another output would be a wrong one', async () => {
    assert.deepEqual(await replayer.replay({ ...job, parts }, digest, signal), {
      output: utf8('Vienna'),
      isDeterministic: false,
    });
    const drawn = [{ name: 'temperature_milli', value: '700' }];
    await assert.rejects(replayer.replay({ ...job, parts, params: drawn }, digest, signal), { code: 'BAD_JOB' });
    const seeded = [...drawn, { name: 'seed', value: '1' }];
    assert.ok(await replayer.replay({ ...job, parts, params: seeded }, digest, signal));
  });

  it('takes the very build that answered, by its digest', async () => {
    assert.equal(replayer.covers('llm.chat', 'm', digest), false, 'not to be sampled: it shows nothing');
    await assert.rejects(replayer.replay({ ...job, parts }, new Uint8Array(32), signal), { code: 'NO_MODEL' });
  });
});
