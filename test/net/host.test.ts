import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { multiaddr } from '@multiformats/multiaddr';
import { BAN_MS } from '../../protocols/peer-actions.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { nativeLinkCrypto } from '../../src/native/link-crypto.ts';
import { createHost } from '../../src/net/host.ts';
import { waitFor } from '../util/wait.ts';
import { addressOf, devnet, heard, meshed, recorder, seedOf, startHost, stopAllHosts, stopHost } from './fixtures.ts';
import { manualClock } from './manual-clock.ts';
import { startStranger, stopStrangers } from './stranger.ts';

/** Forwards to a host, but holds back what it is sent until told to let go. */
async function startHoldingProxy(target: string) {
  const port = Number(/\/tcp\/(\d+)/.exec(target)?.[1]);
  const sockets = new Set<Socket>();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    void released.then(() => client.pipe(upstream).pipe(client));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    release: () => {
      release();
    },
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The tcp part without the peer id. */
const bare = (address: string): string => address.replace(/\/p2p\/.*$/, '');

describe('host', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('has the peer id of its seed, and shows its peers', async () => {
    const a = await startHost('a', { agent: 'aitbc/test' });
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    await meshed(a, b);
    assert.equal(addressOf(a).endsWith(`/p2p/${a.host.peerId}`), true);
    const [ofB] = b.host.peers();
    assert.deepEqual(
      { ...ofB, rttMs: null },
      {
        peerId: a.host.peerId,
        address: addressOf(a),
        isDirect: true,
        direction: 'outbound',
        rttMs: null,
        score: 0,
        direct: true,
        chains: ['ait-devnet'],
        agent: 'aitbc/test',
      },
    );
    assert.equal(a.host.peers()[0]?.direct, false);
  });

  it('with either cryptography of links, hosts understand each other', async () => {
    const a = await startHost('a', { linkCrypto: nativeLinkCrypto });
    const b = await startHost('b', { persistentPeers: [addressOf(a)] });
    const c = await startHost('c', { persistentPeers: [addressOf(a)], linkCrypto: nativeLinkCrypto });
    await waitFor('hosts to share the chain', () => a.net.peers().length === 2);
    // More than one noise message.
    const document = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
    for (const one of [a, b, c]) one.seen.requests.join = () => Promise.resolve(document);
    const ways = [[a, b] as const, [b, a] as const, [a, c] as const, [c, a] as const];
    for (const [from, to] of ways) {
      await waitFor('both sides to know', () => from.net.peers().includes(to.host.peerId));
      assert.deepEqual(await from.net.request(to.host.peerId, 'join', null), document);
    }
  });

  it('bans by named actions, disconnects, refuses the banned, and forgives with time', async () => {
    const clock = manualClock();
    const a = await startHost('a', { clock });
    const b = await startHost('b');
    await b.host.dial(addressOf(a));
    await waitFor('the chain to be shared', () => a.net.peers().length === 1 && b.net.peers().length === 1);
    a.net.report(b.host.peerId, 'lie', 'a certificate that does not verify');
    await waitFor('the disconnect', () => a.host.peers().length === 0 && b.host.peers().length === 0);
    assert.equal(a.host.bans()[0]?.peer, b.host.peerId);
    assert.match(a.host.bans()[0]?.reason ?? '', /lie: a certificate/);
    await assert.rejects(a.host.dial(addressOf(b)), { code: 'PEER_BANNED' });
    await b.host.dial(addressOf(a)).catch(() => undefined);
    await waitFor('refusal', () => b.host.peers().length === 0);
    assert.deepEqual(a.net.peers(), []);
    clock.advance(BAN_MS);
    assert.deepEqual(a.host.bans(), []);
    await b.host.dial(addressOf(a));
    await waitFor('the chain again', () => a.net.peers().length === 1);
  });

  it('a persistent peer that restarts is back at once, gossip included', async () => {
    const a = await startHost('a');
    let b = await startHost('b', { persistentPeers: [addressOf(a)] });
    const listen = [bare(addressOf(b))];
    const c = await startHost('c', { persistentPeers: [addressOf(a), addressOf(b)] });
    await meshed(a, b, c);
    for (let i = 0; i < 3; i++) {
      await stopHost(b);
      await waitFor('b to be missed', () => a.net.peers().length === 1 && c.net.peers().length === 1);
      b = await startHost('b', { listen, persistentPeers: [addressOf(a), addressOf(c)] });
      await meshed(a, b, c);
    }
  });

  it('goes on dialling a persistent peer that is not there yet, and logs it once', async () => {
    const early = await startHost('late');
    const address = addressOf(early);
    await stopHost(early);
    const a = await startHost('a', { persistentPeers: [address] });
    const failed = () => a.log.lines.filter(({ message }) => message === 'persistent peer not reached');
    await waitFor('several attempts', () => failed().length >= 3);
    assert.equal(failed().filter(({ level }) => level === 'warn').length, 1);
    assert.deepEqual(failed()[0]?.context['addresses'], [address]);
    const late = await startHost('late', { listen: [bare(address)] });
    await meshed(a, late);
  });

  it('says so when another peer answers at the address of a persistent one', async () => {
    const a = await startHost('a');
    const stranger = await startHost('b');
    await stopHost(stranger);
    const wrong = `${bare(addressOf(a))}/p2p/${stranger.host.peerId}`;
    const c = await startHost('c', { persistentPeers: [wrong] });
    await waitFor('the warning', () =>
      c.log.lines.some(({ level, message }) => level === 'warn' && message.startsWith('another peer answers')),
    );
    assert.deepEqual(c.net.peers(), []);
  });

  it('two hosts that dial each other at once keep both connections, and start afresh when one breaks', async () => {
    const b = await startHost('b');
    const proxy = await startHoldingProxy(addressOf(b));
    try {
      // a's dial waits in the proxy until b's own is through, so that there are two connections.
      const throughProxy = addressOf(b).replace(/\/tcp\/\d+/, `/tcp/${proxy.port}`);
      const a = await startHost('a', { persistentPeers: [throughProxy] });
      await b.host.dial(addressOf(a));
      await meshed(a, b);
      proxy.release();
      await waitFor('the second connection', () =>
        a.log.lines.some(
          ({ message, context }) => message === 'connection opened' && context['direction'] === 'outbound',
        ),
      );
      await heard([a, b]);
      assert.equal(a.seen.gone.length, 0);
      proxy.cut();
      await waitFor('both sides to notice', () => a.seen.gone.length === 1 && b.seen.gone.length === 1);
      await meshed(a, b);
    } finally {
      await proxy.close();
    }
  });

  it('takes a second connection by the same side as a sign that the first is dead', async () => {
    const a = await startHost('a');
    const peer = await startStranger();
    await peer.dial(multiaddr(addressOf(a)));
    await waitFor('the connection', () => a.host.peers().length === 1);
    await peer.dial(multiaddr(addressOf(a)), { force: true });
    await waitFor('both to be closed', () => peer.getConnections().length === 0);
    assert.deepEqual(a.host.peers(), []);
  });

  it('lets one more than the cap in only if the operator named it', async () => {
    const named = await startHost('named');
    const a = await startHost('a', { limits: { maxConnections: 1 }, persistentPeers: [addressOf(named)] });
    await waitFor('the named peer', () => a.net.peers().length === 1);
    const b = await startHost('b');
    await b.host.dial(addressOf(a)).catch(() => undefined);
    await waitFor('refusal', () => b.host.peers().length === 0);
    assert.equal(a.host.peers().length, 1);
    await stopHost(named);
    await waitFor('room', () => a.host.peers().length === 0);
    await b.host.dial(addressOf(a));
    await waitFor('b', () => a.net.peers().length === 1);
    const back = await startHost('named');
    await back.host.dial(addressOf(a));
    await waitFor('the named peer above the cap', () => a.net.peers().length === 2);
  });

  it('names the port in use and what to do', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const listen = [`/ip4/127.0.0.1/tcp/${address.port}`];
    try {
      const started = createHost({ privateKeySeed: seedOf('a'), listen, hasher: nativeHasher });
      await assert.rejects(started, (error: { code: string; message: string; hint: string }) => {
        assert.equal(error.code, 'PORT_IN_USE');
        assert.ok(error.message.includes(String(address.port)));
        assert.match(error.hint, /p2p\.listen/);
        return true;
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('refuses addresses and keys that cannot be meant', async () => {
    const base = { privateKeySeed: seedOf('a'), listen: ['/ip4/127.0.0.1/tcp/0'], hasher: nativeHasher };
    await assert.rejects(createHost({ ...base, listen: ['127.0.0.1:8005'] }), { code: 'CONFIG' });
    await assert.rejects(createHost({ ...base, persistentPeers: ['/ip4/127.0.0.1/tcp/1'] }), { code: 'CONFIG' });
    await assert.rejects(createHost({ ...base, privateKeySeed: new Uint8Array(31) }), { code: 'KEY_FILE' });
    const a = await startHost('a');
    await assert.rejects(a.host.dial('/ip4/127.0.0.1/tcp/1'), { code: 'INVALID_PARAMS' });
    await assert.rejects(a.host.dial(`/ip4/127.0.0.1/tcp/1/p2p/${a.host.peerId}`), { code: 'UNREACHABLE' });
  });

  it('says nothing can be added after stop', async () => {
    const a = await startHost('a');
    await stopHost(a);
    await stopHost(a);
    const later = a.host.addChain({ chain: { ...devnet, chainId: 'x' }, handlers: recorder().handlers });
    await assert.rejects(later, { code: 'UNREACHABLE' });
    assert.deepEqual(a.host.peers(), []);
  });

  it('leaves no handle after stop: a process with two hosts ends by itself', async () => {
    const script = fileURLToPath(new URL('stop-process.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 30_000 });
    assert.equal(stdout.trim(), 'stopped');
  });
});
