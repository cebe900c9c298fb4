/** What every back end that chats must do, whatever stands behind it. */
import assert from 'node:assert/strict';
import type { Executor } from '../../src/compute/executors/executor.ts';
import { chatJob, failsWith, never, params, PausedJob, runJob, textPart } from './executor-jobs.ts';

export interface ConformanceSubject {
  readonly executor: Executor;
  readonly model: string;
  /** Answered in at least five pieces and 40 bytes, the same each time. */
  readonly prompt: string;
  /** Jobs at once. */
  readonly parallel: number;
}

export function chatConformance(make: () => Promise<ConformanceSubject>): void {
  let subject: ConformanceSubject;
  let executor: Executor;

  const job = (...args: [more?: Parameters<typeof chatJob>[2]]) => chatJob(subject.model, subject.prompt, ...args);

  before(async () => {
    subject = await make();
    executor = subject.executor;
  });

  after(async () => {
    await executor.close();
    await executor.close();
    await failsWith('EXECUTOR', runJob(executor, job()), /closed/);
  });

  it('tells what it can do', async () => {
    const found = (await executor.probe(never)).find(({ model }) => model === subject.model);
    assert.ok(found);
    assert.equal(found.kind, 'llm.chat');
    assert.equal(found.streams, true);
    assert.ok(found.digest === null || found.digest.length === 32);
    assert.ok(found.contextTokens === null || found.contextTokens > 0);
  });

  it('prepares a model, and knows which it does not have', async () => {
    await executor.prepare('llm.chat', subject.model, never);
    await failsWith('NO_MODEL', executor.prepare('llm.chat', 'no-such-model', never));
    await failsWith('NO_MODEL', executor.prepare('image.draw', subject.model, never));
    await failsWith('NO_MODEL', runJob(executor, chatJob('no-such-model', 'hello')));
    await failsWith('NO_MODEL', runJob(executor, job({ kind: 'image.draw' })));
  });

  it('answers in pieces of whole characters', async () => {
    const { outcome, pieces, text } = await runJob(executor, job());
    assert.equal(outcome.finish, 'stop');
    assert.ok(pieces.length >= 5 && text.length >= 40, text);
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for (const piece of pieces) decoder.decode(piece);
  });

  it('waits while a piece is not taken, and goes on afterwards', async () => {
    const paused = new PausedJob(executor, job());
    await paused.paused;
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(paused.pieces, 1);
    paused.release();
    assert.equal((await paused.done).finish, 'stop');
    assert.ok(paused.pieces >= 5);
  });

  it('stops when it is canceled: before, between pieces, while a piece waits; its slot is free again', async () => {
    await failsWith('CANCELED', runJob(executor, job(), AbortSignal.abort()));
    for (let round = 0; round <= subject.parallel; round++) {
      const paused = new PausedJob(executor, job());
      await paused.paused;
      paused.abort.abort();
      await failsWith('CANCELED', paused.done);
      assert.equal(paused.pieces, 1);
    }
    const between = new AbortController();
    let pieces = 0;
    const running = executor.run(job(), {
      signal: between.signal,
      emit: () => {
        pieces += 1;
        if (pieces === 2)
          setImmediate(() => {
            between.abort();
          });
        return new Promise((resolve) => setTimeout(resolve, 5));
      },
    });
    await failsWith('CANCELED', running);
    assert.equal((await runJob(executor, job())).outcome.finish, 'stop');
  });

  it('fails as its receiver fails, and stops', async () => {
    const failure = new Error('no more room');
    let pieces = 0;
    const emit = (): Promise<void> => {
      pieces += 1;
      return Promise.reject(failure);
    };
    await assert.rejects(executor.run(job(), { signal: never, emit }), failure);
    assert.equal(pieces, 1);
  });

  it('bound: output ends at the limit of bytes, between characters', async () => {
    const whole = (await runJob(executor, job())).bytes;
    for (const maxOutputBytes of [1, 7, whole.length - 1]) {
      const { outcome, bytes } = await runJob(executor, job({ maxOutputBytes }));
      assert.equal(outcome.finish, 'length');
      assert.ok(bytes.length <= maxOutputBytes);
      assert.deepEqual(bytes, whole.subarray(0, bytes.length));
    }
    const exact = await runJob(executor, job({ maxOutputBytes: whole.length }));
    assert.deepEqual([exact.outcome.finish, exact.bytes], ['stop', whole]);
  });

  it('ends before a text to stop at', async () => {
    const { text } = await runJob(executor, job());
    const stop = text.slice(20, 26);
    const stopped = await runJob(executor, job({ params: params({ stop: ['never said', stop] }) }));
    assert.deepEqual([stopped.outcome.finish, stopped.text], ['stop', text.slice(0, text.indexOf(stop))]);
  });

  it('ends at the limit of tokens', async () => {
    const { outcome, text } = await runJob(
      executor,
      job({ params: params({ max_tokens: '3', temperature_milli: '0' }) }),
    );
    assert.equal(outcome.finish, 'length');
    assert.ok(text.length > 0 && text.length < 40, text);
  });

  it('refuses what is not a chat', async () => {
    const utf16 = { role: 'user', mediaType: 'text/plain', data: Uint8Array.of(0xff, 0xfe, 0x41) };
    const wrong: Parameters<typeof chatJob>[2][] = [
      { parts: [] },
      { parts: [textPart('be kind', 'system')] },
      { parts: [textPart('hello', 'wizard')] },
      { parts: [utf16] },
      { parts: [{ ...textPart('hello'), mediaType: 'image/png' }] },
      { params: params({ max_tokens: '0' }) },
      { params: params({ max_tokens: 'many' }) },
      { params: params({ temperature_milli: '2001' }) },
      { params: params({ temperature_milli: '0.5' }) },
      { params: params({ top_p_milli: '1001' }) },
      { params: params({ seed: '4294967296' }) },
      { params: params({ stop: '' }) },
      { params: params({ stop: 'x'.repeat(257) }) },
      { params: params({ stop: Array.from({ length: 17 }, String) }) },
      { params: params({ voice: 'deep' }) },
    ];
    for (const more of wrong) await failsWith('BAD_JOB', runJob(executor, job(more)));
  });

  it('bound: jobs beyond its slots are told that it is busy', async () => {
    const paused = Array.from({ length: subject.parallel }, () => new PausedJob(executor, job()));
    await Promise.all(paused.map((one) => one.paused));
    await failsWith('BUSY', runJob(executor, job()));
    for (const one of paused) one.release();
    for (const one of paused) assert.equal((await one.done).finish, 'stop');
    assert.equal((await runJob(executor, job())).outcome.finish, 'stop');
  });
}
