import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { PING_RECORD } from '../../protocols/market/work-channel.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import { WORK } from '../../protocols/registry.ts';
import { workProtocolId } from '../../protocols/topics.ts';
import { NodeError } from '../../src/errors.ts';
import { waitFor } from '../util/wait.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, devnet, meshed, startHost, stopAllHosts } from './fixtures.ts';
import { manualClock } from './manual-clock.ts';
import { startStranger, stopStrangers } from './stranger.ts';

const signal = new AbortController().signal;

async function echo(stream: WorkStream): Promise<void> {
  for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
}

/** The second one has a miner that answers what it is sent, unless a test gives another. */
async function pair(serve: (stream: WorkStream) => Promise<void> = echo): Promise<[TestHost, TestHost]> {
  const client = await startHost('a');
  const miner = await startHost('b', { persistentPeers: [addressOf(client)] });
  await miner.net.serveWork(serve);
  await meshed(client, miner);
  return [client, miner];
}

describe('work streams over real hosts', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('carry frames both ways, at once and in order, up to the cap', async () => {
    const [client, miner] = await pair();
    const stream = await client.net.openWork(miner.net.self, signal);
    const frames = [0, 1, 5000, WORK.maxRecordBytes].map((size, i) => new Uint8Array(size).fill(i + 1));
    const sent = Promise.all(frames.map((frame) => stream.send(frame)));
    for (const frame of frames) assert.deepEqual(await stream.read(), frame);
    await sent;
    await assert.rejects(stream.send(new Uint8Array(WORK.maxRecordBytes + 1)), { code: 'TOO_LARGE' });
    stream.close();
    stream.close();
    assert.equal(await stream.read(), null);
  });

  it('are refused where no miner is, and where it has gone; what it serves it ends', async () => {
    let served: WorkStream | null = null;
    const [client, miner] = await pair(async (stream) => {
      served = stream;
      await stream.read();
    });
    await assert.rejects(miner.net.openWork(client.net.self, signal), { code: 'UNREACHABLE' });
    const stream = await client.net.openWork(miner.net.self, signal);
    await stream.send(new Uint8Array(1));
    assert.equal(await stream.read(), null, 'the handler has ended');
    assert.notEqual(served, null);
    await miner.net.serveWork(null);
    await assert.rejects(client.net.openWork(miner.net.self, signal), { code: 'UNREACHABLE' });
    await assert.rejects(client.net.openWork('12D3KooWnobody', signal), { code: 'UNREACHABLE' });
  });

  it('hold up who sends until the other side reads, without loss', async () => {
    const [client, miner] = await pair(async (stream) => {
      await gate;
      await echo(stream);
    });
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const stream = await client.net.openWork(miner.net.self, signal);
    const count = 64;
    let sent = 0;
    const sending = (async () => {
      for (let i = 0; i < count; i++) {
        await stream.send(new Uint8Array(WORK.maxRecordBytes).fill(i));
        sent++;
      }
    })();
    await waitFor('the sender to be held up', async () => {
      const before = sent;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before > 0 && sent === before;
    });
    assert.ok(sent < count, `bound: ${sent} frames of ${count} went out unread`);
    open();
    for (let i = 0; i < count; i++) assert.equal((await stream.read())?.[7], i);
    await sending;
    stream.close();
  });

  it('bound: one that is silent for the lease is reset on both sides; pings keep the others', async () => {
    const clock = manualClock();
    const client = await startHost('a', { clock });
    const miner = await startHost('b', { persistentPeers: [addressOf(client)] });
    const got: unknown[] = [];
    let failure: unknown = null;
    await miner.net.serveWork(async (stream) => {
      try {
        for (let frame = await stream.read(); frame; frame = await stream.read()) got.push(frame);
      } catch (error) {
        failure = error;
        throw error;
      }
    });
    await meshed(client, miner);
    const stream = await client.net.openWork(miner.net.self, signal);
    clock.advance(WORK.pingMs + 1_000);
    await waitFor('a ping', () => got.length > 0);
    assert.deepEqual(got, [PING_RECORD]);
    const broken = assert.rejects(stream.read(), { code: 'UNREACHABLE' });
    clock.advance(WORK.leaseMs);
    await broken;
    await waitFor('the reset', () => failure !== null);
    assert.equal((failure as NodeError).code, 'UNREACHABLE');
  });

  it('come with pings of the miner', async () => {
    const clock = manualClock();
    const client = await startHost('a');
    const miner = await startHost('b', { clock, persistentPeers: [addressOf(client)] });
    await miner.net.serveWork(echo);
    await meshed(client, miner);
    const stream = await client.net.openWork(miner.net.self, signal);
    await stream.send(Uint8Array.of(200));
    assert.deepEqual(await stream.read(), Uint8Array.of(200));
    clock.advance(WORK.pingMs + 1_000);
    const ping = await stream.read();
    assert.deepEqual(ping, PING_RECORD);
    stream.close();
  });

  it('bound: a frame above the cap costs who sent it points', async () => {
    const [, miner] = await pair();
    const peer = await startStranger();
    const connection = await peer.dial(multiaddr(addressOf(miner)));
    const stream = await connection.newStream(workProtocolId(devnet));
    stream.send(Uint8Array.of(255, 0, 0, 0));
    const score = (): number => miner.host.peers().find(({ peerId }) => peerId === peer.peerId.toString())?.score ?? 0;
    await waitFor('the fault to be scored', () => score() < 0);
  });

  it('what frames say costs the peer nothing: it may have passed them on for a client that is none', async () => {
    let refused = 0;
    const [client, miner] = await pair(async (stream) => {
      await stream.read();
      refused++;
      throw new NodeError('CODEC', 'not a work frame');
    });
    for (let i = 0; i < 8; i++) {
      const stream = await client.net.openWork(miner.net.self, signal);
      await stream.send(Uint8Array.of(0));
      await assert.rejects(stream.read(), { code: 'UNREACHABLE' });
    }
    assert.equal(refused, 8);
    const peer = miner.host.peers().find(({ peerId }) => peerId === client.net.self);
    assert.ok(peer && peer.score >= 0, 'neither banned nor scored');
  });

  it('bound: one peer opens half of what a host has, more than a thousand, and tokens pass on all of them', async () => {
    const [client, miner] = await pair();
    const half = WORK.maxStreams / 2;
    const streams = await Promise.all(Array.from({ length: half }, () => client.net.openWork(miner.net.self, signal)));
    await assert.rejects(client.net.openWork(miner.net.self, signal), { code: 'RATE_LIMITED' });
    const tokens = streams.map(async (stream, i) => {
      for (let n = 0; n < 3; n++) {
        const token = new Uint8Array(16).fill(i & 255);
        await stream.send(token);
        assert.deepEqual(await stream.read(), token);
      }
      stream.close();
    });
    await Promise.all(tokens);
    await waitFor('room again', async () => {
      const stream = await client.net.openWork(miner.net.self, signal).catch(() => null);
      stream?.close();
      return stream !== null;
    });
  }).timeout(20_000);

  it('reach miners that are not connected, by the addresses they tell, and no nearer than these were told', async () => {
    const a = await startHost('a');
    const b = await startHost('b');
    const addresses = [addressOf(b)];
    for (const toldIn of ['private', 'public'] as const) {
      await assert.rejects(a.net.connect(b.net.self, addresses, toldIn, signal), { code: 'UNREACHABLE' });
    }
    assert.deepEqual(a.host.peers(), []);
    await Promise.all([1, 2].map(() => a.net.connect(b.net.self, addresses, 'loopback', signal)));
    assert.deepEqual(a.net.peers(), [b.net.self]);
    assert.equal(a.net.scopeOf(b.net.self), 'loopback');
    await a.net.connect(b.net.self, [], 'public', signal);
  });
});
