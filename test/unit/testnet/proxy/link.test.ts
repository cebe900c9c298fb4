import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { createRandom } from '../../../../testnet/load/random.ts';
import { CLEAR } from '../../../../testnet/proxy/conditions.ts';
import { MAX_LINK_CONNECTIONS, ProxyLink } from '../../../../testnet/proxy/link.ts';
import { ProxyNetwork } from '../../../../testnet/proxy/network.ts';
import { MAX_QUEUED_BYTES } from '../../../../testnet/proxy/pipe.ts';
import { waitUntil } from '../../../../testnet/wait.ts';

/** Long beside a loopback round trip: what has not come by then was held back. */
const SILENCE_MS = 150;

const quiet = (): Promise<boolean> => waitUntil(() => false, SILENCE_MS);

async function until(what: string, condition: () => boolean): Promise<void> {
  assert.ok(await waitUntil(condition, 5000, 2), what);
}

/** One end of a connection with what it got. */
class End {
  readonly socket: Socket;
  text = '';
  bytes = 0;
  ended = false;
  closed = false;
  failed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => {
      this.bytes += data.length;
      if (data.length < 1000) this.text += data.toString();
    });
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => (this.failed = true));
  }
}

describe('proxy link', () => {
  let server: Server;
  let link: ProxyLink;
  let ends: End[];
  let accepted: End[];

  const dial = (): End => {
    const end = new End(connect({ port: link.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true }));
    ends.push(end);
    return end;
  };
  /** Both ends of a connection through the link. */
  const pair = async (): Promise<[End, End]> => {
    const before = accepted.length;
    const client = dial();
    await until('the other side is reached', () => accepted.length > before);
    return [client, accepted[before] as End];
  };

  beforeEach(async () => {
    ends = [];
    accepted = [];
    server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => accepted.push(new End(socket)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    link = await ProxyLink.open({ targetPort: (server.address() as AddressInfo).port }, createRandom('link'));
  });
  afterEach(async () => {
    for (const { socket } of [...ends, ...accepted]) socket.destroy();
    await link.close();
    server.close();
    await once(server, 'close');
  });

  it('passes bytes both ways, and the end of either side', async () => {
    const [client, peer] = await pair();
    client.socket.write('ping');
    await until('ping', () => peer.text === 'ping');
    client.socket.end();
    await until('the end', () => peer.ended);
    peer.socket.end('pong');
    await until('pong and the end', () => client.text === 'pong' && client.ended);
    await until('nothing is left', () => link.connections === 0 && link.queuedBytes === 0);
    assert.equal(link.passedBytes, 8);
  });

  it('tells the other side of a reset', async () => {
    const [client, peer] = await pair();
    client.socket.resetAndDestroy();
    await until('the other side is closed', () => peer.closed);
    await until('nothing is left', () => link.connections === 0);
  });

  it('delays each direction by its own time, within the jitter and in order', async () => {
    link.shape({ ...CLEAR, delayMs: 100, jitter: 0.2 }, { ...CLEAR, delayMs: 40 });
    const [client, peer] = await pair();
    const sentAt = performance.now();
    for (let i = 0; i < 10; i++) client.socket.write(String(i));
    await until('all arrived', () => peer.text.length === 10);
    assert.ok(performance.now() - sentAt >= 79, `${performance.now() - sentAt} ms`);
    assert.equal(peer.text, '0123456789');
    const answeredAt = performance.now();
    peer.socket.write('x');
    await until('the answer', () => client.text === 'x');
    assert.ok(performance.now() - answeredAt >= 39);
  });

  it('limits the rate', async () => {
    link.shape({ ...CLEAR, bytesPerSecond: 200_000 });
    const [client, peer] = await pair();
    const sentAt = performance.now();
    client.socket.write(new Uint8Array(40_000));
    await until('all arrived', () => peer.bytes === 40_000);
    assert.ok(performance.now() - sentAt >= 195, `${performance.now() - sentAt} ms`);
  });

  it('stalls a share of the pieces', async () => {
    link.shape({ ...CLEAR, stallShare: 1, stallMs: 120 });
    const [client, peer] = await pair();
    const sentAt = performance.now();
    client.socket.write('late');
    await until('it arrived', () => peer.text === 'late');
    assert.ok(performance.now() - sentAt >= 119);
  });

  it('holds everything in a cut, ends included, and lets it pass when healed', async () => {
    const [client, peer] = await pair();
    link.setMode('held');
    client.socket.write('one');
    peer.socket.write('two');
    client.socket.end();
    await quiet();
    assert.deepEqual([client.text, peer.text, peer.ended], ['', '', false]);
    link.setMode('open');
    await until('what was held', () => client.text === 'two' && peer.text === 'one' && peer.ended);
  });

  it('keeps the loss of one side from the other during a cut', async () => {
    const [client, peer] = await pair();
    link.setMode('held');
    client.socket.resetAndDestroy();
    await quiet();
    assert.equal(peer.closed, false);
    link.setMode('open');
    await until('it is told when healed', () => peer.closed);
    await until('nothing is left', () => link.connections === 0);
  });

  it('lets no new connection through a cut, and connects who still waits when healed', async () => {
    link.setMode('held');
    const patient = dial();
    patient.socket.write('hello');
    const hasty = dial();
    hasty.socket.write('bye');
    await until('both are kept', () => link.connections === 2);
    hasty.socket.destroy();
    await until('who left is forgotten', () => link.connections === 1);
    assert.equal(accepted.length, 0);
    link.setMode('open');
    await until('the other one is connected', () => accepted[0]?.text === 'hello');
    assert.equal(accepted.length, 1);
  });

  it('cuts one way only', async () => {
    const [client, peer] = await pair();
    for (const [mode, mute, heard] of [
      ['forward-held', client, peer],
      ['backward-held', peer, client],
    ] as const) {
      link.setMode(mode);
      const before = [mute.text, heard.text];
      mute.socket.write('m');
      heard.socket.write('h');
      await until('the open way', () => mute.text === `${before[0]}h`);
      await quiet();
      assert.equal(heard.text, before[1]);
      link.setMode('open');
      await until('the held way', () => heard.text === `${before[1]}m`);
    }
  });

  it('lets no new connection through a one-way cut', async () => {
    link.setMode('backward-held');
    dial().socket.write('x');
    await quiet();
    assert.equal(accepted.length, 0);
  });

  it('resets what is open and what comes', async () => {
    const [client, peer] = await pair();
    link.setMode('reset');
    await until('both sides are told', () => client.closed && peer.closed);
    assert.ok(client.failed && peer.failed);
    const late = dial();
    await until('who comes is told', () => late.closed);
    assert.equal(accepted.length, 1);
    assert.equal(link.connections, 0);
    link.setMode('open');
    await pair();
  });

  it('is half-open: accepts and never answers, and forgets all when that ends', async () => {
    const [client, peer] = await pair();
    link.setMode('half-open');
    const late = dial();
    late.socket.write('anyone?');
    client.socket.write('still there?');
    await until('it is accepted', () => late.socket.readyState === 'open');
    await quiet();
    assert.deepEqual([accepted.length, peer.text, late.closed, client.closed], [1, '', false, false]);
    link.setMode('open');
    await until('all are reset', () => late.closed && client.closed && peer.closed);
    assert.equal(link.connections, 0);
  });

  it('keeps a bounded number of bytes and makes the sender feel it', async () => {
    const [client, peer] = await pair();
    link.setMode('held');
    const chunk = new Uint8Array(256 * 1024);
    const total = 64;
    for (let i = 0; i < total; i++) client.socket.write(chunk);
    await until('the bound is reached', () => link.queuedBytes >= MAX_QUEUED_BYTES);
    await quiet();
    assert.ok(link.queuedBytes < MAX_QUEUED_BYTES + 128 * 1024, String(link.queuedBytes));
    assert.ok(client.socket.writableLength > 0);
    link.setMode('open');
    await until('all arrived', () => peer.bytes === total * chunk.length);
    assert.equal(link.queuedBytes, 0);
  });

  it('passes no more than the reader takes', async () => {
    const [client, peer] = await pair();
    peer.socket.pause();
    const total = 64 * 1024 * 1024;
    client.socket.write(new Uint8Array(total));
    await until('the bound is reached', () => link.queuedBytes >= MAX_QUEUED_BYTES);
    await quiet();
    assert.ok(link.queuedBytes < MAX_QUEUED_BYTES + 128 * 1024);
    peer.socket.resume();
    await until('all arrived', () => peer.bytes === total);
  });

  it('takes a bounded number of connections', async () => {
    link.setMode('held');
    for (let i = 0; i < MAX_LINK_CONNECTIONS; i++) dial();
    await until('as many as it takes', () => link.connections === MAX_LINK_CONNECTIONS);
    const late = dial();
    await until('one too many', () => late.closed);
    assert.equal(link.connections, MAX_LINK_CONNECTIONS);
  });
});

describe('proxy network', () => {
  it('cuts every connection between two nodes, whoever dialled, and no other', async () => {
    const servers = await Promise.all(
      [1, 2, 3].map(async () => {
        const server = createServer((socket) => {
          socket.on('error', () => undefined).pipe(socket);
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        return server;
      }),
    );
    const nodes = servers.map((server, i) => ({ index: i + 1, port: (server.address() as AddressInfo).port }));
    const network = await ProxyNetwork.open(nodes, createRandom('network'));
    const echoes = new Map<string, End>();
    for (const [a, b] of network.pairs().flatMap(([a, b]) => [
      [a, b],
      [b, a],
    ])) {
      echoes.set(`${a}${b}`, new End(connect(network.port(a as number, b as number), '127.0.0.1')));
    }
    const sendAll = async (): Promise<string[]> => {
      const before = new Map([...echoes].map(([name, end]) => [name, end.text.length]));
      for (const end of echoes.values()) end.socket.write('.');
      const answered = (): string[] =>
        [...echoes].filter(([name, end]) => end.text.length > (before.get(name) ?? 0)).map(([name]) => name);
      await waitUntil(() => answered().length === echoes.size, SILENCE_MS);
      return answered().sort();
    };
    try {
      assert.deepEqual(await sendAll(), ['12', '13', '21', '23', '31', '32']);
      assert.equal(network.connections(1, 2), 2);
      network.cut(1, 2, 'held');
      assert.deepEqual(await sendAll(), ['13', '23', '31', '32']);
      network.heal();
      await until('what was held has come', () => network.passedBytes(1, 2) === 8);
      network.partition([[1, 3]], 'held');
      assert.deepEqual(await sendAll(), ['13', '31']);
      network.heal();
      await until('what was held has come', () => network.passedBytes(1, 2) === 12 && network.passedBytes(2, 3) === 12);
      network.holdOneWay(1, 2);
      assert.deepEqual(await sendAll(), ['13', '23', '31', '32']);
      network.heal();
    } finally {
      for (const { socket } of echoes.values()) socket.destroy();
      await network.close();
      for (const server of servers) server.close();
    }
  });
});
