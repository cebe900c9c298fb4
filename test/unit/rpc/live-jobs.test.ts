import assert from 'node:assert/strict';
import type { NodeError } from '../../../src/errors.ts';
import type { Live } from '../../../src/sdk/live.ts';
import { connectLive } from '../../../src/sdk/live.ts';
import { waitFor } from '../../util/wait.ts';
import { ask } from './http.ts';
import type { JobWorld } from './job-world.ts';
import { startJobWorld } from './job-world.ts';

describe('the topic jobs', () => {
  let world: JobWorld;
  let open: Live[];

  beforeEach(async () => {
    world = await startJobWorld();
    open = [];
  });

  afterEach(async () => {
    for (const live of open) live.close();
    await world.server.close();
    assert.equal(world.market.waiting, 0);
  });

  const submit = (apiKey: string): Promise<{ readonly status: number }> =>
    ask(world.url, '/v1/jobs', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ prompt: 'hello', max_price_uait: 400 }),
    });

  function listen(apiKey?: string): { readonly seen: string[]; readonly errors: NodeError[] } {
    const live = connectLive({ url: world.url, ...(apiKey !== undefined && { apiKey }) });
    open.push(live);
    const told: { seen: string[]; errors: NodeError[] } = { seen: [], errors: [] };
    live.subscribe('jobs', {
      onSnapshot: ({ jobs }) => told.seen.push(`${jobs.length} jobs`),
      onEvent: ({ stage, spent_uait }, { height }) => told.seen.push(`${stage} ${spent_uait} ${height}`),
      onError: (error) => told.errors.push(error),
    });
    return told;
  }

  it('tells those of the key that subscribes, and of no other', async () => {
    assert.equal((await submit(world.bob)).status, 201);
    const [bob, carol] = [listen(world.bob), listen(world.carol)];
    await waitFor('both', () => bob.seen.length === 1 && carol.seen.length === 1);
    assert.deepEqual([bob.seen, carol.seen], [['1 jobs'], ['0 jobs']]);
    world.market.start(world.market.last.id);
    await waitFor('it runs', () => bob.seen.length === 2);
    world.market.complete(world.market.last.id);
    await waitFor('it has ended', () => bob.seen.length === 3);
    assert.equal((await submit(world.carol)).status, 201);
    await waitFor('one of carol', () => carol.seen.length === 2);
    world.market.fail(world.market.last.id, { code: 'NO_MINER', message: 'nobody' });
    await waitFor('its end', () => carol.seen.length === 3);
    assert.deepEqual(bob.seen, ['1 jobs', 'running 0 null', 'completed 145 null']);
    assert.deepEqual(carol.seen, ['0 jobs', 'submitted 0 null', 'failed 0 null']);
  });

  it('is refused as /v1/jobs is: on a node without a wallet', async () => {
    world.node.jobs = null;
    const { errors } = listen(world.bob);
    await waitFor('the refusal', () => errors.length === 1);
    assert.equal(errors[0]?.code, 'METHOD_DISABLED');
    const { status, json } = await ask(world.url, '/v1/stream?topics=jobs');
    assert.deepEqual([status, json.code], [403, 'METHOD_DISABLED']);
  });
});
