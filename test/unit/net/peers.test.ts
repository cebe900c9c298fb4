import assert from 'node:assert/strict';
import { BAN_MS, BAN_SCORE, SCORE_CAP, SCORE_HALF_LIFE_MS } from '../../../protocols/peer-actions.ts';
import { REFUSAL_QUOTA } from '../../../protocols/registry.ts';
import { nopLogger } from '../../../src/log.ts';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import { MAX_BUCKETS, PeerQuotas } from '../../../src/net/peer-quotas.ts';
import { MAX_REMEMBERED_PEERS, PeerBook } from '../../../src/net/peers.ts';
import { manualClock } from '../../net/manual-clock.ts';

function book(persistent: readonly string[] = []) {
  const clock = manualClock();
  const banned: string[] = [];
  const peers = new PeerBook({
    clock,
    log: nopLogger,
    metrics: createNetMetrics(),
    persistent: new Set(persistent),
    onBan: (peer) => banned.push(peer),
  });
  return { clock, banned, peers };
}

describe('net/peers', () => {
  it('adds points up to the cap and lets them decay by half-life', () => {
    const { clock, peers } = book();
    for (let i = 0; i < 2 * SCORE_CAP; i++) peers.report('a', 'useful', '');
    assert.equal(peers.score('a'), SCORE_CAP);
    clock.advance(SCORE_HALF_LIFE_MS);
    assert.equal(peers.score('a'), SCORE_CAP / 2);
    assert.equal(peers.score('stranger'), 0);
  });

  it('bans at the threshold, once, for the time, and keeps half the points after it', () => {
    const { clock, banned, peers } = book();
    for (let i = 0; i < 9; i++) peers.report('a', 'invalid-gossip', 'MALFORMED');
    assert.ok(!peers.banned('a'));
    peers.report('a', 'invalid-gossip', 'MALFORMED');
    assert.ok(peers.banned('a'));
    peers.report('a', 'lie', 'ignored while banned');
    assert.deepEqual(banned, ['a']);
    assert.deepEqual(peers.bans(), [{ peer: 'a', reason: 'invalid-gossip: MALFORMED', remainingMs: BAN_MS }]);
    clock.advance(BAN_MS - 1);
    assert.ok(peers.banned('a'));
    clock.advance(1);
    assert.ok(!peers.banned('a'));
    assert.equal(peers.score('a'), BAN_SCORE / 2);
  });

  it('never bans a persistent peer for silence alone, but does for a lie', () => {
    const { peers } = book(['validator']);
    for (let i = 0; i < 200; i++) peers.report('validator', 'timeout', 'votes');
    for (let i = 0; i < 200; i++) peers.report('validator', 'quota', 'votes');
    assert.ok(!peers.banned('validator'));
    assert.equal(peers.gossipScore('validator'), 0, 'and it keeps its place in the mesh');
    assert.ok(peers.score('validator') < -90);
    for (let i = 0; i < 200; i++) peers.report('other', 'timeout', 'votes');
    assert.ok(peers.banned('other'));
    peers.report('validator', 'lie', 'forged certificate');
    assert.ok(peers.banned('validator'));
  });

  it('remembers a bounded number of peers, bans longest', () => {
    const { peers } = book();
    peers.report('liar', 'lie', '');
    for (let i = 0; i < MAX_REMEMBERED_PEERS + 100; i++) peers.report(`peer-${i}`, 'timeout', '');
    assert.ok(peers.banned('liar'));
    const kept = Array.from({ length: MAX_REMEMBERED_PEERS + 100 }, (_, i) => peers.score(`peer-${i}`));
    assert.equal(kept.filter((score) => score < 0).length, MAX_REMEMBERED_PEERS - 1);
  });
});

describe('net/peer-quotas', () => {
  it('forgives some refusals, then reports', () => {
    const { clock, peers } = book();
    const quotas = new PeerQuotas(clock, peers);
    const rule = { capacity: 1, refillPerSecond: 0.001, unit: 'x', reason: '' };
    assert.ok(quotas.take('a', 'x', rule, 1));
    for (let i = 0; i < REFUSAL_QUOTA.capacity; i++) assert.ok(!quotas.take('a', 'x', rule, 1));
    assert.equal(peers.score('a'), 0);
    quotas.take('a', 'x', rule, 1);
    assert.equal(peers.score('a'), -10);
    assert.ok(quotas.take('b', 'x', rule, 1), 'another peer has its own');
  });

  it('keeps a bounded number of buckets, the least used go first', () => {
    const { clock, peers } = book();
    const quotas = new PeerQuotas(clock, peers);
    const rule = { capacity: 1, refillPerSecond: 0.001, unit: 'x', reason: '' };
    assert.ok(quotas.take('first', 'x', rule, 1));
    for (let i = 0; i < MAX_BUCKETS; i++) quotas.take(`peer-${i}`, 'x', rule, 1);
    assert.ok(quotas.take('first', 'x', rule, 1), 'forgotten');
    assert.ok(!quotas.take(`peer-${MAX_BUCKETS - 1}`, 'x', rule, 1), 'remembered');
  });
});
