import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { TestHost } from './fixtures.ts';
import { addressOf, meshed, startHost, stopAllHosts, stopHost } from './fixtures.ts';
import { waitFor } from '../util/wait.ts';

const bare = (address: string): string => address.replace(/\/p2p\/.*$/, '');

const addressTo = (from: TestHost, to: TestHost): string | undefined =>
  from.host.peers().find(({ peerId }) => peerId === to.host.peerId)?.address;

async function hasIpv6(): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen(0, '::1', () =>
      server.close(() => {
        resolve(true);
      }),
    );
  });
}

describe('addresses', () => {
  afterEach(stopAllHosts);

  it('a peer that comes back under another address is found by its own dial, and at the third one later', async () => {
    const third = await startHost('third');
    const a = await startHost('a', { persistentPeers: [addressOf(third)] });
    const old = addressOf(a);
    const b = await startHost('b', { persistentPeers: [addressOf(third), old] });
    await meshed(third, a, b);
    await stopHost(a);
    await waitFor('the loss', () => b.net.peers().length === 1);
    // It knows the third one only: b has to learn of its new address there.
    const moved = await startHost('a', { persistentPeers: [addressOf(third)] });
    assert.notEqual(addressOf(moved), old);
    await meshed(third, moved, b);
    assert.equal(addressTo(b, moved), addressOf(moved), 'b dialled it');
  });

  it('is told by a name, and by what the operator announces instead of what is found', async () => {
    const third = await startHost('third');
    const listen = bare(addressOf(third));
    await stopHost(third);
    const announce = [listen.replace('/ip4/127.0.0.1/', '/dns4/localhost/')];
    const named = await startHost('third', { listen: [listen], announce });
    assert.deepEqual(named.host.multiaddrs(), [`${announce[0] ?? ''}/p2p/${named.host.peerId}`]);
    const a = await startHost('a', { persistentPeers: named.host.multiaddrs() });
    await meshed(named, a);
  });

  it('are of IPv6 as well: both on one port, each peer over its own', async function () {
    if (!(await hasIpv6())) this.skip();
    const four = await startHost('both');
    const port = /\/tcp\/(\d+)/.exec(addressOf(four))?.[1] ?? '';
    await stopHost(four);
    const both = await startHost('both', { listen: [`/ip4/0.0.0.0/tcp/${port}`, `/ip6/::/tcp/${port}`] });
    const over6 = `/ip6/::1/tcp/${port}/p2p/${both.host.peerId}`;
    assert.ok(both.host.multiaddrs().includes(over6));
    const a = await startHost('a', { listen: ['/ip6/::1/tcp/0'], persistentPeers: [over6], relays: ['peers'] });
    const b = await startHost('b', { persistentPeers: [`/ip4/127.0.0.1/tcp/${port}/p2p/${both.host.peerId}`] });
    await waitFor('both', () => both.net.peers().length === 2);
    assert.equal(addressTo(a, both), over6);
    assert.match(addressTo(both, a) ?? '', /^\/ip6\/::1\/tcp\//);
    assert.match(addressTo(both, b) ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\//);
    assert.equal(a.net.scopeOf(both.host.peerId), 'loopback');
    await b.host.dial(addressOf(a));
  });

  it('a machine that sleeps is let go, and is back when it wakes', async function () {
    if (process.platform === 'win32') this.skip();
    const a = await startHost('a', { pings: { everyMs: 500, timeoutMs: 1_500 } });
    const child = fork(fileURLToPath(new URL('sleeper-process.ts', import.meta.url)), [addressOf(a)]);
    try {
      await waitFor('the child', () => a.net.peers().length === 1);
      const peer = a.net.peers()[0];
      child.kill('SIGSTOP');
      await waitFor('its silence to be noticed', () => a.host.peers().length === 0, 40_000);
      child.kill('SIGCONT');
      await waitFor('its return', () => a.net.peers().length === 1, 20_000);
      assert.equal(a.net.peers()[0], peer);
      assert.deepEqual(a.host.bans(), []);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});
