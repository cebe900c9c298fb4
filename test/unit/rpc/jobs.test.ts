import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { MAX_CONTENT_BYTES } from '../../../src/chain/market/content.ts';
import { receiptFromJson } from '../../../src/chain/market/receipt-json.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { JobEventResponse } from '../../../src/sdk/job-types.ts';
import { addressText } from '../../util/chain-fixture.ts';
import { memoryAccess } from '../../util/access.ts';
import { waitFor } from '../../util/wait.ts';
import { cliHere } from '../cli/in-process.ts';
import { ask, post } from './http.ts';
import type { JobWorld } from './job-world.ts';
import { KEYLESS_BUDGET, startJobWorld } from './job-world.ts';
import { TINY } from './scripted-coordinator.ts';
import { inlinePart } from '../../util/inline-part.ts';

const LIMIT = 1_000_000;

describe('jobs over RPC', () => {
  let world: JobWorld;

  beforeEach(async () => {
    world = await startJobWorld();
  });

  afterEach(async () => {
    await world.server.close();
    world.node.closing.abort();
    assert.equal(world.market.waiting, 0);
  });

  const submit = async (body: object = { prompt: 'Capital of Austria?' }, headers: Record<string, string> = {}) => {
    const answer = await post(world.url, '/v1/jobs', body, headers);
    assert.equal(answer.status, 201, answer.text);
    return answer.json as { job_id: string; state: string; stage: string };
  };

  /** What the coordinator was asked for last. */
  const asked = () => {
    const last = world.market.requests.at(-1);
    assert(last);
    return {
      ...last,
      parts: last.parts
        .map(inlinePart)
        .map(({ role, mediaType, data }) => [role, mediaType, Buffer.from(data).toString('utf8')]),
    };
  };

  it('take our own fields', async () => {
    const body = {
      ...{ kind: 'llm.chat', model: TINY, params: { max_tokens: 9, stop: ['a', 'b'] }, max_output_bytes: 2048 },
      ...{ messages: [{ role: 'user', content: 'Grüß Gott' }], max_price_uait: '5000', ttl_seconds: 60 },
    };
    const job = await submit(body);
    assert.equal(job.state, 'QUEUED');
    assert.equal(job.stage, 'submitted');
    const { parts, params, kind, model, maxOutputBytes, maxPriceUait, totalMs, owner } = asked();
    assert.deepEqual(parts, [['user', 'text/plain', 'Grüß Gott']]);
    assert.deepEqual(params, [
      { name: 'max_tokens', value: '9' },
      { name: 'stop', value: 'a' },
      { name: 'stop', value: 'b' },
    ]);
    assert.deepEqual(
      [kind, model, maxOutputBytes, maxPriceUait, totalMs, owner],
      ['llm.chat', TINY, 2048, 5000, 60_000, 'keyless'],
    );
  });

  it('take the body of the replaced system', async () => {
    await submit({
      payload: { type: 'inference', prompt: 'Hello', model: TINY, max_tokens: 5, temperature: 0.5 },
      constraints: { models: [TINY], max_price: 700, region: null },
      ttl_seconds: 30,
      payment_amount: 900,
      payment_currency: 'AITBC',
    });
    const { parts, params, kind, model, maxPriceUait } = asked();
    assert.deepEqual(parts, [['user', 'text/plain', 'Hello']]);
    assert.deepEqual(params, [
      { name: 'max_tokens', value: '5' },
      { name: 'temperature_milli', value: '500' },
    ]);
    assert.deepEqual([kind, model, maxPriceUait], ['llm.chat', TINY, 700]);
  });

  it('take bytes', async () => {
    const parts = [{ media_type: 'application/octet-stream', base64: 'AAH/' }];
    world.market.offered = [];
    await submit({ kind: 'wasm.run', parts });
    assert.deepEqual(world.market.requests[0]?.parts, [
      { role: '', mediaType: 'application/octet-stream', data: Uint8Array.of(0, 1, 255) },
    ]);
  });

  const refused: readonly (readonly [what: string, body: object, status: number, code: string])[] = [
    ['nothing to do', {}, 400, 'INVALID_PARAMS'],
    ['two prompts', { prompt: 'a', parts: [{ text: 'b' }] }, 400, 'INVALID_PARAMS'],
    ['a malformed part', { parts: [{ text: 'a', base64: 'AAAA' }] }, 400, 'INVALID_PARAMS'],
    ['a model given twice', { prompt: 'a', model: 'x', payload: { model: 'y' } }, 400, 'INVALID_PARAMS'],
    ['a constraint that nobody keeps', { prompt: 'a', constraints: { region: 'eu' } }, 400, 'INVALID_PARAMS'],
    ['an unknown field', { prompt: 'a', priority: 'high' }, 400, 'INVALID_PARAMS'],
    ['an unknown kind', { prompt: 'a', kind: 'image.paint' }, 404, 'NO_MODEL'],
    ['an unknown model', { prompt: 'a', model: 'gpt-9' }, 404, 'NO_MODEL'],
    ['a price below all offers', { prompt: 'a', max_price_uait: 100 }, 422, 'PRICE'],
    ['a price above the maximum of the node', { prompt: 'a', max_price_uait: LIMIT + 1 }, 422, 'PRICE'],
  ];
  for (const [what, body, status, code] of refused) {
    it(`refuse ${what}, and say what to do`, async () => {
      const answer = await post(world.url, '/v1/jobs', body);
      assert.equal(answer.json.code, code, answer.text);
      assert.equal(answer.status, status);
      assert(answer.json.hint !== undefined || answer.json.errors.length > 0);
      assert.equal(world.market.requests.length, 0);
      assert.equal(world.budgets.open().length, 0);
    });
  }

  it('list what is offered where a kind or model is not', async () => {
    const kind = await post(world.url, '/v1/jobs', { prompt: 'a', kind: 'image.paint' });
    assert.equal(kind.json.hint, 'kinds offered now: llm.chat, text.embed');
    const model = await post(world.url, '/v1/jobs', { prompt: 'a', model: 'gpt-9' });
    assert.equal(model.json.hint, `models offered now: ${TINY}`);
  });

  it(`bound: a prompt of ${MAX_CONTENT_BYTES} bytes with its encoding`, async () => {
    // Salt, counts, role and media type, lengths.
    const most = MAX_CONTENT_BYTES - 32 - 2 - 2 - 5 - 11 - 4;
    assert.equal((await post(world.url, '/v1/jobs', { prompt: 'x'.repeat(most) })).status, 201);
    const { status, json } = await post(world.url, '/v1/jobs', { prompt: 'x'.repeat(most + 1) });
    assert.deepEqual([status, json.code, json.data.limit], [413, 'TOO_LARGE', MAX_CONTENT_BYTES]);
    assert.match(json.hint, /shorten it/);
  });

  it('bound: 256 parts and 64 parameters', async () => {
    const parts = Array.from({ length: 257 }, () => ({ text: 'a' }));
    assert.equal((await post(world.url, '/v1/jobs', { parts })).json.code, 'TOO_LARGE');
    const params = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`p${i}`, 1]));
    assert.equal((await post(world.url, '/v1/jobs', { prompt: 'a', params })).json.code, 'TOO_LARGE');
  });

  it('wait where nothing is offered at all, and tell why', async () => {
    world.market.offered = [];
    world.market.reasons = [{ code: 'BUSY', count: 3, message: 'no free slot', hint: 'wait' }];
    const { job_id } = await submit({ prompt: 'a', kind: 'image.paint' });
    const { json } = await ask(world.url, `/v1/jobs/${job_id}/why`);
    assert.equal(json.state, 'QUEUED');
    assert.equal(json.summary, 'all miners are busy');
    assert.deepEqual(json.reasons, [{ code: 'BUSY', count: 3, message: 'no free slot', hint: 'wait' }]);
    assert.deepEqual(json.candidates, [{ miner: addressText('account-2'), score: 0.5, why: ['cheap'] }]);
  });

  it('tell state and stage, and what was done', async () => {
    const { job_id } = await submit();
    const id = fromHex(job_id);
    const view = async () => (await ask(world.url, `/v1/jobs/${job_id}`)).json;
    assert.deepEqual(
      await view().then(({ state, payment_status, assigned_miner_id }) => [state, payment_status, assigned_miner_id]),
      ['QUEUED', 'pending', null],
    );
    world.market.start(id);
    assert.deepEqual(
      await view().then(({ state, stage, payment_status, assigned_miner_id }) => [
        ...[state, stage, payment_status, assigned_miner_id],
      ]),
      ['RUNNING', 'running', 'escrowed', addressText('account-2')],
    );
    world.market.give(id, 'Vienna.');
    world.market.complete(id);
    const done = await view();
    assert.deepEqual(
      [done.state, done.payment_status, done.spent_uait, done.output_tokens, done.finish, done.error],
      ['COMPLETED', 'released', '145', 6, 'stop', null],
    );
  });

  it('give result and receipt once done, and 425 before', async () => {
    const { job_id } = await submit();
    const early = await ask(world.url, `/v1/jobs/${job_id}/result`);
    assert.deepEqual([early.status, early.json.code, early.json.data.state], [425, 'NOT_READY', 'QUEUED']);
    assert.equal((await ask(world.url, `/v1/jobs/${job_id}/receipt`)).status, 404);
    world.market.answer(fromHex(job_id), 'Vien', 'na.');
    const { json } = await ask(world.url, `/v1/jobs/${job_id}/result`);
    assert.deepEqual(json.result, {
      ...{ status: 'completed', output: 'Vienna.', output_base64: null, model: TINY },
      ...{ tokens_processed: 6, finish: 'stop' },
    });
    const { signed, id } = receiptFromJson(nativeCrypto, json.receipt);
    assert.equal(toHex(signed.receipt.job), job_id);
    for (const path of [`/v1/jobs/${job_id}/receipt`, `/v1/receipts/${job_id}`, `/v1/receipts/${toHex(id)}`]) {
      assert.deepEqual((await ask(world.url, path)).json, json.receipt, path);
    }
    assert.deepEqual((await ask(world.url, '/v1/receipts')).json, { items: [json.receipt], next_cursor: null });
    assert.deepEqual((await ask(world.url, `/v1/receipts?job_id=${job_id}`)).json.items.length, 1);
    assert.deepEqual((await ask(world.url, `/v1/receipts?job_id=${'00'.repeat(32)}`)).json.items, []);
  });

  it('give bytes that are no text in base64', async () => {
    const { job_id } = await submit();
    world.market.answer(fromHex(job_id), Uint8Array.of(0xff, 0, 1));
    const { json } = await ask(world.url, `/v1/jobs/${job_id}/result`);
    assert.deepEqual([json.result.output, json.result.output_base64], [null, '/wAB']);
  });

  it('say why a job has no result when it failed', async () => {
    const { job_id } = await submit();
    world.market.start(fromHex(job_id));
    world.market.fail(fromHex(job_id), { code: 'EXECUTOR', message: 'the model fell over' });
    const { status, json, headers } = await ask(world.url, `/v1/jobs/${job_id}/result`);
    assert.deepEqual([status, json.code, json.data.code], [502, 'JOB_FAILED', 'EXECUTOR']);
    assert.match(json.detail, /the model fell over/);
    assert.equal(headers['x-should-retry'], 'false');
    const view = (await ask(world.url, `/v1/jobs/${job_id}`)).json;
    assert.deepEqual([view.state, view.error, view.error_code], ['FAILED', 'the model fell over', 'EXECUTOR']);
  });

  it('are the same job under the same Idempotency-Key, and another request under it is refused', async () => {
    const headers = { 'idempotency-key': 'k1' };
    const answers = await Promise.all([1, 2, 3].map(() => submit({ prompt: 'a' }, headers)));
    assert.equal(new Set(answers.map(({ job_id }) => job_id)).size, 1);
    assert.equal(world.market.requests.length, 1);
    assert.equal(world.budgets.open().length, 1);
    const { status, json } = await post(world.url, '/v1/jobs', { prompt: 'b' }, headers);
    assert.deepEqual([status, json.code], [422, 'IDEMPOTENCY_MISMATCH']);
    await submit({ prompt: 'a' }, { ...headers, authorization: `Bearer ${world.carol}` });
    assert.equal(world.market.requests.length, 2);
    for (const key of ['~x', 'x'.repeat(65), 'a b']) {
      assert.equal((await post(world.url, '/v1/jobs', { prompt: 'a' }, { 'idempotency-key': key })).status, 400);
    }
  });

  it('are canceled by DELETE and by POST, once', async () => {
    for (const [method, path] of [
      ['DELETE', ''],
      ['POST', '/cancel'],
    ] as const) {
      const { job_id } = await submit();
      const first = await ask(world.url, `/v1/jobs/${job_id}${path}`, { method });
      assert.deepEqual([first.status, first.json.state], [200, 'CANCELED']);
      const second = await ask(world.url, `/v1/jobs/${job_id}${path}`, { method });
      assert.deepEqual([second.status, second.json.code], [409, 'CONFLICT']);
    }
  });

  it('are seen with the key that submitted them alone', async () => {
    const { job_id } = await submit();
    world.market.answer(fromHex(job_id), 'Vienna.');
    const headers = { authorization: `Bearer ${world.carol}` };
    for (const path of ['', '/result', '/events', '/receipt', '/proof', '/why']) {
      const { status, json } = await ask(world.url, `/v1/jobs/${job_id}${path}`, { headers });
      assert.deepEqual([status, json.detail], [404, 'there is no such job'], path);
    }
    for (const method of ['DELETE', 'POST']) {
      const path = method === 'POST' ? '/cancel' : '';
      assert.equal((await ask(world.url, `/v1/jobs/${job_id}${path}`, { method, headers })).status, 404);
    }
    assert.equal((await ask(world.url, `/v1/receipts/${job_id}`, { headers })).status, 404);
    assert.deepEqual((await ask(world.url, '/v1/jobs', { headers })).json.items, []);
    assert.deepEqual((await ask(world.url, '/v1/receipts', { headers })).json.items, []);
  });

  it('need a key where nobody else pays, and one that is for jobs', async () => {
    const other = await startJobWorld({ keylessBudgetUait: 0 });
    try {
      assert.equal((await post(other.url, '/v1/jobs', { prompt: 'a' })).json.code, 'UNAUTHENTICATED');
      assert.equal((await ask(other.url, '/v1/jobs')).status, 401);
      const headers = { authorization: `Bearer ${other.carol}` };
      assert.equal((await post(other.url, '/v1/jobs', { prompt: 'a' }, headers)).status, 201);
      // A stranger has no budget of this machine.
      const behind = { 'x-forwarded-for': '203.0.113.5' };
      assert.equal((await post(world.url, '/v1/jobs', { prompt: 'a' }, behind)).status, 401);
    } finally {
      other.node.closing.abort();
      await other.server.close();
    }
  });

  it('are done by no node without a wallet, which says how to get there', async () => {
    world.node.jobs = null;
    const { status, json } = await post(world.url, '/v1/jobs', { prompt: 'a' });
    assert.deepEqual([status, json.code], [403, 'METHOD_DISABLED']);
    assert.match(json.hint, /market\.wallet/);
  });

  describe('budgets', () => {
    const standing = () => {
      const { spentUait, reservedUait } = world.budgets.standing('keyless');
      return [spentUait, reservedUait];
    };

    it('are set aside before work, and settled with what it cost', async () => {
      const { job_id } = await submit({ prompt: 'a', max_price_uait: 5000 });
      assert.deepEqual(standing(), [0, 5000]);
      world.market.answer(fromHex(job_id), 'Vienna.');
      await waitFor('the settlement', () => world.budgets.open().length === 0);
      assert.deepEqual(standing(), [145, 0]);
    });

    it('that are spent leave nothing done', async () => {
      const headers = { 'x-api-key': world.bob };
      const { status, json } = await post(world.url, '/v1/jobs', { prompt: 'a', max_price_uait: 501 }, headers);
      assert.deepEqual([status, json.code], [402, 'BUDGET_SPENT']);
      assert.equal(world.market.requests.length, 0);
    });

    it('pay for the agreements that their jobs open, too', async () => {
      world.market.options = { ...world.market.options, maxFeesUait: 100 };
      const headers = { 'x-api-key': world.bob };
      const refused = await post(world.url, '/v1/jobs', { prompt: 'a', max_price_uait: 401 }, headers);
      assert.deepEqual([refused.status, refused.json.code], [402, 'BUDGET_SPENT']);
      const { job_id } = await submit({ prompt: 'a', max_price_uait: 5000 });
      assert.deepEqual(standing(), [0, 5100]);
      world.market.start(fromHex(job_id));
      world.market.complete(fromHex(job_id), { feesUait: 25 });
      await waitFor('the settlement', () => world.budgets.open().length === 0);
      assert.deepEqual(standing(), [170, 0]);
    });

    it('get back what a job that was not taken would have cost', async () => {
      world.market.fault = new NodeError('BUSY', 'too many jobs');
      assert.equal((await post(world.url, '/v1/jobs', { prompt: 'a' })).json.code, 'BUSY');
      assert.equal(world.budgets.open().length, 0);
    });

    it('are settled by the next start where the last one did not come to it', async () => {
      const access = memoryAccess({ keylessBudgetUait: KEYLESS_BUDGET });
      const before = await startJobWorld({ access });
      const send = async (key: string) => {
        const { json } = await post(before.url, '/v1/jobs', { prompt: key }, { 'idempotency-key': key });
        return fromHex(json.job_id);
      };
      const done = await send('done');
      await send('open');
      for (const chain of ['ait-devnet', 'ait-testnet']) {
        const reference = `${chain}/keyless/never-submitted`;
        await access.budgets.reserve({ kind: 'keyless' }, 700, { model: null, reference });
      }
      // The chain stops, and what was waited for is done meanwhile.
      before.node.closing.abort();
      await before.server.close();
      before.market.answer(done, 'Vienna.');
      assert.equal(access.budgets.open().length, 4);
      const { market } = before;
      world.node.jobs = null;
      const restarted = await startJobWorld({ access: { ...access, keys: memoryAccess().keys } });
      try {
        restarted.node.jobs = { coordinator: market, options: market.options };
        await ask(restarted.url, '/v1/jobs');
        await waitFor('the settlement', () => access.budgets.open().length === 2);
        const references = access.budgets.open().map(({ reference }) => reference);
        assert.deepEqual(references, ['ait-devnet/keyless/open', 'ait-testnet/keyless/never-submitted']);
        assert.equal(access.budgets.standing('keyless').spentUait, 145);
      } finally {
        restarted.node.closing.abort();
        await restarted.server.close();
      }
    });
  });

  describe('lists', () => {
    it('come in pages, newest first', async () => {
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.unshift((await submit({ prompt: String(i) })).job_id);
      world.market.answer(fromHex(ids[1] ?? ''), 'Vienna.');
      const page = async (query: string) => (await ask(world.url, `/v1/jobs${query}`)).json;
      const shown = ({ items }: { items: { job_id: string }[] }) => items.map(({ job_id }) => ids.indexOf(job_id));
      const first = await page('?limit=2');
      assert.deepEqual([shown(first), first.total, first.limit, first.offset], [[0, 1], null, 2, 0]);
      const second = await page(`?limit=2&cursor=${first.next_cursor}`);
      assert.deepEqual(shown(second), [2, 3]);
      const last = await page(`?limit=2&cursor=${second.next_cursor}`);
      assert.deepEqual([shown(last), last.next_cursor], [[4], null]);
      assert.deepEqual(shown(await page('?limit=2&offset=3')), [3, 4]);
      assert.deepEqual(shown(await page('?status=COMPLETED')), [1]);
      assert.deepEqual(shown(await page('?status=QUEUED&limit=3')), [0, 2, 3]);
    });

    it('bound: 1,000 jobs looked at for one page', async () => {
      const { jobs } = world.market;
      const limits: number[] = [];
      world.market.jobs = (page) => {
        limits.push(page.limit);
        return jobs.call(world.market, page);
      };
      await submit();
      await ask(world.url, '/v1/jobs?status=FAILED');
      assert.deepEqual(limits, [1000]);
    });
  });

  describe('events', () => {
    const open = async (id: string, headers: Record<string, string> = {}) => {
      const sent = request(`${world.url}/v1/jobs/${id}/events`, { agent: false, headers });
      sent.on('error', () => undefined);
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let text = '';
      let isEnded = false;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('close', () => (isEnded = true));
      return { sent, response, text: () => text, isEnded: () => isEnded };
    };

    it('are read by the client and the command line, until the job has ended', async () => {
      const { job_id } = await submit();
      world.market.start(fromHex(job_id));
      const read = cliHere(['job', 'logs', job_id, '--node', '--rpc', world.url, '--json'], {});
      await waitFor('a reader', () => world.market.waiting > 0);
      world.market.fail(fromHex(job_id), { code: 'EXECUTOR', message: 'it fell over' });
      const { code, json, stderr } = await read;
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        json.map(({ sequence, stage, error_code }: JobEventResponse) => [sequence, stage, error_code]),
        [
          [1, 'submitted', null],
          [2, 'running', null],
          [3, 'failed', 'EXECUTOR'],
        ],
      );
      const unknown = await cliHere(['job', 'logs', '0'.repeat(64), '--node', '--rpc', world.url], {});
      assert.equal(unknown.code, 4);
      const client = createClient({ url: world.url });
      await assert.rejects(
        async () => {
          for await (const event of client.jobEvents('0'.repeat(64))) assert.fail(event.stage);
        },
        { code: 'NOT_FOUND' },
      );
    });

    it('tell each state, and end with the job', async () => {
      const { job_id } = await submit();
      const stream = await open(job_id);
      assert.match(String(stream.response.headers['content-type']), /^text\/event-stream/);
      assert.equal(stream.response.headers['x-accel-buffering'], 'no');
      world.market.start(fromHex(job_id));
      world.market.fail(fromHex(job_id), { code: 'EXECUTOR', message: 'it fell over' });
      await waitFor('the end of the stream', stream.isEnded);
      const events = [...stream.text().matchAll(/^event: state\nid: (\d+)\ndata: (.*)$/gm)];
      assert.deepEqual(
        events.map(([, id, data = '']) => [Number(id), JSON.parse(data).state, JSON.parse(data).stage]),
        [
          [1, 'QUEUED', 'submitted'],
          [2, 'RUNNING', 'running'],
          [3, 'FAILED', 'failed'],
        ],
      );
      assert.equal(JSON.parse(events[2]?.[2] ?? '').error_code, 'EXECUTOR');
    });

    it('go on after Last-Event-ID', async () => {
      const { job_id } = await submit();
      world.market.answer(fromHex(job_id), 'a');
      const stream = await open(job_id, { 'last-event-id': '2' });
      await waitFor('the end of the stream', stream.isEnded);
      assert.deepEqual(
        [...stream.text().matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
        ['3'],
      );
      const refused = await ask(world.url, `/v1/jobs/${job_id}/events`, { headers: { 'last-event-id': 'x' } });
      assert.equal(refused.status, 400);
    });

    it('leave the job alone when their reader goes', async () => {
      const { job_id } = await submit();
      const stream = await open(job_id);
      await waitFor('the reader', () => world.market.waiting === 2);
      stream.sent.destroy();
      // The settling of the budget waits on.
      await waitFor('the reader to be gone', () => world.market.waiting === 1);
      assert.deepEqual(world.market.canceled, []);
      world.market.answer(fromHex(job_id), 'a');
    });
  });
});
