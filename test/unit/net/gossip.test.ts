import assert from 'node:assert/strict';
import type { GossipSub, TopicValidatorFn } from '@chainsafe/libp2p-gossipsub';
import type { PeerId } from '@libp2p/interface';
import { TOPIC_CODECS } from '../../../protocols/codec.ts';
import type { Topic } from '../../../protocols/messages.ts';
import { TOPICS } from '../../../protocols/registry.ts';
import { topicName } from '../../../protocols/topics.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { ChainGossip, PUBLISH_BOUNDS } from '../../../src/net/gossip.ts';
import { messageId } from '../../../src/net/gossip-service.ts';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import { PeerQuotas } from '../../../src/net/peer-quotas.ts';
import { PeerBook } from '../../../src/net/peers.ts';
import { devnet, recorder, recordingLogger, status } from '../../net/fixtures.ts';
import { manualClock } from '../../net/manual-clock.ts';

const SENDER = { toString: () => 'sender' } as PeerId;

function setUp(chain = devnet, shared: PeerQuotas | null = null) {
  const clock = manualClock();
  const log = recordingLogger();
  const metrics = createNetMetrics();
  const book = new PeerBook({ clock, log, metrics, persistent: new Set(), onBan: () => undefined });
  const quotas = shared ?? new PeerQuotas(clock, book);
  const seen = recorder();
  const published: string[] = [];
  const flushed: string[] = [];
  const validators = new Map<string, TopicValidatorFn>();
  const service = {
    topicValidators: validators,
    subscribe: () => undefined,
    unsubscribe: () => undefined,
    publish: (topic: string) => {
      published.push(topic);
      return Promise.resolve({ recipients: [] });
    },
  } as unknown as GossipSub;
  let waiting = 0;
  const firstHand = new WeakSet<Uint8Array>();
  const gossip = new ChainGossip({
    chain,
    gossip: service,
    firstHand,
    handlers: seen.handlers.gossip,
    hasher: nativeHasher,
    backlog: { bytes: () => waiting, add: () => undefined },
    flush: () => {
      flushed.push(...published);
    },
    book,
    quotas,
    clock,
    log,
    metrics,
  });
  gossip.start();
  const receive = async (topic: Topic, data: Uint8Array): Promise<string> =>
    (await validators.get(topicName(chain, topic))?.(SENDER, { type: 'unsigned', topic, data })) ?? 'none';
  const wait = (bytes: number): void => {
    waiting = bytes;
  };
  return { clock, gossip, firstHand, seen, book, quotas, log, published, flushed, receive, wait, validators };
}

const statusBytes = (height: number): Uint8Array => TOPIC_CODECS.status.encode(status('x', height));

describe('net/gossip', () => {
  it('drops transactions before votes when peers do not keep up', () => {
    const { gossip, published, wait, log } = setUp();
    const vote = { type: 'prevote' as const, height: 1, round: 0, blockId: null };
    const votes = [{ ...vote, validator: new Uint8Array(32), signature: new Uint8Array(64) }];
    wait(PUBLISH_BOUNDS.tx);
    gossip.publish('tx', { attempt: 0, origin: 'a', txs: [] });
    gossip.publish('vote', { attempt: 0, votes });
    assert.deepEqual(published, [topicName(devnet, 'vote')]);
    wait(PUBLISH_BOUNDS.vote);
    gossip.publish('vote', { attempt: 1, votes });
    assert.equal(published.length, 1);
    assert.ok(
      log.lines.some(({ message, context }) => message.includes('not sent') && context['reason'] === 'backlog'),
    );
  });

  it('marks what came from its author, for whoever relays it', async () => {
    const { firstHand, receive, seen } = setUp();
    for (const code of ['OK', 'FIRST_HAND', 'STALE'] as const) {
      seen.code = code;
      const bytes = statusBytes(1);
      assert.equal(await receive('status', bytes), code === 'STALE' ? 'ignore' : 'accept');
      assert.equal(firstHand.has(bytes), code === 'FIRST_HAND', code);
    }
  });

  it('votes and proposals leave at once, the rest at the end of the turn', async () => {
    const { gossip, published, flushed } = setUp();
    gossip.publish('tx', { attempt: 0, origin: 'a', txs: [] });
    await Promise.resolve();
    assert.deepEqual(flushed, []);
    const vote = { type: 'prevote' as const, height: 1, round: 0, blockId: null };
    const votes = [{ ...vote, validator: new Uint8Array(32), signature: new Uint8Array(64) }];
    gossip.publish('vote', { attempt: 0, votes });
    await Promise.resolve();
    assert.deepEqual(flushed, published);
  });

  it('never throws for a message without encoding or above its cap', () => {
    const { gossip, published, log } = setUp();
    gossip.publish('status', { ...status('x', 1), height: -1 });
    const bytes = new Uint8Array(TOPICS.tx.maxBytes);
    gossip.publish('tx', { attempt: 0, origin: 'a', txs: [{ bytes } as never] });
    assert.deepEqual(published, []);
    const reasons = log.lines.filter(({ level }) => level === 'warn').map(({ context }) => context['reason']);
    assert.deepEqual(reasons, ['codec', 'size']);
  });

  it('bounds the checks in flight of a topic', async () => {
    const { seen, receive, book } = setUp();
    const finish: (() => void)[] = [];
    seen.gossip.evidence = () =>
      new Promise((resolve) =>
        finish.push(() => {
          resolve('OK');
        }),
      );
    const core = { height: 1, round: 0, polRound: -1, blockId: new Uint8Array(32), proposer: new Uint8Array(32) };
    const a = { ...core, signature: new Uint8Array(64) };
    const bytes = TOPIC_CODECS.evidence.encode({ kind: 'duplicate-proposal', a, b: a });
    const open = Array.from({ length: TOPICS.evidence.maxInFlight }, () => receive('evidence', bytes));
    assert.equal(await receive('evidence', bytes), 'ignore');
    for (const fn of finish) fn();
    assert.deepEqual(new Set(await Promise.all(open)), new Set(['accept']));
    seen.gossip = {};
    assert.equal(await receive('evidence', bytes), 'accept', 'room again');
    assert.equal(book.score('sender'), 0);
  });

  it('ignores a sender above its quota, and reports one that goes on', async () => {
    const { receive, book } = setUp();
    for (let i = 0; i < TOPICS.status.quota.capacity; i++)
      assert.equal(await receive('status', statusBytes(i)), 'accept');
    assert.equal(await receive('status', statusBytes(9_999)), 'ignore');
    assert.equal(book.score('sender'), 0);
    for (let i = 0; i < 20; i++) await receive('status', statusBytes(10_000 + i));
    assert.ok(book.score('sender') < 0);
  });

  it('counts what a sender sends on one chain against that chain alone', async () => {
    const busy = setUp();
    const quiet = setUp({ ...devnet, chainId: 'ait-testnet' }, busy.quotas);
    for (let i = 0; i <= TOPICS.status.quota.capacity; i++) await busy.receive('status', statusBytes(i));
    assert.equal(await busy.receive('status', statusBytes(9_999)), 'ignore');
    assert.equal(await quiet.receive('status', statusBytes(9_999)), 'accept');
  });

  it('follows no topic after it stopped', () => {
    const { gossip, validators } = setUp();
    assert.equal(validators.size, Object.keys(TOPICS).length);
    gossip.stop();
    assert.equal(validators.size, 0);
  });

  it('ids depend on topic and content', () => {
    const data = Uint8Array.of(1, 2);
    assert.equal(messageId('a', data).length, 20);
    assert.deepEqual(messageId('a', data), messageId('a', data));
    assert.notDeepEqual(messageId('a', data), messageId('b', data));
    assert.notDeepEqual(messageId('a', data), messageId('a', Uint8Array.of(1)));
  });
});
