import assert from 'node:assert/strict';
import type { Connection, Stream } from '@libp2p/interface';
import { byteStream } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import { encodeHello, HELLO_PROTOCOL, MAX_CHAINS } from '../../protocols/hello.ts';
import { HELLO_QUOTA, HELLO_TIMEOUT_MS } from '../../protocols/registry.ts';
import { MAX_REFUSALS } from '../../src/net/hello-service.ts';
import { waitFor } from '../util/wait.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, chainOf, devnet, meshed, recorder, startHost, stopAllHosts, stopHost } from './fixtures.ts';
import { manualClock } from './manual-clock.ts';
import { startStranger, stopStrangers } from './stranger.ts';

const byteStreamOf = new WeakMap<Stream, ReturnType<typeof byteStream>>();

async function sayHello(connection: Connection, hello: Uint8Array): Promise<Stream> {
  const stream = await connection.newStream(HELLO_PROTOCOL);
  const bytes = byteStream(stream);
  byteStreamOf.set(stream, bytes);
  await bytes.write(Uint8Array.of(0, 0, hello.length >> 8, hello.length & 0xff, ...hello));
  return stream;
}

const refusalLines = ({ log }: TestHost) => log.lines.filter(({ message }) => message.startsWith('chain refused'));

describe('handshake', () => {
  afterEach(stopAllHosts);

  it('refuses a chain of another genesis with the reason on both sides, closes, and bans nobody', async () => {
    const a = await startHost('a');
    const b = await startHost('b', {
      chain: chainOf('ait-devnet', 'another genesis'),
      persistentPeers: [addressOf(a)],
    });
    await waitFor('both to refuse', () => a.host.refusals().length === 1 && b.host.refusals().length === 1);
    await waitFor('the connection to close', () => a.host.peers().length === 0 && b.host.peers().length === 0);
    const [ofA] = a.host.refusals();
    const [ofB] = b.host.refusals();
    assert.equal(ofA?.peer, b.host.peerId);
    assert.equal(ofB?.peer, a.host.peerId);
    assert.equal(ofA?.chainId, 'ait-devnet');
    assert.equal(ofA?.ourGenesis, ofB?.theirGenesis);
    assert.equal(ofA?.theirGenesis, ofB?.ourGenesis);
    for (const side of [a, b]) {
      const [line] = refusalLines(side);
      assert.equal(line?.level, 'warn');
      assert.equal(line.context['chainId'], 'ait-devnet');
      assert.ok(side.log.lines.some(({ message }) => message.includes('shares no chain')));
      assert.deepEqual(side.host.bans(), []);
      assert.deepEqual(side.seen.joined, []);
    }
  });

  it('keeps the connection while another chain is shared', async () => {
    const a = await startHost('a');
    const testnet = chainOf('ait-testnet');
    const more = recorder();
    await a.host.addChain({ chain: testnet, handlers: more.handlers });
    const b = await startHost('b', { chain: testnet });
    await b.host.addChain({ chain: chainOf('ait-devnet', 'another genesis'), handlers: recorder().handlers });
    await b.host.dial(addressOf(a));
    await waitFor('testnet to be shared', () => more.joined.length === 1 && b.seen.joined.length === 1);
    await waitFor('devnet to be refused', () => a.host.refusals().length === 1 && b.host.refusals().length === 1);
    assert.deepEqual(a.host.peers()[0]?.chains, ['ait-testnet']);
    assert.equal(a.host.peers().length, 1);
    assert.deepEqual(a.net.peers(), []);
  });

  it('tells of chains added and dropped later', async () => {
    const a = await startHost('a');
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    await meshed(a, b);
    const testnet = chainOf('ait-testnet');
    const seen = [recorder(), recorder()] as const;
    const net = await a.host.addChain({ chain: testnet, handlers: seen[0].handlers });
    await b.host.addChain({ chain: testnet, handlers: seen[1].handlers });
    await waitFor('the second chain', () => seen[0].joined.length === 1 && seen[1].joined.length === 1);
    await net.close();
    await waitFor('its end', () => seen[0].gone.length === 1 && seen[1].gone.length === 1);
    assert.deepEqual(a.host.peers()[0]?.chains, ['ait-devnet']);
  });

  it('tells when a peer comes and goes', async () => {
    const a = await startHost('a');
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    await waitFor('joined', () => a.seen.joined.length === 1 && b.seen.joined.length === 1);
    await b.host.stop();
    await waitFor('gone', () => a.seen.gone.length === 1);
    assert.deepEqual(a.net.peers(), []);
  });

  it('refuses a chain twice, and more chains than a handshake can name', async () => {
    const a = await startHost('a');
    const again = a.host.addChain({ chain: devnet, handlers: recorder().handlers });
    await assert.rejects(again, { code: 'CONFLICT' });
    for (let i = 1; i < MAX_CHAINS; i++) {
      await a.host.addChain({ chain: chainOf(`chain-${i}`), handlers: recorder().handlers });
    }
    const over = a.host.addChain({ chain: chainOf('one-more'), handlers: recorder().handlers });
    await assert.rejects(over, { code: 'TOO_LARGE' });
  });
});

describe('handshake with a peer that does not play along', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('closes a connection whose dialler says nothing', async () => {
    const clock = manualClock();
    const a = await startHost('a', { clock });
    const peer = await startStranger();
    await peer.dial(multiaddr(addressOf(a)));
    await waitFor('the connection', () => a.host.peers().length === 1);
    clock.advance(HELLO_TIMEOUT_MS);
    await waitFor('its end', () => a.host.peers().length === 0 && peer.getConnections().length === 0);
  });

  it('drops a peer that shares the chain but is deaf to its gossip, so that it can start afresh', async () => {
    const clock = manualClock();
    const a = await startHost('a', { clock });
    const peer = await startStranger();
    const connection = await peer.dial(multiaddr(addressOf(a)));
    await sayHello(connection, encodeHello({ agent: 'test', chains: [devnet] }));
    await waitFor('the chain to be shared', () => a.net.peers().length === 1);
    clock.advance(20_000);
    await waitFor('the end', () => a.host.peers().length === 0);
    assert.ok(a.log.lines.some(({ message }) => message.startsWith('no gossip subscriptions')));
  });

  it('remembers a bounded number of refusals and logs each once', async () => {
    const a = await startHost('a');
    const other = chainOf('ait-devnet', 'another genesis');
    for (let i = 0; i < 3; i++) {
      const b = await startHost('b', { chain: other });
      await b.host.dial(addressOf(a));
      await waitFor('the end', () => a.host.peers().length === 0 && b.host.refusals().length === 1);
      await stopHost(b);
    }
    assert.equal(a.host.refusals().length, 1, 'one a peer and chain');
    assert.equal(refusalLines(a).filter(({ level }) => level === 'warn').length, 1);
  });

  it('remembers no more refusals than its bound', async () => {
    const a = await startHost('a');
    const names = Array.from({ length: MAX_CHAINS - 1 }, (_, i) => `chain-${String(i).padStart(2, '0')}`);
    for (const name of names) await a.host.addChain({ chain: chainOf(name), handlers: recorder().handlers });
    const others = names.map((name) => chainOf(name, `another ${name}`));
    const hello = encodeHello({ agent: 'test', chains: [devnet, ...others] });
    for (let i = 1; i <= 5; i++) {
      const peer = await startStranger();
      await sayHello(await peer.dial(multiaddr(addressOf(a))), hello);
      await waitFor('the refusals', () => {
        const id = peer.peerId.toString();
        return a.host.refusals().filter((refusal) => refusal.peer === id).length === names.length;
      });
    }
    assert.equal(a.host.refusals().length, MAX_REFUSALS);
  });

  it('answers a bounded number of handshakes', async () => {
    const a = await startHost('a', { clock: manualClock() });
    const peer = await startStranger();
    const connection = await peer.dial(multiaddr(addressOf(a)));
    const hello = encodeHello({ agent: 'test', chains: [devnet] });
    for (let i = 0; i < HELLO_QUOTA.capacity; i++) {
      const stream = await sayHello(connection, hello);
      await byteStreamOf.get(stream)?.read({ bytes: 4 });
      await stream.close();
    }
    await assert.rejects(async () => {
      const refused = await sayHello(connection, hello);
      await byteStreamOf.get(refused)?.read({ bytes: 4 });
    });
  });

  it('a handshake that does not decode costs points and the connection', async () => {
    const a = await startHost('a');
    const peer = await startStranger();
    const connection = await peer.dial(multiaddr(addressOf(a)));
    const bytes = byteStream(await connection.newStream(HELLO_PROTOCOL));
    await bytes.write(Uint8Array.of(0, 0, 0, 2, 9, 9));
    await waitFor('the end', () => peer.getConnections().length === 0);
    assert.deepEqual(a.seen.joined, []);
  });
});
