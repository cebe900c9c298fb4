import assert from 'node:assert/strict';
import fc from 'fast-check';
import { multiaddr } from '@multiformats/multiaddr';
import { TOPIC_CODECS } from '../../protocols/codec.ts';
import type { SignedStatus, TxBatch } from '../../protocols/messages.ts';
import { TOPICS } from '../../protocols/registry.ts';
import { topicName } from '../../protocols/topics.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import { GOSSIP_VERDICTS } from '../../protocols/verdicts.ts';
import * as any from '../unit/protocols/arbitraries.ts';
import { waitFor } from '../util/wait.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, devnet, heard, meshed, startHost, status, stopAllHosts } from './fixtures.ts';
import type { Stranger } from './stranger.ts';
import { startStranger, stopStrangers } from './stranger.ts';

async function subscribed(target: TestHost, topics: readonly string[]): Promise<Stranger> {
  const peer = await startStranger();
  for (const topic of topics) peer.services.gossip.subscribe(topic);
  await peer.dial(multiaddr(addressOf(target)));
  const known = () => peer.services.gossip.getSubscribers(topicName(devnet, 'tx')).length > 0;
  await waitFor('the host to subscribe', known);
  return peer;
}

const heightOf = (message: unknown): number => (message as SignedStatus).height;

describe('gossip over real hosts', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('three hosts connect, and what one publishes reaches the others once and never itself', async () => {
    const a = await startHost('a');
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    const c = await startHost('c', { persistentPeers: [addressOf(a), addressOf(b)] });
    await meshed(a, b, c);
    const sevens = ({ seen }: TestHost) => seen.received.filter(({ message }) => heightOf(message) === 7);
    a.net.publish('status', status(a.host.peerId, 7));
    await waitFor('delivery', () => sevens(b).length > 0 && sevens(c).length > 0);
    assert.deepEqual(sevens(c)[0]?.message, status(a.host.peerId, 7));
    await heard([a, b, c]);
    assert.equal(sevens(a).length, 0);
    assert.equal(sevens(b).length + sevens(c).length, 0, 'no repetition after the list was cleared');
  });

  it('every code leads to its verdict: accepted is relayed, rejected costs the sender points', async () => {
    // a – b – c: what a publishes reaches c only when b accepts and relays it.
    const a = await startHost('a');
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    const c = await startHost('c', { persistentPeers: [addressOf(b)] });
    await waitFor('a line', () => b.net.peers().length === 2);
    await heard([a, b]);
    await heard([b, c]);
    a.seen.code = 'OK';
    const codes = Object.keys(GOSSIP_VERDICTS) as GossipCode[];
    let height = 10;
    for (const code of codes) {
      const verdict = GOSSIP_VERDICTS[code];
      b.seen.code = code;
      const before = b.host.peers().find(({ peerId }) => peerId === a.host.peerId)?.score ?? 0;
      height += 1;
      a.net.publish('status', status('x', height));
      await waitFor('b to check it', () => b.seen.received.some(({ message }) => heightOf(message) === height));
      const relayed = () => c.seen.received.some(({ message }) => heightOf(message) === height);
      if (verdict === 'accept') {
        await waitFor('c to hear it', relayed);
      } else if (verdict === 'reject') {
        await waitFor('points lost', () => {
          const now = b.host.peers().find(({ peerId }) => peerId === a.host.peerId)?.score ?? 0;
          return now < before - 5;
        });
      }
      // A marker that b publishes itself comes after anything it relayed.
      b.net.publish('status', status('marker', height));
      await waitFor('the marker', () =>
        c.seen.received.some(({ message }) => {
          const heard = message as SignedStatus;
          return heard.peerId === 'marker' && heard.height === height;
        }),
      );
      const relays = c.seen.received.filter(({ message }) => (message as SignedStatus).peerId === 'x' && relayed());
      assert.equal(
        relays.some(({ message }) => heightOf(message) === height),
        verdict === 'accept',
        code,
      );
      const after = b.host.peers().find(({ peerId }) => peerId === a.host.peerId)?.score ?? 0;
      if (verdict !== 'reject') assert.ok(after >= before - 1, `${code} costs nothing`);
    }
  });

  it('a handler that throws punishes nobody', async () => {
    const a = await startHost('a');
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    await meshed(a, b);
    b.seen.gossip = { status: () => Promise.reject(new TypeError('a defect')) };
    a.net.publish('status', status('x', 1));
    await waitFor('the failure to be logged', () =>
      b.log.lines.some(({ message }) => message === 'gossip handler failed'),
    );
    assert.equal(b.host.peers()[0]?.score, 0);
    b.seen.gossip = {};
    await heard([a, b]);
  });

  it('malformed and oversized messages cost points until the sender is banned', async () => {
    const host = await startHost('a');
    const txTopic = topicName(devnet, 'tx');
    const peer = await subscribed(host, [txTopic]);
    const id = peer.peerId.toString();
    const score = () => host.host.peers().find(({ peerId }) => peerId === id)?.score ?? 0;
    await peer.services.gossip.publish(txTopic, Uint8Array.of(0, 1, 2));
    await waitFor('malformed', () => score() < -5);
    await peer.services.gossip.publish(txTopic, new Uint8Array(TOPICS.tx.maxBytes + 1));
    await waitFor('oversized', () => score() < -15);
    assert.equal(host.seen.received.length, 0, 'no handler saw them');
    // A relay between them would hide the sender; it is direct here, so ten faults in all are enough.
    for (let i = 0; i < 20 && host.host.bans().length === 0; i++) {
      await peer.services.gossip.publish(txTopic, Uint8Array.of(9, i)).catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor('the ban', () => host.host.bans().some((ban) => ban.peer === id));
    await waitFor('the disconnect', () => host.host.peers().length === 0);
    await peer.dial(multiaddr(addressOf(host))).catch(() => undefined);
    await waitFor('refusal', () => peer.getConnections().length === 0);
    assert.equal(host.host.peers().length, 0);
  });

  it('a topic that nobody follows leaves no trace', async () => {
    const host = await startHost('a');
    const foreign = '/aitbc/other/00000000/tx/1';
    const peer = await subscribed(host, [topicName(devnet, 'status'), foreign]);
    const forged = peer.services.gossip as unknown as { topics: Map<string, Set<string>> };
    forged.topics.set(foreign, new Set([host.host.peerId]));
    await peer.services.gossip.publish(foreign, new Uint8Array(100));
    const bytes = TOPIC_CODECS.status.encode(status('marker', 3));
    await peer.services.gossip.publish(topicName(devnet, 'status'), bytes);
    await waitFor('a later message', () => host.seen.received.length === 1);
    assert.equal(host.host.peers()[0]?.score, 0);
  });

  it('what nobody was there to hear reaches who comes later when it is said again as another attempt', async () => {
    const a = await startHost('a');
    const [tx] = fc.sample(any.transaction, 1);
    assert.ok(tx);
    a.net.publish('tx', { attempt: 0, origin: 'a', txs: [tx] });
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    await heard([a, b]);
    a.net.publish('tx', { attempt: 0, origin: 'a', txs: [tx] });
    a.net.publish('tx', { attempt: 1, origin: 'a', txs: [tx] });
    const attempts = (): unknown[] =>
      b.seen.received.filter(({ topic }) => topic === 'tx').map(({ message }) => (message as TxBatch).attempt);
    await waitFor('the second attempt', () => attempts().length > 0);
    assert.deepEqual(attempts(), [1]);
  });

  it('publishing to nobody and repeating a message are no errors', async () => {
    const a = await startHost('a');
    a.net.publish('status', status('x', 1));
    a.net.publish('status', status('x', 1));
    await a.net.close();
    a.net.publish('status', status('x', 2));
    assert.deepEqual(
      a.log.lines.filter(({ level }) => level === 'warn' || level === 'error'),
      [],
    );
  });
});
