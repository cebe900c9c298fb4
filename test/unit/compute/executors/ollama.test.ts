import assert from 'node:assert/strict';
import type { Executor } from '../../../../src/compute/executors/executor.ts';
import { createOllama } from '../../../../src/compute/executors/ollama.ts';
import { chatConformance } from '../../../util/executor-conformance.ts';
import type { LogRecord } from '../../../util/executor-jobs.ts';
import {
  chatJob,
  failsWith,
  never,
  params,
  PausedJob,
  recordingLog,
  runJob,
  textPart,
} from '../../../util/executor-jobs.ts';
import { fakeOllama, SAID } from '../../../util/fake-model-server.ts';
import { waitFor } from '../../../util/wait.ts';

const LLAMA = 'a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72';
const EMBEDDER = '0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f';
const bounds = { parallel: 2, stopTimeoutMs: 400 };

describe('Ollama as a back end', () => {
  const server = fakeOllama([
    { name: 'llama3.2:latest', digest: LLAMA },
    { name: 'qwen3:4b', digest: LLAMA.replace('a', 'b') },
    { name: 'nomic-embed-text:latest', digest: EMBEDDER, capabilities: ['embedding'] },
    { name: 'gpt-oss:120b-cloud', digest: LLAMA.replace('a', 'c'), remote_host: 'https://ollama.com:443' },
    { name: 'vision:latest', digest: LLAMA.replace('a', 'd'), capabilities: ['image'] },
  ]);
  const log: LogRecord[] = [];
  let executor: Executor;
  let baseUrl: string;

  before(async () => {
    baseUrl = await server.listen();
    executor = createOllama({ baseUrl, log: recordingLog(log), ...bounds });
  });

  after(async () => {
    await server.close();
  });

  it('offers its models by their digests, but none that a cloud computes', async () => {
    const offers = await executor.probe(never);
    assert.deepEqual(
      offers.map(({ kind, model }) => `${kind} ${model}`),
      ['llm.chat llama3.2', 'llm.chat qwen3:4b', 'text.embed nomic-embed-text'],
    );
    assert.equal(Buffer.from(offers[0]?.digest ?? []).toString('hex'), LLAMA);
    assert.deepEqual([offers[0]?.contextTokens, offers[0]?.warm, offers[0]?.tags], [4_096, false, []]);
    await executor.prepare('llm.chat', 'llama3.2', never);
    assert.deepEqual(server.last('/api/generate')?.body['options'], { num_ctx: 4_096 });
    const [warm] = await executor.probe(never);
    assert.deepEqual([warm?.warm, warm?.tags], [true, ['gpu']]);
  });

  it('asks as it was asked, and for nothing to be cut off in silence', async () => {
    const given = params({ max_tokens: '100', temperature_milli: '700', top_p_milli: '900', seed: '7', stop: ['END'] });
    const parts = [textPart('be kind', 'system'), textPart('hello')];
    const { outcome, text } = await runJob(executor, chatJob('llama3.2:latest', '', { params: given, parts }));
    assert.deepEqual([text, outcome], [SAID, { finish: 'stop', inputTokens: 26, outputTokens: 20 }]);
    const { messages, options, truncate, stream } = server.last('/api/chat')?.body ?? {};
    assert.deepEqual(messages, [
      { role: 'system', content: 'be kind' },
      { role: 'user', content: 'hello' },
    ]);
    assert.deepEqual([truncate, stream], [false, true]);
    assert.deepEqual(options, {
      num_ctx: 4_096,
      temperature: 0.7,
      num_predict: 100,
      top_p: 0.9,
      seed: 7,
      stop: ['END'],
    });
  });

  it('gives vectors', async () => {
    const job = { kind: 'text.embed', model: 'nomic-embed-text', params: [], parts: [textPart('a'), textPart('bcd')] };
    const { bytes, outcome } = await runJob(executor, { ...job, maxOutputBytes: 24 });
    assert.deepEqual([...new Float32Array(bytes.buffer)], [1, 0.5, -1, 3, 0.5, -1]);
    assert.equal(outcome.inputTokens, 8);
    await failsWith('BAD_JOB', runJob(executor, { ...job, maxOutputBytes: 23 }), /24 bytes/);
  });

  it('tells by its code what a server does wrong', async () => {
    const wrongs = [
      ['garbage', 'EXECUTOR', /not JSON/],
      ['html', 'EXECUTOR', /not JSON/],
      ['error-mid', 'EXECUTOR', /in the middle/],
      ['cut', 'EXECUTOR', /in the middle/],
      ['broken', 'EXECUTOR', /broke/],
      [{ status: 503, error: 'server busy, please try again' }, 'BUSY', /busy/],
      [{ status: 404, error: 'model not found' }, 'NO_MODEL', /model/],
      [{ status: 400, error: 'input length exceeds\u001b[31m the context length' }, 'BAD_JOB', /exceeds \[31m the/],
      [{ status: 500, error: 'out of memory' }, 'EXECUTOR', /500/],
      [{ status: 401, error: 'who are you' }, 'EXECUTOR', /API key/],
    ] as const;
    for (const [misbehaviour, code, message] of wrongs) {
      server.misbehaviour = misbehaviour;
      await failsWith(code, runJob(executor, chatJob('llama3.2', 'hello')), message);
    }
    assert.equal((await runJob(executor, chatJob('llama3.2', 'hello'))).text, SAID);
  });

  it('bound: silence, before the first byte and after it', async () => {
    const impatient = createOllama({
      baseUrl,
      log: recordingLog(),
      firstByteTimeoutMs: 100,
      idleTimeoutMs: 100,
      stopTimeoutMs: 400,
    });
    for (const misbehaviour of ['silent', 'stall'] as const) {
      server.misbehaviour = misbehaviour;
      await failsWith('EXECUTOR', runJob(impatient, chatJob('llama3.2', 'hello')), /silent for 100 ms/);
    }
    await impatient.close();
  });

  it('bound: a line, and a body, without end', async () => {
    server.misbehaviour = 'endless-line';
    await failsWith('EXECUTOR', runJob(executor, chatJob('llama3.2', 'hello')), /a line of more than 1048576 bytes/);
    server.misbehaviour = 'endless-body';
    const job = chatJob('llama3.2', 'hello', { maxOutputBytes: 1 });
    await failsWith('EXECUTOR', runJob(executor, job), /an answer of more than \d+ bytes/);
    await waitFor('the server to notice', () => server.active === 0);
  });

  it('keeps a slot until canceled work has stopped, and unloads the model of a server that does not stop', async () => {
    server.misbehaviour = 'ignore-abort';
    server.ignoring = true;
    log.length = 0;
    const jobs = [new PausedJob(executor, chatJob('qwen3:4b', 'hello'))];
    await jobs[0]?.paused;
    jobs[0]?.abort.abort();
    const canceled = failsWith('CANCELED', jobs[0]?.done ?? Promise.resolve());
    const other = new PausedJob(executor, chatJob('llama3.2', 'hello'));
    await other.paused;
    assert.equal(server.active, 2);
    await failsWith('BUSY', runJob(executor, chatJob('llama3.2', 'hello')));
    await canceled;
    assert.deepEqual(
      log.map(({ message }) => message),
      ['work goes on after it was given up: the model is unloaded'],
    );
    assert.deepEqual(server.last('/api/generate')?.body, { model: 'qwen3:4b', keep_alive: 0 });
    other.release();
    await other.done;
    await waitFor('the end of all work', () => server.active === 0);
  });

  it('is not there when nobody answers', async () => {
    const nobody = createOllama({ baseUrl: 'http://127.0.0.1:9', log: recordingLog() });
    await failsWith('UNREACHABLE', nobody.probe(never));
    await failsWith('EXECUTOR', runJob(nobody, chatJob('llama3.2', 'hello')));
    await nobody.close();
  });

  describe('as every back end', () => {
    chatConformance(() => Promise.resolve({ executor, model: 'llama3.2', prompt: 'Tell me a story.', parallel: 2 }));
  });
});
