import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBuiltin } from '../../../../src/compute/executors/builtin/builtin.ts';
import type { Executor } from '../../../../src/compute/executors/executor.ts';
import { chatConformance } from '../../../util/executor-conformance.ts';
import type { LogRecord } from '../../../util/executor-jobs.ts';
import { chatJob, failsWith, never, params, PausedJob, recordingLog, runJob } from '../../../util/executor-jobs.ts';
import { childrenOf } from '../../../util/child-processes.ts';

const MODEL = 'aitbc-tiny-1m';
const GGUF = new URL('../../../../models/aitbc-tiny.gguf', import.meta.url);
const STORY = 'Tell me a story about a fox.';

describe('built-in back end', () => {
  let executor: Executor;
  let folder: string;
  const log: LogRecord[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aitbc-models-'));
    // The same model under another name in its metadata, as a stranger's would be: served by its chat template.
    const bytes = await readFile(GGUF);
    bytes.write('other-name', bytes.indexOf('aitbc-tiny'), 'latin1');
    await writeFile(join(folder, 'Other_1.gguf'), bytes);
    await writeFile(join(folder, 'broken.gguf'), 'GGUF and then nothing of the kind');
    await copyFile(GGUF, join(folder, 'two words.gguf'));
    await copyFile(GGUF, join(folder, 'big-00001-of-00002.gguf'));
    executor = createBuiltin({
      modelsFolder: folder,
      log: recordingLog(log),
      parallel: 3,
      maxLoadedModels: 1,
      killAfterMs: 400,
    });
  });

  after(async () => {
    await executor.close();
    assert.deepEqual(await childrenOf(process.pid, 'child.'), []);
    await rm(folder, { recursive: true });
  });

  it('answers questions by the bundled model, and tells its limits', async () => {
    const [tiny] = await executor.probe(never);
    assert.ok(tiny);
    assert.deepEqual(
      { ...tiny, digest: null },
      {
        kind: 'llm.chat',
        model: MODEL,
        digest: null,
        contextTokens: 256,
        streams: true,
        deterministic: false,
        warm: false,
        tags: ['cpu', 'demo'],
      },
    );
    assert.deepEqual(
      tiny.digest,
      new Uint8Array(
        createHash('sha256')
          .update(await readFile(GGUF))
          .digest(),
      ),
    );
    const { text, outcome } = await runJob(executor, chatJob(MODEL, 'What is the capital of Austria?'));
    assert.equal(text, 'The capital of Austria is Vienna.');
    assert.deepEqual(outcome, { finish: 'stop', inputTokens: 11, outputTokens: 11 });
    assert.equal((await executor.probe(never))[0]?.warm, true);
  });

  it('bound: bytes of the texts that vectors are made of; a chat goes on beside long ones', async () => {
    const embedJob = (bytes: number) => ({
      ...{ kind: 'text.embed', model: 'aitbc-hash-256', params: [], maxOutputBytes: 1024 },
      parts: [{ role: '', mediaType: 'text/plain', data: new Uint8Array(bytes).fill(97) }],
    });
    await failsWith('BAD_JOB', runJob(executor, embedJob(16 * 1024 * 1024 + 1)));
    const stop = new AbortController();
    let isOver = false;
    const long = executor.run(embedJob(16 * 1024 * 1024), { signal: stop.signal, emit: () => Promise.resolve() });
    long.then(
      () => (isOver = true),
      () => (isOver = true),
    );
    assert.match((await runJob(executor, chatJob(MODEL, 'What is the capital of Austria?'))).text, /Vienna/);
    assert.equal(isOver, false, 'the chat did not wait');
    stop.abort();
    await failsWith('CANCELED', long);
  });

  it('offers models of the home by their chat template; says of the others why it does not', async () => {
    const models = (await executor.probe(never)).filter(({ kind }) => kind === 'llm.chat').map(({ model }) => model);
    assert.deepEqual(models, [MODEL, 'Other_1']);
    const skipped = log.map(({ context }) => (context as { path: string }).path.replace(`${folder}/`, ''));
    assert.deepEqual(new Set(skipped), new Set(['broken.gguf', 'two words.gguf', 'big-00001-of-00002.gguf']));
    const { text, outcome } = await runJob(executor, chatJob('Other_1', 'What is the capital of Austria?'));
    // The template's words and the user's are made tokens separately, which this model has not learnt to read.
    assert.ok(outcome.inputTokens !== null && outcome.inputTokens > 11 && text.length > 0);
  });

  it('bound: a prompt longer than the context is refused', async () => {
    await failsWith('BAD_JOB', runJob(executor, chatJob(MODEL, 'very '.repeat(300))), /tokens/);
    // A million bytes that would take long to be made tokens of.
    await failsWith('BAD_JOB', runJob(executor, chatJob(MODEL, '🌕'.repeat(250_000))), /1000000 bytes/);
  });

  it('bound: an answer ends where the context does', async () => {
    const prompt = `${STORY} ${'very '.repeat(46)}`;
    const { outcome } = await runJob(executor, chatJob(MODEL, prompt, { params: params({ max_tokens: '1000000' }) }));
    assert.ok((outcome.inputTokens ?? 0) + (outcome.outputTokens ?? 0) <= 256);
  });

  it('bound: of several models only so many stay loaded, and one at work is not unloaded', async () => {
    const busy = new PausedJob(executor, chatJob(MODEL, STORY));
    await busy.paused;
    await failsWith('BUSY', runJob(executor, chatJob('Other_1', STORY)));
    busy.release();
    await busy.done;
    await runJob(executor, chatJob('Other_1', STORY));
    const warm = (await executor.probe(never)).filter((offer) => offer.kind === 'llm.chat' && offer.warm);
    assert.deepEqual(
      warm.map(({ model }) => model),
      ['Other_1'],
    );
  });

  it('samples as the seed says', async () => {
    const sampled = async (seed: string): Promise<string> => {
      const wild = params({ temperature_milli: '2000', top_p_milli: '1000', seed });
      return (await runJob(executor, chatJob(MODEL, STORY, { params: wild }))).text;
    };
    assert.equal(await sampled('7'), await sampled('7'));
    const texts = new Set([await sampled('1'), await sampled('2'), await sampled('3'), await sampled('4')]);
    assert.ok(texts.size > 1);
  });

  it('runs several conversations at once, each as if alone', async () => {
    const questions = ['What is the capital of Austria?', 'What is the capital of France?', 'What is 2 plus 3?'];
    const alone = [];
    for (const question of questions) alone.push((await runJob(executor, chatJob(MODEL, question))).text);
    const together = await Promise.all(questions.map((question) => runJob(executor, chatJob(MODEL, question))));
    assert.deepEqual(
      together.map(({ text }) => text),
      alone,
    );
  });

  it('gives its child nothing of its environment', async () => {
    await runJob(executor, chatJob(MODEL, 'hello'));
    const [child] = await childrenOf(process.pid, 'child.');
    const environment = (await readFile(`/proc/${child ?? 0}/environ`, 'utf8')).split('\0').filter(Boolean);
    assert.deepEqual(
      environment.filter((variable) => !variable.startsWith('NODE_CHANNEL_')),
      [],
    );
  });

  it('survives a child that does not stop: it is killed, what else it did is retryable, another is started', async () => {
    const canceled = new PausedJob(executor, chatJob(MODEL, STORY));
    const other = new PausedJob(executor, chatJob(MODEL, STORY));
    await Promise.all([canceled.paused, other.paused]);
    const [child] = await childrenOf(process.pid, 'child.');
    assert.ok(child);
    process.kill(child, 'SIGSTOP');
    canceled.abort.abort();
    // Its slot is not free before it has gone.
    const third = executor.run(chatJob(MODEL, STORY), { signal: never, emit: () => Promise.resolve() });
    const failures = Promise.all([failsWith('CANCELED', canceled.done), failsWith('EXECUTOR', other.done, /ended/)]);
    const thirdFails = failsWith('EXECUTOR', third);
    await failsWith('BUSY', runJob(executor, chatJob(MODEL, STORY)));
    await Promise.all([failures, thirdFails]);
    assert.deepEqual(await childrenOf(process.pid, 'child.'), []);
    assert.match((await runJob(executor, chatJob(MODEL, 'What is the capital of Austria?'))).text, /Vienna/);
  });

  describe('as every back end', () => {
    chatConformance(() => Promise.resolve({ executor, model: MODEL, prompt: STORY, parallel: 3 }));
  });
});
