import assert from 'node:assert/strict';
import type { Connection } from '@libp2p/interface';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import { Neighbours } from '../../../src/net/neighbours.ts';
import { PeerQuotas } from '../../../src/net/peer-quotas.ts';
import { PeerBook } from '../../../src/net/peers.ts';
import { nopLogger } from '../../../src/log.ts';
import { manualClock } from '../../net/manual-clock.ts';

describe('net/neighbours', () => {
  it('bound: peers that come and go are told of once a second at most, the last time included', () => {
    const clock = manualClock();
    const book = new PeerBook({
      ...{ clock, log: nopLogger, metrics: createNetMetrics() },
      ...{ persistent: new Set<string>(), onBan: () => undefined },
    });
    let heard = ['a', 'b'];
    const told: string[] = [];
    const neighbours = new Neighbours({
      heard: () => heard,
      connection: (peer) =>
        ({
          newStream: () => {
            told.push(peer);
            return new Promise(() => undefined);
          },
        }) as unknown as Connection,
      ...{ book, quotas: new PeerQuotas(clock, book), clock },
    });
    neighbours.onPeer();
    clock.advance(499);
    assert.deepEqual(told, []);
    clock.advance(1);
    assert.deepEqual(told.splice(0), ['a', 'b']);
    for (let i = 0; i < 99; i++) {
      heard = i % 2 === 0 ? ['a', 'b', 'c'] : ['a', 'b'];
      neighbours.onPeerGone('c');
      clock.advance(10);
    }
    assert.deepEqual(told, []);
    clock.advance(10);
    assert.deepEqual(told.splice(0), ['a', 'b', 'c']);
    heard = ['a', 'b'];
    clock.advance(1_000);
    neighbours.onPeerGone('c');
    clock.advance(0);
    assert.deepEqual(told.splice(0), ['a', 'b'], 'at once after a while');
    neighbours.stop();
    neighbours.onPeer();
    clock.advance(9_999);
    assert.deepEqual(told, []);
  });
});
