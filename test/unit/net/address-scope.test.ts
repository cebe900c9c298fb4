import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { reachable, scopeOf } from '../../../src/net/address-scope.ts';

const PEER = '12D3KooWGRUrhDuEv7Lzs8qPxkkMhqSqUJhXnhiTz1KKJqmmRLyg';
const OTHER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust';

describe('net/address-scope', () => {
  it('knows near from far, and what leads nowhere', () => {
    const scopes = {
      '/ip4/127.0.0.1/tcp/1': 'loopback',
      '/ip6/::1/tcp/1': 'loopback',
      '/ip6/::ffff:127.0.0.1/tcp/1': 'loopback',
      '/ip4/10.1.2.3/tcp/1': 'private',
      '/ip4/172.31.0.1/tcp/1': 'private',
      '/ip4/192.168.1.1/tcp/1': 'private',
      '/ip4/100.64.0.1/tcp/1': 'private',
      '/ip6/fd00::1/tcp/1': 'private',
      '/ip6/::ffff:10.0.0.1/tcp/1': 'private',
      '/ip4/198.51.100.7/tcp/1': 'public',
      '/ip6/2a00::1/tcp/1': 'public',
      '/ip4/0.0.0.0/tcp/1': null,
      '/ip4/169.254.169.254/tcp/1': null,
      '/ip4/224.0.0.1/tcp/1': null,
      '/ip4/255.255.255.255/tcp/1': null,
      '/ip6/::/tcp/1': null,
      '/ip6/fe80::1/tcp/1': null,
      '/ip6/64:ff9b::7f00:1/tcp/1': null,
      '/ip6/2002:7f00:1::1/tcp/1': null,
      '/dns4/localhost/tcp/1': null,
    };
    for (const [text, want] of Object.entries(scopes)) assert.equal(scopeOf(multiaddr(text)), want, text);
  });

  it('leaves of what was told only what is no nearer, is an address, and is of that peer', () => {
    const addresses = ['/ip4/127.0.0.1/tcp/1', '/ip4/10.0.0.1/tcp/2', '/ip4/198.51.100.7/tcp/3'];
    const ports = (toldIn: 'loopback' | 'private' | 'public'): unknown[] =>
      reachable(PEER, addresses, toldIn).map((address) => address.getComponents()[1]?.value);
    assert.deepEqual(ports('loopback'), ['1', '2', '3']);
    assert.deepEqual(ports('private'), ['2', '3']);
    assert.deepEqual(ports('public'), ['3']);
    const refused = [
      'nonsense',
      '/dns4/example.org/tcp/1',
      '/ip4/198.51.100.7/udp/1',
      '/ip4/198.51.100.7',
      `/ip4/198.51.100.7/tcp/1/p2p/${OTHER}`,
      `/ip4/198.51.100.7/tcp/1/p2p/${PEER}/p2p-circuit/p2p/${OTHER}`,
      `/dns4/example.org/tcp/1/p2p/${OTHER}/p2p-circuit/p2p/${PEER}`,
      `/ip4/198.51.100.7/tcp/1/p2p-circuit/p2p/${PEER}`,
      '/ip4/198.51.100.7/tcp/1/ws',
    ];
    assert.deepEqual(reachable(PEER, refused, 'loopback'), []);
    const whole = `/ip4/198.51.100.7/tcp/1/p2p/${PEER}`;
    assert.deepEqual(reachable(PEER, [whole], 'public').map(String), [whole]);
    const circuit = `/ip4/198.51.100.7/tcp/1/p2p/${OTHER}/p2p-circuit`;
    const want = [`${circuit}/p2p/${PEER}`];
    assert.deepEqual(reachable(PEER, [circuit], 'public').map(String), want);
    assert.deepEqual(reachable(PEER, want, 'public').map(String), want);
    assert.deepEqual(reachable(PEER, [circuit.replace('198.51.100.7', '10.0.0.1')], 'public'), []);
    assert.equal(scopeOf(multiaddr(circuit)), null, 'how near its peer is, the address of a relay does not tell');
  });
});
