import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '../../../src/clock.ts';
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import { createRegister } from '../../../src/metrics.ts';
import { COMMENT_EVERY_MS, STALL_MS } from '../../../src/rpc/live/limits.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask } from './http.ts';

interface StreamEvent {
  readonly event: string;
  /** As it was when the event came. */
  readonly id: string;
  readonly data: ReturnType<typeof JSON.parse>;
}

/** Reads a stream by the rules of the HTML standard, as EventSource does. */
class Stream {
  readonly events: StreamEvent[] = [];
  lastId = '';
  comments = 0;
  retry = 0;
  ended = false;
  readonly response: IncomingMessage;
  readonly #request: ClientRequest;
  #rest = '';
  #event = '';
  #data = '';

  constructor(sent: ClientRequest, response: IncomingMessage) {
    this.#request = sent;
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    response.on('error', () => undefined);
    response.on('close', () => {
      this.ended = true;
    });
  }

  static async open(url: string, query: string, headers: Record<string, string> = {}): Promise<Stream> {
    const sent = request(`${url}/v1/stream?${query}`, { agent: false, headers });
    sent.on('error', () => undefined);
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    return new Stream(sent, response);
  }

  get deltas(): StreamEvent[] {
    return this.events.filter(({ event }) => event === 'delta');
  }

  get places(): string[] {
    return this.deltas.map(({ data }) => `${data.topic} ${data.height}`);
  }

  close(): void {
    this.#request.destroy();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line.startsWith(':')) this.comments++;
    else if (line.startsWith('id: ')) this.lastId = line.slice(4);
    else if (line.startsWith('retry: ')) this.retry = Number(line.slice(7));
    else if (line.startsWith('event: ')) this.#event = line.slice(7);
    else if (line.startsWith('data: ')) this.#data += line.slice(6);
    else if (line !== '') assert.fail(`no such field: ${line}`);
    else if (this.#data !== '') {
      this.events.push({ event: this.#event, id: this.lastId, data: JSON.parse(this.#data) });
      this.#event = this.#data = '';
    }
  }
}

describe('event stream', () => {
  let node: FakeNode;
  let server: RpcServer;
  let register: Awaited<ReturnType<typeof createRegister>>;

  const start = async (clock: Clock = systemClock): Promise<void> => {
    node = new FakeNode();
    register = await createRegister();
    server = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 }, corsOrigins: ['https://app.example'] },
      { api: fakeNode(node), log: nopLogger, clock, metrics: register },
    );
  };

  afterEach(async () => {
    await server.close();
    assert.equal(node.listeners, 0);
  });

  const pay = (nonce: number): void => {
    node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce })]);
  };

  it('begins with snapshots, and gives every event its place', async () => {
    await start();
    node.produce([]);
    const stream = await Stream.open(server.url, 'topics=blocks,txs,consensus');
    const { headers } = stream.response;
    assert.match(String(headers['content-type']), /^text\/event-stream/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-accel-buffering'], 'no');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert(headers['x-request-id']);
    await waitFor('snapshots', () => stream.events.length === 3);
    assert.deepEqual(
      stream.events.map(({ event, data }) => [event, data.topic, data.seq]),
      [
        ['snapshot', 'blocks', 0],
        ['snapshot', 'txs', 0],
        ['snapshot', 'consensus', 0],
      ],
    );
    assert.equal(stream.retry, 3000);
    assert.equal(stream.lastId, 'ait-devnet:1:2');
    node.step({ round: 1 });
    pay(0);
    await waitFor('deltas', () => stream.deltas.length === 3);
    assert.deepEqual(
      stream.deltas.map(({ id, data }) => [id, data.topic, data.seq, data.height]),
      [
        // Agreement has no place of its own to resume from.
        ['ait-devnet:1:2', 'consensus', 1, undefined],
        ['ait-devnet:2:0', 'blocks', 2, 2],
        ['ait-devnet:2:1', 'txs', 3, 2],
      ],
    );
    stream.close();
  });

  it('resumes after the last event id, whatever the query says, also between two topics of one block', async () => {
    await start();
    for (const nonce of [0, 1, 2]) pay(nonce);
    const all = ['blocks 1', 'txs 1', 'blocks 2', 'txs 2', 'blocks 3', 'txs 3'];
    const ids = ['0:1', '1:0', '1:1', '2:0', '2:1', '3:0', '3:1'];
    for (const [told, id] of ids.entries()) {
      const stream = await Stream.open(server.url, 'topics=blocks,txs&from_height=1', {
        'last-event-id': `ait-devnet:${id}`,
      });
      await waitFor('events', () => stream.deltas.length === all.length - told);
      assert.deepEqual(stream.places, all.slice(told), id);
      stream.close();
    }
  });

  it('goes on over a restart of the server without gap or double', async () => {
    await start();
    const { port, hostname } = new URL(server.url);
    pay(0);
    const first = await Stream.open(server.url, 'topics=blocks&from_height=1');
    await waitFor('the first', () => first.deltas.length === 1);
    await server.close();
    await waitFor('the end', () => first.ended);
    pay(1);
    server = await startRpcServer(
      { listen: { host: hostname, port: Number(port) } },
      { api: fakeNode(node), log: nopLogger },
    );
    const second = await Stream.open(server.url, 'topics=blocks', { 'last-event-id': first.lastId });
    pay(2);
    await waitFor('the rest', () => second.deltas.length === 2);
    assert.deepEqual([...first.places, ...second.places], ['blocks 1', 'blocks 2', 'blocks 3']);
    second.close();
  });

  it('tells quiet listeners how far it is, in comments and ids', async () => {
    const clock = manualClock();
    await start(clock);
    const stream = await Stream.open(server.url, 'topics=txs');
    node.produce([]);
    node.produce([]);
    clock.advance(COMMENT_EVERY_MS);
    await waitFor('a comment', () => stream.comments === 1);
    assert.equal(stream.lastId, 'ait-devnet:2:0');
    assert.equal(stream.deltas.length, 0);
    clock.advance(COMMENT_EVERY_MS);
    await waitFor('a comment', () => stream.comments === 2);
    stream.close();
  });

  it('is read by pages of listed origins, and by no others', async () => {
    await start();
    const stream = await Stream.open(server.url, 'topics=blocks', { origin: 'https://app.example' });
    assert.equal(stream.response.headers['access-control-allow-origin'], 'https://app.example');
    const { status, headers } = await ask(server.url, '/v1/stream?topics=blocks', {
      headers: { origin: 'https://evil.example' },
    });
    assert.equal(status, 403);
    assert.equal(headers['access-control-allow-origin'], undefined);
    stream.close();
  });

  it('ends with the failure when the chain stops', async () => {
    await start();
    const stream = await Stream.open(server.url, 'topics=blocks');
    node.closing.abort();
    await waitFor('the end', () => stream.ended);
    const last = stream.events.at(-1);
    assert.equal(last?.event, 'failure');
    assert.equal(last.data.code, 'CHAIN_STOPPED');
  });

  it('ends for who does not read', async () => {
    const clock = manualClock();
    await start(clock);
    const txs = Array.from({ length: 250 }, (_, nonce) =>
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce }),
    );
    const stream = await Stream.open(server.url, 'topics=txs');
    stream.response.pause();
    // Each block is some 150 kB; the system's buffers take some megabytes.
    for (let i = 0; i < 60; i++) {
      node.produce(i === 0 ? txs : txs.map((_, j) => transferAt(node, 250 * i + j)));
      clock.advance(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let waited = 0; waited <= STALL_MS; waited += COMMENT_EVERY_MS) clock.advance(COMMENT_EVERY_MS);
    clock.advance(COMMENT_EVERY_MS);
    assert.match(await register.text(), /aitbc_rpc_sse_dropped_total\{reason="stalled"\} 1/);
    assert.match(await register.text(), /aitbc_rpc_sse_clients 0/);
    clock.advance(10_000);
    stream.close();
  });

  it('is a problem document as long as nothing was sent', async () => {
    await start();
    for (let i = 0; i < 5; i++) node.produce([]);
    node.base = 3;
    const refused = async (query: string, headers: Record<string, string> = {}): Promise<string> => {
      const { json } = await ask(server.url, `/v1/stream?${query}`, { headers });
      return json.code;
    };
    assert.equal(await refused('topics=blocks&from_height=2'), 'PRUNED');
    assert.equal(await refused('topics=blocks', { 'last-event-id': 'ait-devnet:1:0' }), 'PRUNED');
    assert.equal(await refused('topics=blocks', { 'last-event-id': 'ait-testnet:4:0' }), 'INVALID_PARAMS');
    assert.equal(await refused('topics=blocks', { 'last-event-id': 'nonsense' }), 'INVALID_PARAMS');
    assert.equal(await refused('topics=nosuch'), 'INVALID_PARAMS');
    assert.equal(await refused('topics=blocks,blocks'), 'INVALID_PARAMS');
    assert.equal(await refused('topics=blocks&from_height=0'), 'INVALID_PARAMS');
    assert.equal(await refused(''), 'INVALID_PARAMS');
    assert.equal(await refused('topics=peers&from_height=4'), 'INVALID_PARAMS');
    assert.equal(await refused('topics=blocks&chain_id=ait-mainnet'), 'UNKNOWN_CHAIN');
    assert.equal(await refused('topics=blocks', { origin: 'http://evil.example' }), 'FORBIDDEN');
    assert.equal(await refused('topics=blocks', { host: 'evil.example' }), 'FORBIDDEN');
    assert.match(await register.text(), /aitbc_rpc_sse_clients 0/);
  });
});

function transferAt(node: FakeNode, nonce: number) {
  return makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce });
}
