import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { encodeHello, HELLO_PROTOCOL, MAX_HELLO_ANSWER_BYTES } from '../../protocols/hello.ts';
import { decodeNeighbours, encodeNeighbours, NEIGHBOURS_PROTOCOL } from '../../protocols/neighbours.ts';
import { NEIGHBOURS_QUOTA } from '../../protocols/registry.ts';
import { TOPIC_CODECS } from '../../protocols/codec.ts';
import { topicName } from '../../protocols/topics.ts';
import { framedStream } from '../../src/net/framed-stream.ts';
import { waitFor } from '../util/wait.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, devnet, heard, startHost, status, stopAllHosts, stopHost } from './fixtures.ts';
import type { Stranger } from './stranger.ts';
import { startStranger, stopStrangers } from './stranger.ts';

const TOPIC = topicName(devnet, 'status');

/** Connected to one host, records what that tells and relays to it, and tells what it likes. */
class Listener {
  readonly peer: Stranger;
  readonly told: string[][] = [];
  readonly heights: number[] = [];

  static async of(host: TestHost): Promise<Listener> {
    const listener = new Listener(await startStranger());
    await listener.#join(host);
    return listener;
  }

  constructor(peer: Stranger) {
    this.peer = peer;
  }

  async #join(host: TestHost): Promise<void> {
    const { gossip } = this.peer.services;
    gossip.addEventListener('message', ({ detail }) => {
      this.heights.push(TOPIC_CODECS.status.decode({} as never, detail.data).height);
    });
    await this.peer.handle(NEIGHBOURS_PROTOCOL, async (stream) => {
      const bytes = await framedStream(stream, 10_000).read();
      if (bytes) this.told.push(decodeNeighbours(bytes));
    });
    for (const topic of ['vote', 'status'] as const) gossip.subscribe(topicName(devnet, topic));
    const stream = await this.peer.dialProtocol(multiaddr(addressOf(host)), HELLO_PROTOCOL);
    const framed = framedStream(stream, MAX_HELLO_ANSWER_BYTES);
    await framed.write(encodeHello({ agent: 'listener', chains: [devnet] }));
    await framed.read();
    framed.close();
    await waitFor('the host to subscribe', () => gossip.getSubscribers(TOPIC).length > 0);
  }

  async tell(host: TestHost, bytes: Uint8Array): Promise<void> {
    const stream = await this.peer.dialProtocol(multiaddr(addressOf(host)), NEIGHBOURS_PROTOCOL);
    const framed = framedStream(stream, 0);
    await framed.write(bytes);
    framed.close();
  }
}

/** What `from` publishes until something of it came: the message may overtake what was told. */
async function relays(from: TestHost, listener: Listener, height: number): Promise<boolean> {
  from.net.publish('status', status(from.host.peerId, height));
  await new Promise((resolve) => setTimeout(resolve, 100));
  return listener.heights.includes(height);
}

describe('neighbours', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('what came from its author is relayed to those only that do not hear it themselves', async () => {
    const author = await startHost('a');
    const relay = await startHost('b', { persistentPeers: [addressOf(author)] });
    await heard([author, relay]);
    const listener = await Listener.of(relay);
    relay.seen.code = 'FIRST_HAND';
    let height = 1;
    await waitFor('a relayed message', () => relays(author, listener, ++height));

    await listener.tell(relay, encodeNeighbours([author.host.peerId]));
    await waitFor('the relay to spare it', async () => !(await relays(author, listener, ++height)));
    relay.seen.code = 'OK';
    await waitFor('what the author did not send itself', () => relays(author, listener, ++height));

    relay.seen.code = 'FIRST_HAND';
    await listener.tell(relay, encodeNeighbours([]));
    await waitFor('a message after it was told otherwise', () => relays(author, listener, ++height));
  });

  it('a host tells whom it hears, when one comes and when one is gone', async () => {
    const host = await startHost('a');
    const listener = await Listener.of(host);
    const other = await startHost('b', { persistentPeers: [addressOf(host)] });
    await heard([host, other]);
    await waitFor('word of the one that came', () => listener.told.at(-1)?.[0] === other.host.peerId);
    await stopHost(other);
    await waitFor('word that it is gone', () => listener.told.at(-1)?.length === 0);
  });

  it('bytes that are none cost points, and who tells too often is not spared anything', async () => {
    const author = await startHost('a');
    const relay = await startHost('b', { persistentPeers: [addressOf(author)] });
    await heard([author, relay]);
    const listener = await Listener.of(relay);
    const score = (): number =>
      relay.host.peers().find(({ peerId }) => peerId === listener.peer.peerId.toString())?.score ?? 0;
    await listener.tell(relay, Uint8Array.of(2, 1, 98, 1, 97));
    await waitFor('points', () => score() < 0);

    const said = encodeNeighbours([author.host.peerId]);
    for (let i = 0; i <= NEIGHBOURS_QUOTA.capacity; i++) await listener.tell(relay, said).catch(() => undefined);
    relay.seen.code = 'FIRST_HAND';
    let height = 1;
    await waitFor('a relayed message', () => relays(author, listener, ++height));
    assert.ok(height > 1);
  });
});
