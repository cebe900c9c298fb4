import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { systemClock } from '../../../src/clock.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { createRegister } from '../../../src/metrics.ts';
import type { ApiKeyRequest } from '../../../src/rpc/access/api-keys.ts';
import { newKey } from '../../../src/rpc/access/key-text.ts';
import { presentedKey } from '../../../src/rpc/access/presented.ts';
import type { Principal } from '../../../src/rpc/access/principal.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { createClient } from '../../../src/sdk/client.ts';
import { connectLive } from '../../../src/sdk/live.ts';
import { manualClock } from '../../net/manual-clock.ts';
import type { MemoryAccessOptions } from '../../util/access.ts';
import { memoryAccess } from '../../util/access.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, post } from './http.ts';

const KEY: ApiKeyRequest = {
  ...{ name: 'shop', scopes: ['read', 'submit'], requestsPerMinute: null, budgetPerDayUait: null, models: null },
  expiresInMs: null,
};
const JOBS: ApiKeyRequest = { ...KEY, scopes: ['jobs'], budgetPerDayUait: 500 };
const LOCAL: Principal = { kind: 'anonymous', isLocal: true };
const codeOf = async (act: () => unknown): Promise<string> => {
  try {
    await act();
  } catch (error) {
    assert(isNodeError(error) && error.hint !== undefined, String(error));
    return error.code;
  }
  return 'none';
};

describe('API keys', () => {
  const made = (options?: MemoryAccessOptions) => {
    const clock = manualClock();
    return { clock, ...memoryAccess({ clock, ...options }) };
  };

  it('are taken as they were told once; what is kept does not give them back', async () => {
    const { access, keys } = made();
    const { text, record } = await keys.create(KEY);
    assert.match(text, /^aitbc_k[0-9a-f]{12}_[0-9a-f]{64}$/);
    assert(!JSON.stringify(keys.list()).includes(text.slice(-64)));
    const principal = access.authenticate(text);
    assert.deepEqual([principal.kind, principal.id], ['key', record.id]);
    const other = newKey('k').text;
    const wrong = [other, `aitbc_${record.id}_${other.slice(-64)}`, `${text}0`, 'aitbc_', text.toUpperCase()];
    for (const given of wrong) assert.equal(await codeOf(() => access.authenticate(given)), 'UNAUTHENTICATED');
  });

  it('end when they expire or are revoked, for what they opened too', async () => {
    const { clock, access, keys } = made();
    const expiring = await keys.create({ ...KEY, expiresInMs: 1000 });
    const revoked = await keys.create({ ...KEY, name: 'other' });
    const principals = [expiring.text, revoked.text].map((text) => access.authenticate(text));
    assert.deepEqual(
      principals.map((principal) => access.isGood(principal)),
      [true, true],
    );
    clock.advance(1000);
    await keys.revoke(revoked.record.id);
    assert.deepEqual(
      principals.map((principal) => access.isGood(principal)),
      [false, false],
    );
    assert.throws(() => access.authenticate(expiring.text), /expired at/);
    assert.throws(() => access.authenticate(revoked.text), /was revoked/);
    assert.deepEqual(
      keys.list().map(({ state }) => state),
      ['expired', 'revoked'],
    );
  });

  it('have a budget with the scope jobs, and none without', async () => {
    const { keys } = made();
    assert.equal(await codeOf(() => keys.create({ ...JOBS, budgetPerDayUait: null })), 'INVALID_PARAMS');
    assert.equal(await codeOf(() => keys.create({ ...KEY, budgetPerDayUait: 5 })), 'INVALID_PARAMS');
  });

  it('are found in the headers that clients have; other credentials are passed over', async () => {
    const { text } = newKey('k');
    for (const headers of [
      { authorization: `Bearer ${text}` },
      { authorization: `bearer  ${text}` },
      { 'x-api-key': text },
      { 'x-api-key': text, authorization: 'Basic abc' },
      { 'sec-websocket-protocol': `aitbc.v1, aitbc.key.${text}` },
      { 'x-api-key': text, authorization: `Bearer ${text}` },
    ]) {
      assert.equal(presentedKey(headers), text);
    }
    for (const headers of [{}, { authorization: 'Bearer ollama' }, { 'x-api-key': 'sk-1' }, { authorization: text }]) {
      assert.equal(presentedKey(headers), null);
    }
    const two = { 'x-api-key': text, authorization: `Bearer ${newKey('k').text}` };
    assert.equal(await codeOf(() => presentedKey(two)), 'UNAUTHENTICATED');
  });

  it('let jobs be done for who has one; without, for this machine on chains of development alone', async () => {
    const { access, keys } = made();
    const jobs = access.authenticate((await keys.create(JOBS)).text);
    const reader = access.authenticate((await keys.create({ ...KEY, name: 'reader' })).text);
    assert.equal(access.authorise(jobs, 'jobs', 'ait-mainnet').kind, 'key');
    assert.equal(access.authorise(LOCAL, 'jobs', 'ait-devnet').kind, 'keyless');
    assert.equal(await codeOf(() => access.authorise(reader, 'jobs', 'ait-devnet')), 'FORBIDDEN');
    for (const [principal, chainId, how] of [
      [LOCAL, 'ait-testnet', access],
      [{ kind: 'anonymous', isLocal: false }, 'ait-devnet', access],
      [LOCAL, 'ait-devnet', made({ keylessBudgetUait: 0 }).access],
      [LOCAL, 'ait-devnet', made({ requireApiKey: true }).access],
    ] as const) {
      assert.equal(await codeOf(() => how.authorise(principal, 'jobs', chainId)), 'UNAUTHENTICATED');
    }
  });

  it('spend their own budget for the models that they are for; those without a key share one', async () => {
    const { access, keys, budgets } = made({ keylessBudgetUait: 100 });
    const { text, record } = await keys.create({ ...JOBS, models: ['tiny'] });
    const shop = access.authorise(access.authenticate(text), 'jobs', 'ait-devnet');
    const keyless = access.authorise(LOCAL, 'jobs', 'ait-devnet');
    const work = { model: 'tiny', reference: 'job-1' };
    const reserved = await budgets.reserve(shop, 400, work);
    assert.equal(await codeOf(() => budgets.reserve(shop, 101, work)), 'BUDGET_SPENT');
    for (const model of ['large', null]) {
      assert.equal(await codeOf(() => budgets.reserve(shop, 1, { ...work, model })), 'FORBIDDEN');
    }
    assert.deepEqual(budgets.open(), [reserved]);
    budgets.settle(reserved, 150);
    const { standing } = keys.list().find((key) => key.record.id === record.id) ?? {};
    assert.deepEqual([standing?.spentUait, standing?.reservedUait], [150, 0]);
    budgets.release(await budgets.reserve(keyless, 100, { ...work, model: 'large' }));
    assert.equal(await codeOf(() => budgets.reserve(keyless, 101, work)), 'BUDGET_SPENT');
    const login: Principal = { kind: 'session', id: 's1', address: 'ait1x', chainId: 'ait-devnet', scopes: ['jobs'] };
    assert.equal(await codeOf(() => budgets.reserve(login, 1, work)), 'FORBIDDEN');
  });
});

describe('a server with API keys', () => {
  let node: FakeNode;
  let server: RpcServer | null = null;

  const start = async (options: MemoryAccessOptions = {}, rates = { read: 0, heavy: 0, write: 0 }) => {
    node = new FakeNode();
    node.produce([]);
    const made = memoryAccess(options);
    const metrics = await createRegister({});
    const listen = { host: '127.0.0.1', port: 0 };
    const { access } = made;
    const clock = options.clock ?? systemClock;
    const modules = { api: fakeNode(node), log: nopLogger, access, metrics, clock };
    server = await startRpcServer({ listen, trustedProxies: ['127.0.0.1'], rates }, modules);
    return { ...made, url: server.url, metrics };
  };
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
  const transfer = () => {
    const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    return { tx: toHex(tx.bytes) };
  };

  afterEach(async () => {
    await server?.close();
    server = null;
  });

  it('answers reads and takes transactions without one, unless it is told to ask for one', async () => {
    const { url, keys } = await start();
    assert.equal((await ask(url, '/rpc/head', { headers: { authorization: 'Bearer ollama' } })).status, 200);
    assert.equal((await post(url, '/rpc/transactions', transfer())).status, 200);
    const { text } = await keys.create({ ...KEY, scopes: ['read'] });
    assert.equal((await ask(url, '/rpc/head', { headers: bearer(text) })).status, 200);
    const refused = await post(url, '/rpc/transactions', transfer(), bearer(text));
    assert.deepEqual([refused.status, refused.json.code, refused.json.data.scope], [403, 'FORBIDDEN', 'submit']);
    const wrong = await ask(url, '/rpc/head', { headers: bearer(newKey('k').text) });
    assert.deepEqual([wrong.status, wrong.json.code], [401, 'UNAUTHENTICATED']);
    assert.equal(wrong.headers['www-authenticate'], 'Bearer realm="aitbc"');
    assert.match(wrong.json.hint, /aitbc key create/);
  });

  it('asks everybody for one where it shall, but for health and documents', async () => {
    const { url, keys, metrics } = await start({ requireApiKey: true });
    for (const path of ['/livez', '/readyz', '/health', '/v1/health', '/openapi.json', '/docs']) {
      assert.equal((await ask(url, path)).status, 200, path);
    }
    for (const path of ['/rpc/head', '/net_info', '/api/chains', '/v1/stream?topics=blocks']) {
      assert.equal((await ask(url, path)).status, 401, path);
    }
    assert.equal((await ask(url, '/rpc/head', { method: 'HEAD' })).status, 401);
    for (const path of ['/rpc', '/rpc/transactions', '/rpc/sendTx']) {
      assert.equal((await post(url, path, transfer())).status, 401, path);
    }
    assert.equal((await post(url, '/v1/auth/nonce', { wallet_address: 'ait1' })).json.code, 'METHOD_DISABLED');
    const { text } = await keys.create(KEY);
    assert.equal((await ask(url, '/rpc/head', { headers: { 'x-api-key': text } })).status, 200);
    assert.equal((await createClient({ url, apiKey: text }).head()).height, 1);
    assert.match(await metrics.text(), /aitbc_rpc_access_refused_total\{code="UNAUTHENTICATED"\} 8/);
  });

  it('asks for the scope of each call of a batch', async () => {
    const { url, keys } = await start();
    const { text } = await keys.create({ ...KEY, scopes: ['submit'] });
    const call = (id: number, method: string, params: unknown) => ({ jsonrpc: '2.0', id, method, params });
    const batch = [call(1, 'get_head', {}), call(2, 'send_tx', transfer()), call(3, 'health', {})];
    const { json } = await post(url, '/rpc', batch, bearer(text));
    assert.deepEqual(
      json.map((answer: { error?: { data: { code: string } } }) => answer.error?.data.code),
      ['FORBIDDEN', undefined, undefined],
    );
  });

  it('bound: the requests a minute of a key, wherever it is used from; guesses count for their client', async () => {
    const { url, keys } = await start({}, { read: 1, heavy: 1, write: 1 });
    const { text } = await keys.create({ ...KEY, requestsPerMinute: 12 });
    const from = (client: number, key: string) =>
      ask(url, '/rpc/head', { headers: { ...bearer(key), 'x-forwarded-for': `203.0.113.${client}` } });
    const first = await from(1, text);
    assert.deepEqual([first.status, first.headers['ratelimit-remaining']], [200, '1']);
    assert.equal((await from(2, text)).status, 200);
    const third = await from(3, text);
    assert.deepEqual([third.status, third.json.data.kind, third.json.data.per_minute], [429, 'key', 12]);
    assert.equal((await from(4, (await keys.create({ ...KEY, name: 'other' })).text)).status, 200);
    const guesses = [];
    for (let i = 0; i < 3; i++) guesses.push((await from(5, newKey('k').text)).status);
    assert.deepEqual(guesses, [401, 401, 429]);
  });

  it('ends live connections with the key they were opened with', async () => {
    const clock = manualClock();
    const { url, keys } = await start({ requireApiKey: true, clock });
    const { text, record } = await keys.create(KEY);
    const stream = await fetch(`${url}/v1/stream?topics=blocks`, { headers: bearer(text) });
    assert.equal(stream.status, 200);
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['aitbc.v1', `aitbc.key.${text}`]);
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    assert.equal(socket.protocol, 'aitbc.v1');
    await keys.revoke(record.id);
    clock.advance(30_000);
    assert.equal((await closed).code, 1008);
    assert.match(await stream.text(), /event: snapshot/);
  });

  it('takes keys for live connections', async () => {
    const { url, keys } = await start({ requireApiKey: true });
    const { text } = await keys.create(KEY);
    const told: number[] = [];
    const states: string[] = [];
    const waits = { firstMs: 1, longestMs: 5 };
    const live = connectLive({ url, apiKey: text, waits, onState: (state) => states.push(state) });
    try {
      live.subscribe('blocks', { fromHeight: 1, onEvent: ({ height }) => told.push(height) });
      await waitFor('the block', () => told.includes(1));
    } finally {
      live.close();
    }
    const refused = connectLive({ url, waits, onState: (state) => states.push(`refused ${state}`) });
    try {
      refused.subscribe('blocks', { onEvent: () => assert.fail('told without a key') });
      await waitFor('two refusals', () => states.filter((state) => state === 'refused waiting').length > 1);
    } finally {
      refused.close();
    }
  });
});
