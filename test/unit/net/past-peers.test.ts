import assert from 'node:assert/strict';
import { MAX_PAST_PEERS, PastPeers } from '../../../src/net/past-peers.ts';

describe('net/past-peers', () => {
  it('bound: of peers that are gone the last are remembered; who comes back is not forgotten', () => {
    const forgotten: string[] = [];
    const past = new PastPeers((peer) => forgotten.push(peer));
    past.onDisconnect('back');
    past.onDisconnect('first');
    past.onConnect('back');
    for (let i = 1; i < MAX_PAST_PEERS; i++) past.onDisconnect(`peer ${i}`);
    assert.deepEqual(forgotten, []);
    past.onDisconnect('one more');
    past.onDisconnect('one more');
    assert.deepEqual(forgotten, ['first']);
  });
});
