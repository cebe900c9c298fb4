import assert from 'node:assert/strict';
import type { Capability, Executor } from '../../../../src/compute/executors/executor.ts';
import { createExecutors } from '../../../../src/compute/executors/registry.ts';
import { NodeError } from '../../../../src/errors.ts';
import { chatJob, failsWith, never, runJob } from '../../../util/executor-jobs.ts';

function chat(model: string, tag: string): Capability {
  const rest = { digest: null, contextTokens: null, streams: true, deterministic: false, warm: true };
  return { kind: 'llm.chat', model, tags: [tag], ...rest };
}

/** Says its own name to every job. */
class Parrot implements Executor {
  readonly id: string;
  offers: readonly Capability[] | NodeError;
  prepared: string[] = [];
  closed = 0;

  constructor(id: string, offers: readonly Capability[] | NodeError) {
    this.id = id;
    this.offers = offers;
  }

  probe(): Promise<readonly Capability[]> {
    return this.offers instanceof NodeError ? Promise.reject(this.offers) : Promise.resolve(this.offers);
  }

  prepare(kind: string, model: string): Promise<void> {
    this.prepared.push(`${kind} ${model}`);
    return Promise.resolve();
  }

  async run(_: unknown, io: { emit(bytes: Uint8Array): Promise<void> }): ReturnType<Executor['run']> {
    await io.emit(new TextEncoder().encode(this.id));
    return { finish: 'stop', inputTokens: null, outputTokens: null };
  }

  close(): Promise<void> {
    this.closed += 1;
    return Promise.resolve();
  }
}

describe('several back ends as one', () => {
  it('routes to the first that offers a kind and model', async () => {
    const first = new Parrot('first', [chat('a', '1')]);
    const second = new Parrot('second', [chat('a', '2'), chat('b', '2')]);
    const executors = createExecutors({ executors: [first, second] });
    await failsWith('NO_MODEL', runJob({ ...executors, id: '', probe: () => first.probe() }, chatJob('a', 'hello')));
    const { capabilities, failures } = await executors.probe(never);
    assert.deepEqual(
      capabilities.map(({ model, tags, executor }) => [model, tags[0], executor]),
      [
        ['a', '1', 'first'],
        ['b', '2', 'second'],
      ],
    );
    assert.deepEqual(failures, []);
    const said = async (model: string): Promise<string> =>
      (await runJob({ ...executors, id: '', probe: () => first.probe() }, chatJob(model, 'hello'))).text;
    assert.deepEqual([await said('a'), await said('b')], ['first', 'second']);
    await executors.prepare('llm.chat', 'b', never);
    assert.deepEqual([first.prepared, second.prepared], [[], ['llm.chat b']]);
    await failsWith('NO_MODEL', executors.prepare('text.embed', 'b', never));
    await executors.close();
    assert.deepEqual([first.closed, second.closed], [1, 1]);
  });

  it('goes on without one that is not there, and with it when it comes back', async () => {
    const away = new Parrot('away', new NodeError('UNREACHABLE', 'nobody answers'));
    const here = new Parrot('here', [chat('a', '1')]);
    const executors = createExecutors({ executors: [away, here] });
    const report = await executors.probe(never);
    assert.deepEqual(
      report.failures.map(({ executor, error }) => [executor, error.code]),
      [['away', 'UNREACHABLE']],
    );
    assert.deepEqual(
      report.capabilities.map(({ executor }) => executor),
      ['here'],
    );
    away.offers = [chat('a', '1')];
    assert.deepEqual(
      (await executors.probe(never)).capabilities.map(({ executor }) => executor),
      ['away'],
    );
    away.offers = new NodeError('UNREACHABLE', 'gone again');
    assert.deepEqual(
      (await executors.probe(never)).capabilities.map(({ executor }) => executor),
      ['here'],
    );
  });
});
