import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { createRegister } from '../../../src/metrics.ts';
import type { Client } from '../../../src/rpc/clients.ts';
import type { Load } from '../../../src/rpc/rate-limits.ts';
import { BURST_S, BYTES_PER_READ, MAX_CLIENTS, RateLimits } from '../../../src/rpc/rate-limits.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { collectLines } from '../../util/log-lines.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import type { Answer } from './http.ts';
import { ask, post } from './http.ts';

const RATES = { read: 60, heavy: 10, write: 5 };
const stranger = (key: string): Client => ({ key, isLocal: false });

describe('rate limits', () => {
  let clock: ManualClock;
  let limits: RateLimits;

  beforeEach(() => {
    clock = manualClock();
    limits = new RateLimits(RATES, clock);
  });

  /** How many are taken at once. */
  const taken = (client: Client, load: Load): number => {
    for (let count = 0; ; count++) {
      try {
        limits.take(client, load);
      } catch (error) {
        assert(isNodeError(error) && error.code === 'RATE_LIMITED');
        return count;
      }
      if (count > 10_000) return Infinity;
    }
  };

  for (const load of ['read', 'heavy', 'write'] as const) {
    it(`bound: take ${RATES[load]} of kind ${load} a second from each client, for ${BURST_S} s at once`, () => {
      assert.equal(taken(stranger('a'), load), RATES[load] * BURST_S);
      assert.equal(taken(stranger('a'), load), 0);
      assert.equal(taken(stranger('b'), load), RATES[load] * BURST_S);
      clock.advance(1000);
      assert.equal(taken(stranger('a'), load), RATES[load]);
      clock.advance(3_600_000);
      assert.equal(taken(stranger('a'), load), RATES[load] * BURST_S);
    });
  }

  it('keep the kinds apart', () => {
    taken(stranger('a'), 'read');
    assert.equal(taken(stranger('a'), 'write'), RATES.write * BURST_S);
  });

  it('say when to come again', () => {
    taken(stranger('a'), 'write');
    limits.spend(stranger('a'), 'write', 100);
    assert.throws(
      () => {
        limits.take(stranger('a'), 'write');
      },
      (error) => isNodeError(error) && error.data['retry_after_s'] === 21 && error.data['kind'] === 'write',
    );
    assert.deepEqual(limits.standing(stranger('a'), 'write'), { limit: 10, remaining: 0, resetS: 22 });
    clock.advance(20_199);
    assert.equal(taken(stranger('a'), 'write'), 0);
    clock.advance(2);
    assert.equal(taken(stranger('a'), 'write'), 1);
  });

  it('do not hold for programs of this machine, nor where the rate is 0', () => {
    assert.equal(taken({ key: 'local', isLocal: true }, 'read'), Infinity);
    assert.equal(limits.standing({ key: 'local', isLocal: true }, 'read'), null);
    limits = new RateLimits({ ...RATES, heavy: 0 }, clock);
    assert.equal(taken(stranger('a'), 'heavy'), Infinity);
    assert.equal(limits.size, 0);
  });

  it(`bound: remember ${MAX_CLIENTS} clients, those that asked last`, () => {
    taken(stranger('0'), 'heavy');
    taken(stranger('1'), 'heavy');
    for (let i = 2; i <= MAX_CLIENTS; i++) {
      limits.take(stranger(String(i)), 'read');
      if (i % 1000 === 0) limits.standing(stranger('1'), 'heavy');
    }
    assert.equal(limits.size, MAX_CLIENTS);
    assert.equal(taken(stranger('1'), 'heavy'), 0);
    assert.equal(taken(stranger('0'), 'heavy'), RATES.heavy * BURST_S);
    assert.equal(limits.size, MAX_CLIENTS);
  });
});

describe('a server with rate limits', () => {
  let node: FakeNode;
  let clock: ManualClock;
  let server: RpcServer;
  let register: Awaited<ReturnType<typeof createRegister>>;

  const start = async (trustedProxies: readonly string[] = ['127.0.0.1'], log = nopLogger): Promise<void> => {
    node = new FakeNode();
    clock = manualClock();
    register = await createRegister();
    const options = { listen: { host: '127.0.0.1', port: 0 }, rates: RATES, trustedProxies };
    server = await startRpcServer(options, { api: fakeNode(node), log, clock, metrics: register });
  };

  afterEach(() => server.close());

  const from = (address: string) => ({ 'x-forwarded-for': address });
  const read = (path: string, address = '203.0.113.5'): Promise<Answer> =>
    ask(server.url, path, { headers: from(address) });

  it('tells each client where it stands, and refuses with the code and when to come again', async () => {
    await start();
    const first = await read('/rpc/status');
    assert.equal(first.status, 200);
    assert.equal(first.headers['ratelimit-limit'], '120');
    assert.equal(first.headers['ratelimit-remaining'], '119');
    assert.equal(first.headers['ratelimit-reset'], '1');
    for (let i = 1; i < 120; i++) assert.equal((await read('/livez')).status, 200);
    const { status, headers, json } = await read('/rpc/status');
    assert.equal(status, 429);
    assert.equal(json.code, 'RATE_LIMITED');
    assert.equal(json.retryable, true);
    assert.equal(headers['retry-after'], '1');
    assert.equal(headers['ratelimit-remaining'], '0');
    assert.equal(headers['ratelimit-reset'], '2');
    // What leads nowhere counts as well, and so does each kind for itself.
    assert.equal((await read('/nosuch')).status, 429);
    assert.equal((await read('/rpc/blocks')).headers['ratelimit-limit'], '20');
    assert.equal((await read('/rpc/status', '203.0.113.6')).status, 200);
    clock.advance(1000);
    assert.equal((await read('/nosuch')).status, 404);
    const text = await register.text();
    assert.match(text, /aitbc_rpc_rate_limited_total\{route="\/rpc\/status"\} 1/);
    assert.match(text, /aitbc_rpc_rate_limited_total\{route="none"\} 1/);
    assert(!text.includes('203.0.113'));
  });

  it('leaves programs of this machine alone', async () => {
    await start();
    for (let i = 0; i < 130; i++) assert.equal((await ask(server.url, '/livez')).status, 200);
    assert.equal((await ask(server.url, '/livez')).headers['ratelimit-limit'], undefined);
  });

  it('takes what a proxy sends that is not named as one client, and says so once', async () => {
    const { log, lines } = collectLines();
    await start([], log);
    assert.equal((await read('/livez', '203.0.113.5')).headers['ratelimit-remaining'], '119');
    assert.equal((await read('/livez', '203.0.113.6')).headers['ratelimit-remaining'], '118');
    assert.equal(lines.filter(({ msg }) => /proxy/.test(String(msg))).length, 1);
  });

  it('counts each transaction of a batch, takes it whole, and lets the rate pay it off', async () => {
    await start();
    const txs = Array.from({ length: 30 }, (_, nonce) =>
      toHex(makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce }).bytes),
    );
    const send = (body: object) => post(server.url, '/rpc/transactions?mode=async', body, from('203.0.113.5'));
    const { status, headers } = await send({ txs });
    assert.equal(status, 202);
    assert.equal(headers['ratelimit-remaining'], '0');
    const refused = await send({ tx: txs[0] });
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '5');
    clock.advance(4300);
    assert.equal((await send({ tx: txs[0] })).status, 202);
    assert.equal((await send({ tx: txs[0] })).status, 429);
  });

  it('counts each call of a JSON-RPC batch, by its kind', async () => {
    await start();
    const call = (id: number, method: string) => ({ jsonrpc: '2.0', id, method });
    const batch = (method: string, count: number) =>
      post(
        server.url,
        '/rpc',
        Array.from({ length: count }, (_, id) => call(id, method)),
        from('203.0.113.5'),
      );
    const refusals = ({ json }: Answer): number =>
      json.filter(({ error }: { error?: { data: { code: string } } }) => error?.data.code === 'RATE_LIMITED').length;
    assert.equal(refusals(await batch('list_blocks', 25)), 5);
    const first = await batch('get_status', 100);
    assert.equal(refusals(first), 0);
    const last = await batch('get_status', 100);
    assert.equal(last.status, 200);
    assert.equal(refusals(last), 100 - Number(first.headers['ratelimit-remaining']));
    assert.equal(last.json.at(-1).error.code, -32005);
    // The next one is not even read.
    const none = await batch('get_status', 100);
    assert.equal(none.status, 429);
    assert.equal(none.json.code, 'RATE_LIMITED');
  });

  it(`counts large bodies and answers as one read more for each ${BYTES_PER_READ} bytes`, async () => {
    await start();
    const { text, headers } = await read('/openapi.json');
    assert.equal(Number(headers['ratelimit-remaining']), 119 - Math.floor(text.length / BYTES_PER_READ));
    const left = async (): Promise<number> => Number((await read('/livez')).headers['ratelimit-remaining']);
    const before = await left();
    await post(server.url, '/rpc', ' '.repeat(10 * BYTES_PER_READ), from('203.0.113.5'));
    assert.equal(await left(), before - 12);
    const chunked = { ...from('203.0.113.5'), 'transfer-encoding': 'chunked' };
    await post(server.url, '/rpc', '{}', chunked);
    assert.equal(await left(), before - 12 - 18);
  });
});
