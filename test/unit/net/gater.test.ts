import assert from 'node:assert/strict';
import type { MultiaddrConnection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { nopLogger } from '../../../src/log.ts';
import type { GaterOptions } from '../../../src/net/gater.ts';
import { createGater, ipOf, isLoopback, MAX_TRACKED_IPS } from '../../../src/net/gater.ts';
import { createNetMetrics } from '../../../src/net/metrics.ts';
import { PeerBook } from '../../../src/net/peers.ts';
import { manualClock } from '../../net/manual-clock.ts';

const OTHER = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
const PEER = '12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5';

function setUp(persistent: readonly string[] = []) {
  const clock = manualClock();
  const metrics = createNetMetrics();
  const named = new Set(persistent);
  const book = new PeerBook({ clock, log: nopLogger, metrics, persistent: named, onBan: () => undefined });
  const open: { remoteAddr: ReturnType<typeof multiaddr>; direction: 'inbound' | 'outbound' }[] = [];
  const limits = { maxConnections: 5, maxPerIp: 2, inboundPerSecond: 3, maxRelayed: 2 };
  const options: GaterOptions = { limits, book, persistent: named, connections: () => open, clock, metrics };
  const gater = createGater(options);
  const from = (ip: string) => ({ remoteAddr: multiaddr(`/ip4/${ip}/tcp/1234`) }) as unknown as MultiaddrConnection;
  return { clock, book, open, gater, from };
}

describe('net/gater', () => {
  it('caps connections by address, loopback exempt', async () => {
    const { gater, open, from } = setUp();
    for (const ip of ['192.0.2.1', '192.0.2.1', '127.0.0.1', '127.0.0.1']) {
      assert.equal(await gater.denyInboundConnection(from(ip)), false);
      open.push({ remoteAddr: multiaddr(`/ip4/${ip}/tcp/1`), direction: 'inbound' });
    }
    assert.equal(await gater.denyInboundConnection(from('192.0.2.1')), true);
    assert.equal(await gater.denyInboundConnection(from('192.0.2.2')), false);
    assert.equal(await gater.denyInboundConnection(from('127.0.0.1')), false);
  });

  it('bound: connections of one IPv6 line, by whichever of its addresses', async () => {
    const { gater, open } = setUp();
    const at = (ip: string) => ({ remoteAddr: multiaddr(`/ip6/${ip}/tcp/1`) }) as unknown as MultiaddrConnection;
    for (const ip of ['2001:db8::1', '2001:db8:0:0:1::']) {
      assert.equal(await gater.denyInboundConnection(at(ip)), false);
      open.push({ remoteAddr: multiaddr(`/ip6/${ip}/tcp/1`), direction: 'inbound' });
    }
    assert.equal(await gater.denyInboundConnection(at('2001:db8::2')), true);
    assert.equal(await gater.denyInboundConnection(at('2001:db8:0:1::2')), false);
    assert.equal(await gater.denyInboundConnection(at('::1')), false);
  });

  it('bound: relayed connections of peers that were not named, in number and rate', async () => {
    const { gater, open, clock } = setUp([PEER]);
    const at = (peer: string) =>
      ({
        remoteAddr: multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${OTHER}/p2p-circuit/p2p/${peer}`),
      }) as unknown as MultiaddrConnection;
    for (let i = 0; i < 2; i++) {
      assert.equal(await gater.denyInboundConnection(at(OTHER)), false);
      open.push({ remoteAddr: at(OTHER).remoteAddr, direction: 'inbound' });
    }
    assert.equal(await gater.denyInboundConnection(at(OTHER)), true);
    assert.equal(await gater.denyInboundConnection(at(PEER)), false);
    open.length = 0;
    clock.advance(60_000);
    let accepted = 0;
    for (let i = 0; i < 100; i++) if (!(await gater.denyInboundConnection(at(OTHER)))) accepted += 1;
    assert.equal(accepted, 6);
  });

  it('caps the rate of new connections by address, loopback exempt', async () => {
    const { gater, clock, from } = setUp();
    let accepted = 0;
    for (let i = 0; i < 100; i++) if (!(await gater.denyInboundConnection(from('192.0.2.1')))) accepted += 1;
    assert.equal(accepted, 6, 'two seconds’ worth at once');
    assert.equal(await gater.denyInboundConnection(from('192.0.2.2')), false);
    for (let i = 0; i < 100; i++) assert.equal(await gater.denyInboundConnection(from('127.0.0.1')), false);
    clock.advance(1_000);
    assert.equal(await gater.denyInboundConnection(from('192.0.2.1')), false);
  });

  it('tracks the rate of a bounded number of addresses', async () => {
    const { gater, from } = setUp();
    for (let i = 0; i < 6; i++) await gater.denyInboundConnection(from('192.0.2.1'));
    assert.equal(await gater.denyInboundConnection(from('192.0.2.1')), true);
    for (let i = 0; i < MAX_TRACKED_IPS; i++) await gater.denyInboundConnection(from(`10.0.${i >> 8}.${i & 255}`));
    assert.equal(await gater.denyInboundConnection(from('192.0.2.1')), false, 'forgotten');
  });

  it('keeps out the banned, in both directions', async () => {
    const { gater, book, from } = setUp();
    const peer = peerIdFromString(PEER);
    assert.equal(await gater.denyInboundEncryptedConnection(peer, from('192.0.2.1')), false);
    assert.equal(await gater.denyDialPeer(peer), false);
    book.report(PEER, 'lie', '');
    assert.equal(await gater.denyInboundEncryptedConnection(peer, from('192.0.2.1')), true);
    assert.equal(await gater.denyDialPeer(peer), true);
  });

  it('keeps room for peers that the operator named', async () => {
    const full = Array.from({ length: 5 }, () => ({
      remoteAddr: multiaddr('/ip4/192.0.2.9/tcp/1'),
      direction: 'inbound' as const,
    }));
    const peer = peerIdFromString(PEER);
    const others = setUp();
    others.open.push(...full);
    assert.equal(await others.gater.denyInboundEncryptedConnection(peer, others.from('192.0.2.1')), true);
    const named = setUp([PEER]);
    named.open.push(...full);
    assert.equal(await named.gater.denyInboundEncryptedConnection(peer, named.from('192.0.2.1')), false);
  });

  it('reads addresses', () => {
    assert.equal(ipOf(multiaddr('/ip4/192.0.2.1/tcp/1')), '192.0.2.1');
    assert.equal(ipOf(multiaddr('/dns4/example.org/tcp/1')), '');
    for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(ip), ip);
    for (const ip of ['128.0.0.1', '192.0.2.1', '::2', '']) assert.ok(!isLoopback(ip), ip);
  });
});
