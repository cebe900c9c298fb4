import assert from 'node:assert/strict';
import type { Executor } from '../../../../src/compute/executors/executor.ts';
import { createOpenAi } from '../../../../src/compute/executors/openai.ts';
import { chatConformance } from '../../../util/executor-conformance.ts';
import { chatJob, failsWith, never, params, PausedJob, runJob, textPart } from '../../../util/executor-jobs.ts';
import { fakeOpenAi, SAID } from '../../../util/fake-model-server.ts';
import { waitFor } from '../../../util/wait.ts';

describe('an OpenAI-compatible server as a back end', () => {
  const server = fakeOpenAi([{ id: 'Qwen/Qwen3-8B', max_model_len: 32_768 }, { id: 'bge-m3' }]);
  const bounds = { parallel: 2 };
  let executor: Executor;
  let baseUrl: string;

  before(async () => {
    baseUrl = `${await server.listen()}/`;
    executor = createOpenAi({ baseUrl, apiKey: 'sk-of-the-server', embeddingModels: ['bge-m3'], ...bounds });
  });

  after(async () => {
    await server.close();
  });

  it('offers its models, of whose content it knows nothing', async () => {
    const offers = await executor.probe(never);
    assert.deepEqual(
      offers.map(({ kind, model, digest, contextTokens }) => [kind, model, digest, contextTokens]),
      [
        ['llm.chat', 'Qwen/Qwen3-8B', null, 32_768],
        ['text.embed', 'bge-m3', null, null],
      ],
    );
    assert.equal(server.last('/v1/models')?.headers.authorization, 'Bearer sk-of-the-server');
  });

  it('asks as it was asked', async () => {
    const given = params({ max_tokens: '100', temperature_milli: '700', top_p_milli: '900', seed: '7', stop: ['END'] });
    const { outcome, text } = await runJob(executor, chatJob('Qwen/Qwen3-8B', 'hello', { params: given }));
    assert.deepEqual([text, outcome], [SAID, { finish: 'stop', inputTokens: 26, outputTokens: 20 }]);
    assert.deepEqual(server.last('/v1/chat/completions')?.body, {
      model: 'Qwen/Qwen3-8B',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.7,
      max_tokens: 100,
      top_p: 0.9,
      seed: 7,
      stop: ['END'],
    });
  });

  it('gives vectors, in the order of the texts', async () => {
    const job = { kind: 'text.embed', model: 'bge-m3', params: [], parts: [textPart('a'), textPart('bcd')] };
    const { bytes } = await runJob(executor, { ...job, maxOutputBytes: 16 });
    assert.deepEqual([...new Float32Array(bytes.buffer)], [1, 0.5, 3, 0.5]);
  });

  it('tells by its code what a server does wrong, and never its key', async () => {
    const wrongs = [
      ['garbage', 'EXECUTOR', /not JSON/],
      ['html', 'EXECUTOR', /in the middle/],
      ['error-mid', 'EXECUTOR', /in the middle/],
      ['cut', 'EXECUTOR', /in the middle/],
      ['broken', 'EXECUTOR', /broke/],
      ['endless-line', 'EXECUTOR', /a line of more than 1048576 bytes/],
      [{ status: 429, error: 'slow down' }, 'BUSY', /busy/],
      [{ status: 422, error: 'no such role' }, 'BAD_JOB', /no such role/],
      [{ status: 403, error: 'sk-of-the-server is not allowed' }, 'EXECUTOR', /API key/],
      [{ status: 302, error: '' }, 'EXECUTOR', /does not answer/],
    ] as const;
    for (const [misbehaviour, code, message] of wrongs) {
      server.misbehaviour = misbehaviour;
      const failed = runJob(executor, chatJob('Qwen/Qwen3-8B', 'hello'));
      await failsWith(code, failed, message);
      const error = await failed.catch((reason: unknown) => reason);
      assert.doesNotMatch(JSON.stringify(error), /sk-of/);
    }
  });

  it('bound: silence, before the first byte and after it', async () => {
    const impatient = createOpenAi({ baseUrl, firstByteTimeoutMs: 100, idleTimeoutMs: 100 });
    for (const misbehaviour of ['silent', 'stall'] as const) {
      server.misbehaviour = misbehaviour;
      await failsWith('EXECUTOR', runJob(impatient, chatJob('Qwen/Qwen3-8B', 'hello')), /silent for 100 ms/);
    }
    await impatient.close();
  });

  it('leaves the server when it is canceled', async () => {
    const job = new PausedJob(executor, chatJob('Qwen/Qwen3-8B', 'hello'));
    await job.paused;
    job.abort.abort();
    await failsWith('CANCELED', job.done);
    await waitFor('the server to notice', () => server.active === 0);
  });

  describe('as every back end', () => {
    chatConformance(() =>
      Promise.resolve({ executor, model: 'Qwen/Qwen3-8B', prompt: 'Tell me a story.', parallel: 2 }),
    );
  });
});
