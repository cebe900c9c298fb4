import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Clock } from '../../../src/clock.ts';
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import { createRegister } from '../../../src/metrics.ts';
import {
  MAX_CLIENT_CONNECTIONS,
  MAX_CONNECTIONS,
  MAX_MESSAGE_BYTES,
  PING_EVERY_MS,
  PONG_WITHIN_MS,
  STALL_MS,
} from '../../../src/rpc/live/limits.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, openSocket } from './http.ts';

type Message = ReturnType<typeof JSON.parse>;

/** Everything that a socket gets, in order. */
class Listener {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  closed: { code: number; reason: string } | null = null;
  #id = 0;

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'aitbc.v1');
    this.socket.onmessage = ({ data }) => this.messages.push(JSON.parse(String(data)));
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  static async open(url: string): Promise<Listener> {
    const listener = new Listener(url);
    await once(listener.socket, 'open');
    return listener;
  }

  /** The answer to one request, or to whatever text is sent. */
  async ask(method: string, params: object = {}): Promise<Message> {
    const id = ++this.#id;
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    await waitFor('an answer', () => this.messages.some((message) => message.id === id));
    return this.messages.find((message) => message.id === id);
  }

  async say(text: string | Uint8Array<ArrayBuffer>): Promise<Message> {
    const before = this.messages.length;
    this.socket.send(text);
    await waitFor('an answer', () => this.messages.length > before);
    return this.messages.at(-1);
  }

  deltas(subscription: string): Message[] {
    return this.messages.flatMap(({ method, params }) =>
      method === 'subscription' && params.subscription === subscription ? [params] : [],
    );
  }
}

const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** A client that shakes hands and then does only what the test does. */
async function rawClient(url: string, extra: Readonly<Record<string, string>> = {}): Promise<Socket> {
  const socket = await openSocket(url);
  const headers = Object.entries({ ...UPGRADE, ...extra }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /ws HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers.join('')}\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 101 /);
  return socket;
}

/** A masked text frame, as a client sends it; the mask is zero. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  assert(payload.length < 65_536);
  const head = Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

describe('websocket', () => {
  let node: FakeNode;
  let server: RpcServer;
  let register: Awaited<ReturnType<typeof createRegister>>;

  const start = async (clock: Clock = systemClock): Promise<void> => {
    node = new FakeNode();
    register = await createRegister();
    server = await startRpcServer(
      {
        listen: { host: '127.0.0.1', port: 0 },
        hosts: ['node.example'],
        trustedProxies: ['127.0.0.1'],
        corsOrigins: ['https://app.example'],
      },
      { api: fakeNode(node, new FakeNode({ chainId: 'ait-testnet' })), log: nopLogger, clock, metrics: register },
    );
  };

  afterEach(async () => {
    await server.close();
    assert.equal(node.listeners, 0);
  });

  it('answers a subscription with a snapshot, then tells what happens in numbers', async () => {
    await start();
    const listener = await Listener.open(server.url);
    assert.equal(listener.socket.protocol, 'aitbc.v1');
    const blocks = (await listener.ask('subscribe', { topic: 'new_blocks' })).result;
    const txs = (await listener.ask('subscribe', { topic: 'new_transactions', chain_id: 'ait-devnet' })).result;
    const topic = `account:${addressText('account-1')}`;
    const account = (await listener.ask('subscribe', { topic })).result;
    assert.deepEqual(blocks.snapshot, { head: null, base_height: 1 });
    assert.equal(blocks.seq, 0);
    assert.equal(account.snapshot.balance_uait, '1000000000');
    for (const nonce of [0, 1]) {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce })]);
    }
    await waitFor('deltas', () => listener.deltas(account.subscription).length === 2);
    const { json: head } = await ask(server.url, '/rpc/head');
    assert.deepEqual(listener.deltas(blocks.subscription).at(-1), {
      subscription: blocks.subscription,
      topic: 'new_blocks',
      chain_id: 'ait-devnet',
      seq: 2,
      height: 2,
      data: head,
    });
    assert.equal(listener.deltas(txs.subscription).at(-1).data.transactions[0].transaction.nonce, 1);
    assert.equal(listener.deltas(account.subscription)[1].data.account.balance_uait, '1000000002');

    assert.deepEqual((await listener.ask('unsubscribe', { subscription: blocks.subscription })).result, {
      subscription: blocks.subscription,
    });
    node.produce([]);
    await listener.ask('ping');
    assert.equal(listener.deltas(blocks.subscription).length, 2);
    listener.socket.close();
    await waitFor('the close', () => listener.closed !== null);
    assert.equal(listener.closed?.code, 1005);
  });

  it('keeps chains apart, and answers for none that it does not hold', async () => {
    await start();
    const listener = await Listener.open(server.url);
    const other = (await listener.ask('subscribe', { topic: 'blocks', chain_id: 'ait-testnet' })).result;
    assert.equal(other.chain_id, 'ait-testnet');
    node.produce([]);
    await listener.ask('ping');
    assert.equal(listener.deltas(other.subscription).length, 0);
    const { error } = await listener.ask('subscribe', { topic: 'blocks', chain_id: 'ait-mainnet' });
    assert.equal(error.data.code, 'UNKNOWN_CHAIN');
  });

  it('answers PRUNED with what is kept, and resumes from there', async () => {
    await start();
    for (let i = 0; i < 10; i++) node.produce([]);
    node.base = 4;
    const listener = await Listener.open(server.url);
    const { error } = await listener.ask('subscribe', { topic: 'blocks', from_height: 2 });
    assert.equal(error.code, -32001);
    assert.deepEqual(error.data.data, { height: 2, base: 4, head: 10 });
    const { result } = await listener.ask('subscribe', { topic: 'blocks', from_height: 4 });
    await waitFor('blocks', () => listener.deltas(result.subscription).length === 7);
  });

  it('answers garbage with a code, and the connection stays', async () => {
    await start();
    const listener = await Listener.open(server.url);
    const code = async (text: string | Uint8Array<ArrayBuffer>): Promise<string> =>
      (await listener.say(text)).error.data.code;
    assert.equal(await code('not json'), 'PARSE_ERROR');
    assert.equal(await code(new Uint8Array([1, 2, 3])), 'INVALID_REQUEST');
    assert.equal(await code('[]'), 'INVALID_REQUEST');
    assert.equal(await code('{"method":"ping"}'), 'INVALID_REQUEST');
    assert.equal(await code('{"jsonrpc":"2.0","id":99,"method":"nosuch"}'), 'METHOD_NOT_FOUND');
    assert.equal(await code(`${'['.repeat(1000)}`), 'PARSE_ERROR');
    const call = async (params: object): Promise<string> => (await listener.ask('subscribe', params)).error.data.code;
    assert.equal(await call({ topic: 'nosuch' }), 'INVALID_PARAMS');
    assert.equal(await call({ topic: 'account:nobody' }), 'BAD_ADDRESS');
    assert.equal(await call({ topic: 'blocks', from_height: 0 }), 'INVALID_PARAMS');
    assert.equal(await call({ topic: 'blocks', from_height: 1.5 }), 'INVALID_PARAMS');
    assert.equal(await call({ topic: 'blocks', from: 1 }), 'INVALID_PARAMS');
    assert.equal((await listener.ask('unsubscribe', { subscription: 's9' })).error.data.code, 'NOT_FOUND');
    assert.deepEqual((await listener.ask('ping')).result, {});
  });

  it(`ends the connection at a message above ${MAX_MESSAGE_BYTES} bytes, not at one of them`, async () => {
    await start();
    const listener = await Listener.open(server.url);
    const fill = (bytes: number): string => ' '.repeat(bytes);
    assert.equal((await listener.say(fill(MAX_MESSAGE_BYTES))).error.data.code, 'PARSE_ERROR');
    listener.socket.send(fill(MAX_MESSAGE_BYTES + 1));
    await waitFor('the close', () => listener.closed !== null);
    assert.equal(listener.closed?.code, 1009);
  });

  describe('lets nobody in', () => {
    beforeEach(() => start());

    const upgrade = (headers: Record<string, string>) =>
      ask(server.url, '/ws', { headers: { ...UPGRADE, ...headers } });

    it('under a foreign host name', async () => {
      const { status, json } = await upgrade({ host: 'evil.example' });
      assert.equal(status, 403);
      assert.equal(json.code, 'FORBIDDEN');
    });

    it('from a page of another origin', async () => {
      for (const origin of [
        'http://evil.example',
        'null',
        'http://127.0.0.1:1',
        'nonsense',
        'http://app.example',
        '*',
      ]) {
        const { status } = await upgrade({ origin });
        assert.equal(status, 403, origin);
      }
    });

    it('with a socket left open: what is refused is cut', async () => {
      const socket = await openSocket(server.url);
      const headers = Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`GET /ws HTTP/1.1\r\nhost: evil.example\r\n${headers.join('')}\r\n`);
      socket.resume();
      await once(socket, 'end');
      socket.destroy();
    });

    it('by another path, which answers as it always does', async () => {
      const { status, json } = await ask(server.url, '/livez', { headers: UPGRADE });
      assert.equal(status, 200, JSON.stringify(json));
      assert.equal((await ask(server.url, '/nosuch', { headers: UPGRADE })).status, 404);
    });

    it('without an upgrade', async () => {
      const { status, json } = await ask(server.url, '/ws');
      assert.equal(status, 400);
      assert.match(json.hint, /stream/);
    });

    it(`beyond ${MAX_CONNECTIONS} connections, until one is closed`, async () => {
      const all = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => Listener.open(server.url)));
      const { status, json, headers } = await upgrade({});
      assert.equal(status, 429);
      assert.equal(json.code, 'RATE_LIMITED');
      assert.equal(headers['retry-after'], '10');
      assert.equal((await ask(server.url, '/v1/stream?topics=blocks')).status, 429);
      all[0]?.socket.close();
      await waitFor('the close', () => all[0]?.closed !== null);
      await waitFor('room', async () => /aitbc_rpc_ws_clients 99/.test(await register.text()));
      await Listener.open(server.url);
    });
  });

  it(`bound: lets in ${MAX_CLIENT_CONNECTIONS} connections of one client, and the others beside them`, async () => {
    await start();
    const of = (address: string) => ({ 'x-forwarded-for': `198.51.100.1, ${address}` });
    const all = Array.from({ length: MAX_CLIENT_CONNECTIONS }, () => rawClient(server.url, of('2001:db8::1')));
    const sockets = await Promise.all(all);
    // A household has 64 bits of addresses.
    const { status, json, headers } = await ask(server.url, '/ws', { headers: { ...UPGRADE, ...of('2001:db8::2') } });
    assert.equal(status, 429);
    assert.equal(json.code, 'RATE_LIMITED');
    assert.equal(json.data.limit, MAX_CLIENT_CONNECTIONS);
    assert.equal(headers['retry-after'], '10');
    const stream = await ask(server.url, '/v1/stream?topics=blocks', { headers: of('2001:db8::3') });
    assert.equal(stream.status, 429);
    for (const other of ['2001:db8:0:1::1', '198.51.100.1']) sockets.push(await rawClient(server.url, of(other)));
    sockets[0]?.destroy();
    await waitFor('room', async () => /aitbc_rpc_ws_clients 11/.test(await register.text()));
    sockets.push(await rawClient(server.url, of('2001:db8::4')));
    for (const socket of sockets) socket.destroy();
  });

  it('lets in pages of its own origin, of names of the node, and of listed origins', async () => {
    await start();
    const { host } = new URL(server.url);
    for (const origin of [`http://${host}`, `https://${host}`, 'https://node.example', 'https://app.example']) {
      const socket = await openSocket(server.url);
      const headers = Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`GET /ws HTTP/1.1\r\nhost: ${host}\r\norigin: ${origin}\r\n${headers.join('')}\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.match(answer.toString('latin1'), /^HTTP\/1\.1 101 /, origin);
      socket.destroy();
    }
  });

  it(`pings every ${PING_EVERY_MS} ms, and ends who does not answer within ${PONG_WITHIN_MS} ms`, async () => {
    const clock = manualClock();
    await start(clock);
    const silent = await rawClient(server.url);
    const alive = await Listener.open(server.url);
    const bytes: number[] = [];
    silent.on('data', (chunk) => bytes.push(...chunk));
    clock.advance(PING_EVERY_MS);
    await waitFor('a ping', () => bytes.length > 0);
    assert.equal(bytes[0], 0x89);
    await alive.ask('ping');
    clock.advance(PONG_WITHIN_MS);
    await waitFor('the close frame', () => bytes.length > 2);
    assert.equal(bytes[2], 0x88);
    assert.equal((bytes[4] ?? 0) * 256 + (bytes[5] ?? 0), 1001);
    assert.deepEqual((await alive.ask('ping')).result, {});
    assert.match(await register.text(), /aitbc_rpc_ws_dropped_total\{reason="no_pong"\} 1/);
    silent.destroy();
    const closing = server.close();
    await waitFor('the close', () => alive.closed !== null);
    await closing;
  });

  it('closes who does not read with the reason, and others go on', async () => {
    await start();
    const slow = await rawClient(server.url);
    const other = await Listener.open(server.url);
    const subscribe = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscribe', params: { topic: 'consensus' } });
    slow.write(frame(subscribe));
    await once(slow, 'data');
    slow.pause();
    const { subscription } = (await other.ask('subscribe', { topic: 'consensus' })).result;
    const dropped = async (): Promise<boolean> => /ws_dropped_total\{reason="slow"\} 1/.test(await register.text());
    let steps = 0;
    // The system's buffers take some megabytes first.
    while (!(await dropped())) {
      assert(steps < 20_000, 'the slow one is never ended');
      for (let i = 0; i < 32; i++) node.step({ round: ++steps, step: 'x'.repeat(10_000) as 'idle' });
      const seen = steps;
      await waitFor('the other one', () => other.deltas(subscription).length === seen);
    }
    let last = Buffer.alloc(0);
    slow.on('data', (chunk: Buffer) => {
      last = Buffer.concat([last, chunk]).subarray(-200);
    });
    slow.on('error', () => undefined);
    slow.resume();
    await once(slow, 'close');
    assert.match(last.toString('latin1'), /slow consumer: too many messages wait to be read$/);
    node.step({ round: 0 });
    await waitFor('the other one', () => other.deltas(subscription).length === steps + 1);
  });

  it('ends who reads nothing of what it asked for', async () => {
    const clock = manualClock();
    await start(clock);
    const txs = Array.from({ length: 100 }, (_, nonce) =>
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce }),
    );
    node.produce(txs);
    const height = (): number => node.applied.length;
    const slow = await rawClient(server.url);
    slow.on('error', () => undefined);
    slow.write(frame('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topic":"blocks","from_height":1}}'));
    await once(slow, 'data');
    slow.pause();
    assert.equal(height(), 1);
    clock.advance(STALL_MS + PONG_WITHIN_MS);
    await waitFor('the end', async () => /ws_dropped_total\{reason="no_pong"\} 1/.test(await register.text()));
    slow.destroy();
  });

  it('says that it stops', async () => {
    await start();
    const listener = await Listener.open(server.url);
    await listener.ask('subscribe', { topic: 'blocks' });
    await server.close();
    await waitFor('the close', () => listener.closed !== null);
    assert.deepEqual(listener.closed, { code: 1001, reason: 'the node stops' });
  });
});
