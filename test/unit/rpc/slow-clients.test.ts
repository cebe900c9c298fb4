import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { nopLogger } from '../../../src/log.ts';
import { capConnections } from '../../../src/rpc/connections.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { HeldBytes } from '../../../src/rpc/held-bytes.ts';
import { ANSWERS, BODIES, READ_WITHIN_MS } from '../../../src/rpc/slowness.ts';
import { SLOWNESS, SlowClients } from '../../../testnet/load/slow-clients.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, openSocket, post } from './http.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const LIMITS = {
  ...{ connections: 200, clientConnections: 64 },
  ...{ headersMs: 200, requestMs: 300, idleMs: 400, checkEveryMs: 50 },
};

describe('slow clients', () => {
  let node: FakeNode;
  let server: RpcServer | null = null;

  beforeEach(() => {
    node = new FakeNode();
  });

  afterEach(async () => {
    await server?.close();
    server = null;
  });

  it('of every kind are cut off, and everyone else is answered beside them', async () => {
    server = await startRpcServer({ listen: LISTEN, limits: LIMITS }, { api: fakeNode(node), log: nopLogger });
    // Who does not read is given longer: below.
    const kinds = SLOWNESS.filter((kind) => kind !== 'reader');
    const slow = new SlowClients(server.url, 40, kinds);
    try {
      let answered = 0;
      const cutAll = (): boolean => kinds.every((kind) => slow.cut[kind] >= 10);
      while (!cutAll()) {
        assert.equal((await ask(server.url, '/rpc/status')).status, 200);
        answered++;
      }
      assert(answered > 0);
    } finally {
      slow.end();
    }
  });

  it(`bound: ${READ_WITHIN_MS} ms to read an answer, then they are cut off`, async () => {
    const clock = manualClock();
    node.reach = { notSigning: ['x'.repeat(32 * 1024 * 1024)] };
    server = await startRpcServer({ listen: LISTEN }, { api: fakeNode(node), log: nopLogger, clock });
    const socket = await openSocket(server.url);
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('GET /rpc/status HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await waitFor('the answer', () => clock.pending > 0);
    clock.advance(READ_WITHIN_MS - 1);
    assert.equal((await ask(server.url, '/livez')).status, 200);
    clock.advance(1);
    socket.resume();
    await once(socket, 'close');
    assert.equal(clock.pending, 0);
  });

  it(`bound: ${ANSWERS.all} bytes of answers wait; beyond, large ones are refused until those are read`, async () => {
    const clock = manualClock();
    node.reach = { notSigning: ['x'.repeat(ANSWERS.all / 2)] };
    server = await startRpcServer({ listen: LISTEN }, { api: fakeNode(node), log: nopLogger, clock });
    const { url } = server;
    const sockets = await Promise.all([openSocket(url), openSocket(url)]);
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET /rpc/status HTTP/1.1\r\nhost: localhost\r\n\r\n');
    }
    await waitFor('the answers', () => clock.pending === 2);
    const { status, json, headers } = await ask(url, '/rpc/status');
    assert.equal(status, 429);
    assert.equal(json.code, 'RATE_LIMITED');
    assert.equal(headers['retry-after'], '5');
    assert.equal((await ask(url, '/livez')).status, 200);
    for (const socket of sockets) socket.destroy();
    await waitFor('room', () => clock.pending === 0);
    assert.equal((await ask(url, '/rpc/status')).status, 200);
  });

  it(`bound: ${BODIES.client} bytes of one client's bodies are on their way; others are not held up`, async () => {
    const options = { listen: LISTEN, trustedProxies: ['127.0.0.1'] };
    server = await startRpcServer(options, { api: fakeNode(node), log: nopLogger });
    const { url } = server;
    const head = 'POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
    const declared = 1024 * 1024;
    const sockets = await Promise.all(Array.from({ length: BODIES.client / declared }, () => openSocket(url)));
    for (const socket of sockets) {
      socket.write(`${head}x-forwarded-for: 203.0.113.5\r\ncontent-length: ${declared}\r\n\r\n`);
    }
    const large = (address: string) => post(url, '/rpc', ' '.repeat(20_000), { 'x-forwarded-for': address });
    await waitFor('the bodies', async () => (await large('203.0.113.5')).status === 429);
    const { json, headers } = await large('203.0.113.5');
    assert.equal(json.code, 'RATE_LIMITED');
    assert.equal(headers['retry-after'], '5');
    assert.equal((await post(url, '/rpc', '{}', { 'x-forwarded-for': '203.0.113.5' })).status, 200);
    assert.equal((await large('203.0.113.6')).status, 200);
    // What was read whole is held no longer, and neither is what was given up.
    sockets[0]?.write(' '.repeat(declared));
    sockets[1]?.destroy();
    await waitFor('room', async () => (await large('203.0.113.5')).status === 200);
    for (const socket of sockets) socket.destroy();
  });

  it('bound: hold so many bytes, over all and each; who holds none is forgotten', () => {
    const held = new HeldBytes({ all: 100, client: 10, message: 'too much', hint: 'less' });
    const stranger = { key: 'a', isLocal: false };
    const release = held.add(stranger, 10);
    assert.throws(() => held.add(stranger, 1), /too much/);
    const others = [held.add({ key: 'b', isLocal: false }, 1), held.add({ key: 'local', isLocal: true }, 80)];
    others.push(held.add({ key: 'local', isLocal: true }, 50));
    assert.throws(() => held.add({ key: 'local', isLocal: true }, 1), /too much/);
    release();
    release();
    assert.equal(held.bytes, 131);
    for (const other of others) other();
    assert.equal(held.bytes, 0);
    assert.equal(held.clients, 0);
    held.add(stranger, 1)();
  });

  it('bound: hold so many connections for each client; this machine and named proxies hold more', () => {
    class FakeSocket extends EventEmitter {
      readonly remoteAddress: string;
      destroyed = false;

      constructor(remoteAddress: string) {
        super();
        this.remoteAddress = remoteAddress;
      }

      destroy(): void {
        this.destroyed = true;
        this.emit('close');
      }
    }
    const listener = new EventEmitter();
    const counts = capConnections(listener as never, 2, ['10.1.0.0/16', 'fd00::1']);
    const connect = (address: string): FakeSocket => {
      const socket = new FakeSocket(address);
      listener.emit('connection', socket);
      return socket;
    };
    const of = (address: string): boolean[] => [1, 2, 3].map(() => connect(address)).map(({ destroyed }) => !destroyed);
    assert.deepEqual(of('203.0.113.5'), [true, true, false]);
    const [first, second] = [connect('2001:db8::1'), connect('2001:db8::2')];
    assert.deepEqual(of('2001:db8::3'), [false, false, false]);
    for (const address of ['127.0.0.1', '::1', '10.1.2.3', '::ffff:10.1.2.3', 'fd00::1']) {
      assert.deepEqual(of(address), [true, true, true], address);
    }
    first.destroy();
    assert.equal(connect('2001:db8::3').destroyed, false);
    second.destroy();
    assert.equal(counts.size, 2);
  });
});
