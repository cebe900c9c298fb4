import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { nopLogger } from '../../../src/log.ts';
import { capConnections } from '../../../src/rpc/connections.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import {
  COUNTED_BYTES,
  MAX_CLIENT_UNREAD_BYTES,
  MAX_UNREAD_BYTES,
  READ_WITHIN_MS,
  UnreadAnswers,
} from '../../../src/rpc/unread.ts';
import { SLOWNESS, SlowClients } from '../../../testnet/load/slow-clients.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, openSocket } from './http.ts';

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

  it(`bound: ${MAX_UNREAD_BYTES} bytes of answers wait; beyond, large ones are refused until those are read`, async () => {
    const clock = manualClock();
    node.reach = { notSigning: ['x'.repeat(MAX_UNREAD_BYTES / 2)] };
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

  it(`bound: ${MAX_CLIENT_UNREAD_BYTES} bytes of one client's answers wait, from ${COUNTED_BYTES} bytes each`, () => {
    const unread = new UnreadAnswers();
    const stranger = { key: 'a', isLocal: false };
    const read = unread.add(stranger, MAX_CLIENT_UNREAD_BYTES);
    assert.throws(() => unread.add(stranger, COUNTED_BYTES), /wait to be read/);
    const others = [unread.add({ key: 'b', isLocal: false }, 1), unread.add({ key: 'local', isLocal: true }, 1)];
    read();
    others.push(unread.add(stranger, 1));
    for (const release of others) release();
    assert.equal(unread.bytes, 0);
    assert.equal(unread.clients, 0);
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
