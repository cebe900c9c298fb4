import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../../../../src/bytes.ts';
import { MAX_BLOB_BYTES } from '../../../../src/chain/market/blob.ts';
import { requestOfPrompt, requestOfSpec } from '../../../../src/cli/jobs/job-input.ts';
import type { JobRequest } from '../../../../src/compute/coordinator/coordinator.ts';
import { makeFolder, removeFolder } from '../run.ts';

const OPTIONS = { kind: 'llm.chat', maxPrice: '1ait' };

describe('jobs as people write them', () => {
  let folder: string;

  beforeEach(() => {
    folder = makeFolder();
  });

  afterEach(() => {
    removeFolder(folder);
  });

  async function spec(text: string): Promise<JobRequest> {
    const path = join(folder, 'job.yaml');
    writeFileSync(path, text);
    return requestOfSpec(path);
  }

  const part = (role: string, text: string) => ({ role, mediaType: 'text/plain', data: utf8(text) });

  it('are a prompt with options', async () => {
    const options = { ...OPTIONS, system: 'Be brief.', maxTokens: 20, temperature: 0.7, model: 'm', queue: 1000 };
    const request = await requestOfPrompt('Hello?', options);
    assert.deepEqual(request.parts, [part('system', 'Be brief.'), part('user', 'Hello?')]);
    assert.deepEqual(request.params, [
      { name: 'max_tokens', value: '20' },
      { name: 'temperature_milli', value: '700' },
    ]);
    assert.deepEqual([request.model, request.maxPriceUait, request.agreement], ['m', 1_000_000, 'single']);
    assert.deepEqual([request.queueMs, request.executionMs, request.totalMs], [1000, 300_000, 601_000]);
    assert.deepEqual([request.maxOutputBytes, (await requestOfPrompt('x', OPTIONS)).maxOutputBytes], [320, 16_384]);
    assert.deepEqual((await requestOfPrompt('x', { ...OPTIONS, kind: 'text.embed' })).parts, [part('', 'x')]);
    await assert.rejects(requestOfPrompt(' ', OPTIONS), { code: 'USAGE' });
    await assert.rejects(requestOfPrompt('x', { ...OPTIONS, kind: 'text.embed', system: 's' }), { code: 'USAGE' });
  });

  it('are a file', async () => {
    const chat = await spec(
      'prompt: Hello?\nsystem: Be brief.\nmodel: m\nmax_price: 0.5\nqueue: 1m\nexecution: 30s\ntotal: 2m\n' +
        'idempotency_key: k\nmax_output_bytes: 100\nparams: {max_tokens: 20, temperature: 0.25, stop: [a, b]}\n',
    );
    assert.deepEqual(chat.parts, [part('system', 'Be brief.'), part('user', 'Hello?')]);
    assert.deepEqual(chat.params, [
      { name: 'max_tokens', value: '20' },
      { name: 'temperature_milli', value: '250' },
      { name: 'stop', value: 'a' },
      { name: 'stop', value: 'b' },
    ]);
    assert.deepEqual([chat.queueMs, chat.executionMs, chat.totalMs], [60_000, 30_000, 120_000]);
    assert.deepEqual([chat.maxPriceUait, chat.maxOutputBytes, chat.idempotencyKey], [500_000, 100, 'k']);

    const messages = await spec('messages:\n- {role: user, content: a}\n- {role: assistant, content: b}\n');
    assert.deepEqual(messages.parts, [part('user', 'a'), part('assistant', 'b')]);

    writeFileSync(join(folder, 'm.wasm'), Buffer.from([0, 97]));
    const wasm = await spec(
      'kind: wasm.run\nparts:\n- {media_type: application/wasm, file: m.wasm}\n- {media_type: x/y, base64: YWI=}\n- {text: t}\n',
    );
    assert.deepEqual(wasm.parts, [
      { role: '', mediaType: 'application/wasm', data: Uint8Array.of(0, 97) },
      { role: '', mediaType: 'x/y', data: utf8('ab') },
      part('', 't'),
    ]);
  });

  it('have a module and an input of files, however large', async () => {
    const large = new Uint8Array(3 * 1024 * 1024).fill(97);
    writeFileSync(join(folder, 'm.wasm'), large);
    writeFileSync(join(folder, 'in.txt'), 'abc');
    const module = { role: '', mediaType: 'application/wasm', data: large };
    const wasm = 'kind: wasm.run\nmodule_file: m.wasm\n';
    assert.deepEqual((await spec(wasm)).parts, [module]);
    const input = { role: '', mediaType: 'application/octet-stream', data: utf8('abc') };
    assert.deepEqual((await spec(`${wasm}input_file: in.txt\n`)).parts, [module, input]);
    assert.deepEqual((await spec(`${wasm}prompt: abc\n`)).parts, [module, part('', 'abc')]);
    assert.deepEqual((await spec('kind: text.embed\ninput_file: in.txt\n')).parts, [part('', 'abc')]);
    const chat = await spec('input_file: in.txt\nsystem: s\n');
    assert.deepEqual(chat.parts, [part('system', 's'), part('user', 'abc')]);
    truncateSync(join(folder, 'm.wasm'), MAX_BLOB_BYTES + 1);
    await assert.rejects(spec(wasm), { code: 'TOO_LARGE' });
  });

  it('are refused naming the field', async () => {
    const cases: [string, RegExp][] = [
      ['', /the file/],
      ['[1]', /the file/],
      ['a: b: c', /not YAML/],
      ['kind: text.embed\nmodule_file: m', /module_file of the job must be of a job of kind wasm\.run/],
      ['kind: wasm.run\nmodule_file: m\nmessages: [{role: a, content: b}]', /module_file/],
      ['kind: wasm.run\nmodule_file: m\nprompt: a\ninput_file: b', /prompt/],
      ['prompt: a\ninput_file: b', /prompt/],
      ['promt: x', /"promt" is no field/],
      ['model: x', /given once/],
      ['prompt: x\nparts: [{text: y}]', /given once/],
      ['prompt: [x]', /prompt of the job/],
      ['parts: []', /parts of the job/],
      ['parts: [{file: x}]', /parts\[0\]\.media_type/],
      ['parts: [{media_type: a/b}]', /parts\[0\]\.file/],
      ['parts: [{media_type: a/b, file: missing}]', /cannot read/],
      ['messages: [{role: user}]', /messages\[0\]\.content/],
      ['prompt: x\nparams: {seed: 1.5}', /params\.seed/],
      ['prompt: x\nparams: {seed: {a: 1}}', /params\.seed/],
      ['prompt: x\nqueue: soon', /queue of the job/],
      ['prompt: x\nmax_output_bytes: -1', /max_output_bytes/],
      ['prompt: x\nmax_price: much', /is not an amount/],
    ];
    for (const [text, message] of cases) await assert.rejects(spec(text), { code: 'USAGE', message }, text);
  });

  it('bound: a file, its parts and what aliases repeat', async () => {
    await assert.rejects(spec(`prompt: ${'x'.repeat(1_200_000)}`), { code: 'USAGE' });
    writeFileSync(join(folder, 'big'), '');
    truncateSync(join(folder, 'big'), MAX_BLOB_BYTES + 1);
    await assert.rejects(spec('parts: [{media_type: a/b, file: big}]'), { code: 'TOO_LARGE' });
    await assert.rejects(spec('system: &a x\nprompt: *a'), { code: 'USAGE' });
  });
});
