import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { toHex } from '../../../src/bytes.ts';
import { waitFor } from '../../util/wait.ts';
import { ask, post } from './http.ts';
import type { JobWorld } from './job-world.ts';
import { startJobWorld } from './job-world.ts';
import { HASHES, TINY } from './scripted-coordinator.ts';
import { inlinePart } from '../../util/inline-part.ts';

const CHAT = { model: TINY, messages: [{ role: 'user', content: 'Capital of Austria?' }] };

describe('the paths of Ollama', () => {
  let world: JobWorld;
  let client: Ollama;

  beforeEach(async () => {
    world = await startJobWorld();
    client = new Ollama({ host: world.url });
    world.market.onJob = (id) => {
      world.market.answer(id, 'Vien', 'na.');
    };
  });

  afterEach(async () => {
    world.node.closing.abort();
    await world.server.close();
    assert.equal(world.market.waiting, 0);
  });

  it('answer a chat of the ollama client', async () => {
    const options = { temperature: 0.5, top_p: 0.9, seed: 3, num_predict: 20, stop: ['x'] };
    const answer = await client.chat({ ...CHAT, options, keep_alive: '5m' });
    assert.deepEqual(answer.message, { role: 'assistant', content: 'Vienna.' });
    assert.deepEqual([answer.done, answer.done_reason, answer.model], [true, 'stop', TINY]);
    assert.deepEqual([answer.prompt_eval_count, answer.eval_count], [9, 6]);
    assert(answer.total_duration >= answer.load_duration);
    assert.deepEqual(
      world.market.requests[0]?.params.map(({ name, value }) => `${name}=${value}`),
      ['max_tokens=20', 'temperature_milli=500', 'top_p_milli=900', 'seed=3', 'stop=x'],
    );
  });

  it('stream to the ollama client, as they do when nothing is said', async () => {
    const pieces: string[] = [];
    let isDone = false;
    for await (const { message, done } of await client.chat({ ...CHAT, stream: true })) {
      pieces.push(message.content);
      isDone = done;
    }
    assert.deepEqual([pieces, isDone], [['Vien', 'na.', ''], true]);
    const { text, headers } = await post(world.url, '/api/generate', { model: TINY, prompt: 'Capital?' });
    assert.equal(headers['content-type'], 'application/x-ndjson');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ response, done }) => [response, done]),
      [
        ['Vien', false],
        ['na.', false],
        ['', true],
      ],
    );
    const { id, receiptId } = world.market.last;
    assert.equal(headers['x-aitbc-job'], toHex(id));
    assert.deepEqual(lines[2].aitbc, {
      job_id: toHex(id),
      price_uait: '145',
      receipt_id: receiptId && toHex(receiptId),
    });
  });

  it('answer a prompt, with a word of the system before it', async () => {
    const { response } = await client.generate({ model: TINY, prompt: 'Capital?', system: 'Be brief.' });
    assert.equal(response, 'Vienna.');
    const parts = world.market.requests[0]?.parts
      .map(inlinePart)
      .map(({ role, data }) => [role, Buffer.from(data).toString()]);
    assert.deepEqual(parts, [
      ['system', 'Be brief.'],
      ['user', 'Capital?'],
    ]);
  });

  it('give vectors', async () => {
    world.market.onJob = (id) => {
      world.market.answer(id, new Uint8Array(new Float32Array([0.5, -1, 2, 0.25]).buffer));
    };
    const { embeddings, model } = await client.embed({ model: HASHES, input: ['a', 'b'] });
    assert.deepEqual(embeddings, [
      [0.5, -1],
      [2, 0.25],
    ]);
    assert.equal(model, HASHES);
  });

  it('list models, those that are loaded, and one of them', async () => {
    assert.deepEqual(
      (await client.list()).models.map(({ name }) => name),
      [HASHES, TINY],
    );
    assert.deepEqual(
      (await client.ps()).models.map(({ name }) => name),
      [HASHES, TINY],
    );
    const shown = await client.show({ model: TINY });
    assert.deepEqual(shown.capabilities, ['completion']);
    assert.deepEqual((await client.show({ model: HASHES })).capabilities, ['embedding']);
    assert.equal((await client.version()).version, '0.0.0');
    await assert.rejects(client.show({ model: 'llama9' }), /no miner offers this model — models offered now/);
  });

  it('list models without a wallet too, and have no work done then', async () => {
    world.node.jobs = null;
    assert.equal((await client.list()).models.length, 2);
    await assert.rejects(client.chat(CHAT), /has no wallet/);
  });

  it('leave the lists of chains where they are', async () => {
    assert.equal((await ask(world.url, '/api/chains')).json.chains.length, 1);
  });

  it('refuse what would change the answer, in their form', async () => {
    const odd = [
      { tools: [{ type: 'function' }] },
      { format: 'json' },
      { options: { num_ctx: 4096 } },
      { options: { num_predict: 0 } },
      { think: true },
      { messages: [{ role: 'user', content: 'What is it?', images: ['AAAA'] }] },
    ];
    for (const change of odd) {
      const { status, json } = await post(world.url, '/api/chat', { ...CHAT, ...change });
      assert.deepEqual(
        [status, json.code, typeof json.error],
        [400, 'INVALID_PARAMS', 'string'],
        JSON.stringify(change),
      );
    }
    assert.equal(world.market.requests.length, 0);
  });

  it('need JSON to be called that: what a form can send is refused', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status, json } = await post(world.url, '/api/chat', CHAT, headers);
    assert.deepEqual([status, json.code], [400, 'INVALID_REQUEST']);
  });

  it('end a stream with the failure', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.give(id, 'Vien');
      world.market.fail(id, { code: 'EXECUTOR', message: 'the model fell over' });
    };
    const read = async (): Promise<void> => {
      for await (const _ of await client.chat({ ...CHAT, stream: true })) void _;
    };
    await assert.rejects(read, /the model fell over/);
  });

  it('cancel the job of a client that goes', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.give(id, 'Vien');
    };
    const stream = await client.chat({ ...CHAT, stream: true });
    for await (const _ of stream) break;
    stream.abort();
    await waitFor('the cancellation', () => world.market.last.state === 'canceled');
    await waitFor('the readers to be gone', () => world.market.waiting === 0);
  });
});
