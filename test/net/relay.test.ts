import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { encodeHelloAnswer, HELLO_PROTOCOL } from '../../protocols/hello.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { WorkHandler } from '../../protocols/network.ts';
import { WORK } from '../../protocols/registry.ts';
import type { HostOptions } from '../../src/net/host.ts';
import { framedStream } from '../../src/net/framed-stream.ts';
import { STOP_PROTOCOL } from '../../src/net/relay/messages.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, devnet, meshed, recorder, seedOf, startHost, stopAllHosts, stopHost } from './fixtures.ts';
import { startStranger, stopStrangers } from './stranger.ts';
import { waitFor } from '../util/wait.ts';

const bare = (address: string): string => address.replace(/\/p2p\/.*$/, '');

async function idOf(name: string): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seedOf(name))).toString();
}

/** Where nobody answers: how an operator names a peer whose address leads nowhere from here. */
async function nowhere(name: string): Promise<string> {
  return `/ip4/127.0.0.1/tcp/1/p2p/${await idOf(name)}`;
}

/** Nobody can connect to it, as behind an address translator. */
function startHidden(name: string, peers: readonly string[], options: Partial<HostOptions> = {}): Promise<TestHost> {
  return startHost(name, { listen: [], persistentPeers: peers, relays: ['peers'], ...options });
}

async function startRelay(options: Partial<HostOptions> = {}): Promise<TestHost> {
  return startHost('relay', { relay: 'known', persistentPeers: [await nowhere('a'), await nowhere('b')], ...options });
}

async function startBehind(relay: TestHost): Promise<[TestHost, TestHost]> {
  const at = addressOf(relay);
  return Promise.all([startHidden('a', [at, await nowhere('b')]), startHidden('b', [at, await nowhere('a')])]);
}

function isDirect(from: TestHost, to: TestHost): boolean | undefined {
  return from.host.peers().find(({ peerId }) => peerId === to.host.peerId)?.isDirect;
}

const FRAME = new Uint8Array(WORK.maxRecordBytes).fill(7);

const echo: WorkHandler = async (stream) => {
  for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
};

async function echoed(stream: WorkStream): Promise<Uint8Array | null> {
  await stream.send(FRAME);
  return stream.read();
}

const messages = ({ log }: TestHost): string[] => log.lines.map(({ message }) => message);

describe('relay', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('carries gossip, requests and work between named peers that cannot reach each other, without limit', async () => {
    const relay = await startRelay();
    const [a, b] = await startBehind(relay);
    await meshed(relay, a, b);
    assert.equal(isDirect(a, b), false);
    assert.equal(isDirect(b, a), false);
    assert.equal(isDirect(a, relay), true);
    assert.deepEqual(a.host.multiaddrs(), [`${addressOf(relay)}/p2p-circuit/p2p/${a.host.peerId}`]);

    assert.deepEqual(await a.net.request(b.host.peerId, 'txs', { ids: [new Uint8Array(32)] }), []);
    await b.net.serveWork(echo);
    const work = await a.net.openWork(b.host.peerId, AbortSignal.timeout(5_000));
    // Far more than the 128 KiB that others give a relayed connection.
    for (let i = 0; i < 16; i++) assert.deepEqual(await echoed(work), FRAME);
    work.close();
  });

  for (const laterMs of [0, 3, 6, 9]) {
    it(`keeps two peers together that dial each other, one of them ${laterMs} ms later`, async () => {
      const relay = await startRelay();
      const [a, b] = await Promise.all([startHidden('a', [addressOf(relay)]), startHidden('b', [addressOf(relay)])]);
      await waitFor('the slots', () => [a, b].every(({ host }) => host.multiaddrs().length === 1));
      const [[toA = ''], [toB = '']] = [a.host.multiaddrs(), b.host.multiaddrs()];
      await Promise.all([a.host.dial(toB), sleep(laterMs).then(() => b.host.dial(toA))]);
      await a.net.request(b.host.peerId, 'txs', { ids: [new Uint8Array(32)] });
      await b.net.request(a.host.peerId, 'txs', { ids: [new Uint8Array(32)] });
      const lost = [a, b].flatMap(messages).filter((message) => message === 'connection closed');
      assert.deepEqual(lost, []);
    });
  }

  it('has slot and connection again after relay and peers were gone', async () => {
    let relay = await startRelay();
    const [a, b] = await startBehind(relay);
    await meshed(relay, a, b);
    const listen = [bare(addressOf(relay))];
    await stopHost(relay);
    await waitFor('the loss', () => a.net.peers().length === 0 && b.net.peers().length === 0);
    assert.deepEqual(a.host.multiaddrs(), [], 'nobody is told of a slot that is lost');
    relay = await startRelay({ listen });
    await meshed(relay, a, b);
    await stopHost(a);
    await waitFor('the loss of one', () => b.net.peers().length === 1);
    const again = await startHidden('a', [addressOf(relay), await nowhere('b')]);
    await meshed(relay, again, b);
    assert.equal(isDirect(b, again), false);
  });

  it('is not taken where a direct address answers, and given up for one that answers later', async () => {
    const relay = await startRelay();
    const at = addressOf(relay);
    const a = await startHidden('a', [at], { listen: ['/ip4/127.0.0.1/tcp/0'] });
    await waitFor('the slot', () => messages(a).includes('reachable through a relay'));
    const circuit = `${at}/p2p-circuit/p2p/${a.host.peerId}`;
    const direct = a.host.multiaddrs().find((address) => !address.includes('p2p-circuit')) ?? '';
    const b = await startHidden('b', [at, circuit, direct]);
    await meshed(relay, a, b);
    assert.equal(isDirect(b, a), true);
    await stopHost(b);
    const c = await startHost('b', { persistentPeers: [at] });
    await c.host.dial(circuit);
    await waitFor('the relayed connection', () => isDirect(c, a) === false);
    await c.host.dial(direct).catch(() => undefined);
    await waitFor('both to let go of the relayed one', () => isDirect(a, c) !== false && isDirect(c, a) !== false);
  });

  it('lets a peer be named by its address at a relay', async () => {
    const relay = await startRelay();
    const a = await startHidden('a', [addressOf(relay)]);
    await waitFor('the slot', () => a.host.multiaddrs().length === 1);
    const b = await startHost('b', { listen: [], persistentPeers: a.host.multiaddrs() });
    await waitFor('the connection', () => isDirect(b, a) === false && a.net.peers().includes(b.host.peerId));
  });

  it('serves validators as if they were named, from when a validator has signed for them', async () => {
    const relay = await startHost('relay', { relay: 'known' });
    const [a, b] = await Promise.all([
      startHidden('a', [addressOf(relay)]),
      startHidden('b', [addressOf(relay), await nowhere('a')]),
    ]);
    await waitFor('refusal', () => messages(a).includes('no slot at a relay'));
    relay.net.vouch([a.host.peerId, b.host.peerId]);
    await meshed(relay, a, b);
    assert.equal(isDirect(b, a), false);
  });

  it('takes a connection only from relays where it asked for a slot', async () => {
    const a = await startHost('a');
    const liar = await startStranger();
    await liar.dial(multiaddr(addressOf(a)));
    const stream = await liar.getConnections()[0]?.newStream(STOP_PROTOCOL);
    await waitFor('the reset', () => stream?.status === 'reset');
    assert.deepEqual(a.host.multiaddrs(), [addressOf(a)]);
  });

  it('bound: relays nothing for strangers unless it is open, and for few of them then', async () => {
    const [closed, off] = [await startHost('closed', { relay: 'known' }), await startHost('off')];
    const open = await startHost('open', {
      relay: 'open',
      relayLimits: { maxStrangers: 2, maxStrangerCircuitsPerPeer: 1 },
    });
    const peers = await Promise.all(['s1', 's2', 's3'].map((name) => startHidden(name, [addressOf(open)])));
    const slots = (): number => peers.filter(({ host }) => host.multiaddrs().length > 0).length;
    await waitFor(
      'two slots and a refusal',
      () => slots() === 2 && peers.some((peer) => messages(peer).includes('no slot at a relay')),
    );
    const [x, y] = peers.filter(({ host }) => host.multiaddrs().length > 0);
    assert.ok(x && y);
    const target = x.host.multiaddrs()[0] ?? '';
    await y.host.dial(target);
    await waitFor('the relayed connection', () => isDirect(y, x) === false);
    const further = await startHost('further', { listen: [] });
    await assert.rejects(further.host.dial(target), { code: 'UNREACHABLE' });

    for (const [relay, name] of [
      [closed, 'c'],
      [off, 'o'],
    ] as const) {
      const refused = await startHidden(name, [addressOf(relay)]);
      await waitFor('refusal', () => messages(refused).includes('no slot at a relay'));
      assert.deepEqual(refused.host.multiaddrs(), []);
      await assert.rejects(refused.host.dial(`${addressOf(relay)}/p2p-circuit/p2p/${x.host.peerId}`));
    }
  });

  it('bound: cuts a stranger’s relayed connection after its bytes and after its time; gossip does not use it', async () => {
    const relay = await startHost('relay', {
      relay: 'open',
      relayLimits: { strangerCircuit: { seconds: 600, bytes: 200_000 } },
    });
    const a = await startHidden('a', [addressOf(relay)]);
    await waitFor('the slot', () => a.host.multiaddrs().length === 1);
    const seen = recorder();
    const b = await startHost('b', { listen: [], seen });
    await b.host.dial(a.host.multiaddrs()[0] ?? '');
    await waitFor('the handshake', () => b.net.peers().includes(a.host.peerId));
    await a.net.serveWork(echo);
    const work = await b.net.openWork(a.host.peerId, AbortSignal.timeout(5_000));
    assert.deepEqual(await echoed(work), FRAME);
    assert.equal(await echoed(work).catch(() => null), null);
    await waitFor('the cut', () => isDirect(b, a) === undefined);
    assert.equal(seen.received.length, 0);

    const brief = await startHost('brief', {
      relay: 'open',
      relayLimits: { strangerCircuit: { seconds: 1, bytes: 200_000 } },
    });
    const c = await startHidden('c', [addressOf(brief)]);
    await waitFor('the slot', () => c.host.multiaddrs().length === 1);
    await b.host.dial(c.host.multiaddrs()[0] ?? '');
    await waitFor('the relayed connection', () => isDirect(b, c) === false);
    await waitFor('its end', () => isDirect(b, c) === undefined);
  });

  it('speaks circuit relay v2 with the library on either side', async () => {
    const relay = await startHost('relay', { relay: 'open' });
    const client = await startStranger({ relay: circuitRelayTransport(), listen: [`${addressOf(relay)}/p2p-circuit`] });
    await waitFor('the slot of the library', () => client.getMultiaddrs().length > 0);
    const a = await startHost('a');
    await a.host.dial(String(client.getMultiaddrs()[0]));
    assert.equal(
      a.host.peers().some(({ isDirect: direct }) => !direct),
      true,
    );

    const server = await startStranger({ server: circuitRelayServer(), listen: ['/ip4/127.0.0.1/tcp/0'] });
    await server.handle(HELLO_PROTOCOL, async (stream) => {
      const framed = framedStream(stream, 4_096);
      await framed.read();
      await framed.write(encodeHelloAnswer({ agent: 'other', chains: [devnet], refused: [], goodbye: 'none' }));
    });
    const b = await startHidden('b', [String(server.getMultiaddrs()[0])]);
    await waitFor('the slot at the library', () => b.host.multiaddrs().length > 0);
    const other = await startStranger({ relay: circuitRelayTransport() });
    await other.dial(multiaddr(b.host.multiaddrs()[0] ?? ''));
    assert.equal(other.getConnections(peerIdFromString(b.host.peerId)).length, 1);
  });
});
