import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { diagnose } from '../../../src/cli/doctor/diagnose.ts';
import type { ChainFacts, Facts, HomeFacts, NodeFacts, StoppedFacts } from '../../../src/cli/doctor/facts.ts';
import { probeHome } from '../../../src/cli/doctor/probe-home.ts';
import { MAX_PROBES, probePeers, tcpTarget } from '../../../src/cli/doctor/probe-network.ts';
import { probeNode } from '../../../src/cli/doctor/probe-node.ts';
import type { NodeConfig } from '../../../src/config.ts';
import { loadConfig } from '../../../src/config.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { ERRORS } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { StoppedChain } from '../../../src/node/stopped-chain.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { PeerResponse } from '../../../src/sdk/types.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { genesisJson, seed, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { record } from '../store/guard-fixtures.ts';
import type { Ended } from './run.ts';
import { cliHere as cli } from './in-process.ts';
import { makeFolder, removeFolder } from './run.ts';

const CHAIN_ID = 'ait-devnet';
const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const GIB = 2 ** 30;

/** What a healthy validator of three looks like, as its own RPC tells it. */
let healthy: NodeFacts;

before(async () => {
  const node = new FakeNode();
  node.produce([]);
  const server = await startRpcServer(
    { listen: { host: '127.0.0.1', port: 0 } },
    { api: fakeNode(node), log: nopLogger },
  );
  healthy = await probeNode(createClient({ url: server.url }), CHAIN_ID);
  await server.close();
});

function facts(change: {
  readonly home?: Partial<HomeFacts> | null;
  readonly stopped?: Partial<StoppedFacts>;
  readonly node?: Partial<NodeFacts>;
  readonly chain?: Partial<ChainFacts>;
}): Facts {
  const { chain } = healthy;
  assert(chain, JSON.stringify(healthy.fault));
  const { genesis_hash } = chain.status;
  const consensus = {
    ...chain.consensus,
    validators: chain.consensus.validators.map((v) => ({ ...v, reachable: true })),
  };
  const stopped = change.stopped && {
    ...{
      isLocked: false,
      isForeign: false,
      data: null,
      head: { height: 3, timeMs: NOW_MS - 1_000 },
      guard: null,
      takenPorts: [],
    },
    ...change.stopped,
  };
  const home: HomeFacts = {
    ...{ path: '/home/n1', keys: [], exposed: [], genesis: null, genesisHash: genesis_hash, namedPeers: [] },
    disk: { freeBytes: 50 * GIB, minFreeBytes: GIB, syncMs: 2, write: null },
    stopped: stopped ?? null,
    ...change.home,
  };
  const running: NodeFacts = {
    ...healthy,
    chain: { ...chain, consensus, headTimeMs: NOW_MS - 300_000, ...change.chain },
  };
  const nobody = { code: 'UNREACHABLE', message: 'nobody answers', hint: null } as const;
  const node: NodeFacts = stopped ? { ...running, fault: nobody, chains: [], chain: null } : running;
  return {
    ...{ version: '0.0.0', chainId: CHAIN_ID, nowMs: NOW_MS },
    home: change.home === null ? null : home,
    node: { ...node, ...change.node },
  };
}

function peer(change: Partial<PeerResponse>): PeerResponse {
  const known = healthy.chain?.peers.peers[0];
  assert(known);
  return { ...known, ...change };
}

const peersWith = (...peers: readonly PeerResponse[]) => ({ peers: { peers, refused: [] } });
const clocks = (...offsets: readonly number[]) =>
  peersWith(...offsets.map((clock_offset_ms, i) => peer({ name: `v${i}`, clock_offset_ms })));
const failing = (name: string) => ({
  readiness: { checks: [{ chain_id: CHAIN_ID, name, ok: false, detail: `no ${name}` }] },
});
const status = (change: Partial<ChainFacts['status']>): Partial<ChainFacts> => {
  assert(healthy.chain);
  return { status: { ...healthy.chain.status, ...change } };
};
const silent = (...names: readonly string[]): Pick<ChainFacts, 'consensus'> => {
  assert(healthy.chain);
  const { consensus } = healthy.chain;
  const validators = consensus.validators.map((one) => ({ ...one, reachable: !names.includes(one.name) }));
  return { consensus: { ...consensus, validators } };
};
const named = (reach: 'refused' | 'silent' | 'unknown-host' | 'open') => ({
  namedPeers: [{ address: '/dns4/at1.example/tcp/8005/p2p/12D3KooAway', peerId: '12D3KooAway', reach }],
});
const thrown = (code: keyof typeof ERRORS) => ({ code, message: `what ${code} says`, hint: 'do this' });

describe('doctor', () => {
  it('finds no fault with a healthy node, running or asked about from afar', () => {
    for (const given of [facts({}), facts({ home: null })]) {
      const findings = diagnose(given);
      assert.deepEqual(
        findings.filter(({ level }) => level !== 'ok'),
        [],
      );
      const checks = findings.map(({ check }) => check);
      for (const check of ['clock', 'genesis', 'node', 'peers', 'quorum', 'head', 'signing'] as const) {
        assert(checks.includes(check), check);
      }
    }
  });

  /** Each fault with what follows from it: it is named first all the same. */
  const noQuorum = (): Partial<ChainFacts> => ({ ...silent('n2', 'n3'), ...failing('quorum') });
  const lonely = () => ({ ...noQuorum(), ...peersWith() });
  const faults: [name: string, check: string, code: string, words: RegExp, given: () => Facts][] = [
    [
      'a full disk',
      'disk',
      'STORAGE',
      /nearly full: 0\.5 GB free/,
      () =>
        facts({
          home: { disk: { freeBytes: 0.5e9, minFreeBytes: GIB, syncMs: 1, write: null } },
          chain: { ...lonely(), ...failing('storage') },
        }),
    ],
    [
      'a disk that takes no writes',
      'disk',
      'STORAGE',
      /what STORAGE says/,
      () =>
        facts({
          home: { disk: { freeBytes: 0, minFreeBytes: GIB, syncMs: null, write: thrown('STORAGE') } },
          stopped: {},
        }),
    ],
    [
      'keys that others read',
      'keys',
      'KEY_FILE',
      /others may read .*validator_key \(mode 644\)/,
      () => facts({ home: { exposed: [{ path: '/h/validator_key', mode: 0o644, isWallet: false }] }, stopped: {} }),
    ],
    [
      'a lost key',
      'keys',
      'KEY_FILE',
      /what KEY_FILE says/,
      () => facts({ home: { keys: [thrown('KEY_FILE')] }, stopped: {} }),
    ],
    [
      'a damaged database',
      'data',
      'CORRUPT',
      /what CORRUPT says/,
      () => facts({ stopped: { data: thrown('CORRUPT') } }),
    ],
    [
      'a port in use',
      'ports',
      'PORT_IN_USE',
      /port 8006/,
      () => facts({ stopped: { takenPorts: [{ option: 'rpc.listen', port: 8006 }] } }),
    ],
    [
      'a clock behind the newest block',
      'clock',
      'CONFIG',
      /30\.0 s in its future/,
      () => facts({ chain: { ...noQuorum(), headTimeMs: NOW_MS + 30_000 } }),
    ],
    [
      'the same of a stopped node',
      'clock',
      'CONFIG',
      /30\.0 s in its future/,
      () => facts({ stopped: { head: { height: 9, timeMs: NOW_MS + 30_000 } } }),
    ],
    [
      'a clock off those of validators',
      'clock',
      'CONFIG',
      /3\.0 s ahead of those of 3/,
      () => facts({ chain: { ...clocks(-3_000, -2_990, -3_010), ...failing('progress') } }),
    ],
    [
      'no genesis',
      'genesis',
      'CONFIG',
      /what CONFIG says/,
      () => facts({ home: { genesis: thrown('CONFIG'), genesisHash: null }, stopped: {} }),
    ],
    [
      'a genesis file that is not the one running',
      'genesis',
      'WRONG_GENESIS',
      /not the one that the node runs/,
      () => facts({ home: { genesisHash: 'ab'.repeat(32) } }),
    ],
    [
      'the genesis of another network',
      'genesis',
      'WRONG_GENESIS',
      /12D3KooStranger .*another genesis|another genesis .*12D3KooStranger/,
      () => {
        const refused = { peer_id: '12D3KooStranger', address: '/ip4/1.1.1.1/tcp/1', time: '2026-01-01T00:00:00.000Z' };
        const hashes = { our_genesis: '11'.repeat(32), their_genesis: '22'.repeat(32) };
        return facts({ chain: { ...lonely(), peers: { peers: [], refused: [{ ...refused, ...hashes }] } } });
      },
    ],
    ['a stopped node', 'node', 'UNREACHABLE', /does not run/, () => facts({ home: named('refused'), stopped: {} })],
    [
      'a node that holds its home and is silent',
      'node',
      'UNREACHABLE',
      /a process holds the home/,
      () => facts({ stopped: { isLocked: true } }),
    ],
    [
      'another node that does not answer',
      'node',
      'UNREACHABLE',
      /nobody answers/,
      () => facts({ home: null, stopped: {} }),
    ],
    [
      'a chain that failed',
      'chain',
      'CORRUPT',
      /failed: bad block/,
      () => {
        const error = { code: 'CORRUPT', message: 'bad block', hint: null };
        const chains = healthy.chains.map((chain) => ({ ...chain, state: 'failed' as const, error }));
        return facts({ node: { chains, chain: null } });
      },
    ],
    [
      'a chain that was stopped',
      'chain',
      'CHAIN_STOPPED',
      /is stopped/,
      () =>
        facts({
          node: { chains: healthy.chains.map((chain) => ({ ...chain, state: 'stopped' as const })), chain: null },
        }),
    ],
    [
      'a chain that is not there',
      'chain',
      'UNKNOWN_CHAIN',
      /no chain/,
      () => facts({ node: { chains: [], chain: null } }),
    ],
    [
      'peers behind a firewall',
      'peers',
      'UNREACHABLE',
      /at1\.example.* does not answer/,
      () => facts({ home: named('silent'), chain: lonely() }),
    ],
    [
      'peers whose name is not known',
      'peers',
      'UNREACHABLE',
      /cannot be resolved/,
      () => facts({ home: named('unknown-host'), chain: lonely() }),
    ],
    [
      'a peer of another id',
      'peers',
      'UNREACHABLE',
      /answers, but is not connected/,
      () => facts({ home: named('open'), chain: lonely() }),
    ],
    ['no peers named', 'peers', 'UNREACHABLE', /no peer is connected$/, () => facts({ chain: lonely() })],
    [
      'peers that are down',
      'quorum',
      'NO_QUORUM',
      /not heard for 10 s: n2, n3/,
      () => facts({ home: named('refused'), chain: lonely() }),
    ],
    ['no quorum', 'quorum', 'NO_QUORUM', /no quorum/, () => facts({ chain: noQuorum() })],
    [
      'a disk that failed under the node',
      'head',
      'STORAGE',
      /nothing is written/,
      () => facts({ chain: failing('storage') }),
    ],
    ['catching up', 'head', 'SYNCING', /no synced/, () => facts({ chain: failing('synced') })],
    ['a standstill', 'head', 'TIMEOUT', /no block comes/, () => facts({ chain: failing('progress') })],
    [
      'a validator that does not sign',
      'signing',
      'GUARD',
      /does not sign: the sign guard/,
      () => facts({ chain: status({ signing: false, not_signing: ['the sign guard is older'], state: 'synced' }) }),
    ],
  ];
  for (const [name, check, code, words, given] of faults) {
    it(`names first: ${name}`, () => {
      const [first] = diagnose(given());
      assert.deepEqual([first?.level, first?.check, first?.code], ['fault', check, code], JSON.stringify(first));
      assert.match(first?.what ?? '', words);
      assert.ok((first?.fix ?? '').length > 5);
      assert.notEqual(ERRORS[code as keyof typeof ERRORS].exit, 0);
    });
  }

  it('leaves the database of another user alone, and says so', () => {
    const found = diagnose(facts({ stopped: { isForeign: true } }));
    assert.deepEqual(
      found.filter(({ level }) => level === 'warning').map(({ check }) => check),
      ['data'],
    );
  });

  it('a guard that refuses is told of a stopped node too', () => {
    const found = diagnose(facts({ stopped: { guard: 'start once with --sign-above 3' } }));
    assert.deepEqual(
      found.filter(({ level }) => level === 'fault').map(({ check }) => check),
      ['node', 'signing'],
    );
  });

  const warnings: [name: string, check: string, words: RegExp, given: () => Facts][] = [
    [
      'a slow disk',
      'disk',
      /180\.0 ms/,
      () => facts({ home: { disk: { freeBytes: 50 * GIB, minFreeBytes: GIB, syncMs: 180, write: null } } }),
    ],
    [
      'a wallet file that others read',
      'keys',
      /mode 640/,
      () => facts({ home: { exposed: [{ path: '/h/keystore/a.json', mode: 0o640, isWallet: true }] } }),
    ],
    ['a clock that drifts', 'clock', /0\.8 s behind those of 2/, () => facts({ chain: clocks(810, 800) })],
    ["another's clock", 'clock', /clock of v2 is 9\.0 s ahead/, () => facts({ chain: clocks(0, 5, 9_000) })],
    [
      'strangers with another genesis',
      'genesis',
      /1 peer call/,
      () => {
        const refused = {
          peer_id: 'x',
          address: 'y',
          time: 'z',
          our_genesis: '11'.repeat(32),
          their_genesis: '22'.repeat(32),
        };
        return facts({ chain: { peers: { peers: [peer({})], refused: [refused] } } });
      },
    ],
    ['another version', 'version', /9\.9\.9/, () => facts({ chain: status({ version: '9.9.9' }) })],
    ['a named peer that is away', 'peers', /at1\.example/, () => facts({ home: named('silent') })],
    ['a validator that is away', 'quorum', /without n3/, () => facts({ chain: silent('n3') })],
  ];
  for (const [name, check, words, given] of warnings) {
    it(`warns of: ${name}`, () => {
      const found = diagnose(given()).filter(({ level }) => level !== 'ok');
      assert.deepEqual(
        found.map((finding) => [finding.level, finding.check]),
        [['warning', check]],
        JSON.stringify(found),
      );
      assert.match(found[0]?.what ?? '', words);
    });
  }
});

describe('doctor looks', () => {
  let folder: string;
  let home: string;
  const servers: Server[] = [];

  beforeEach(() => {
    folder = makeFolder();
    home = join(folder, 'home');
    const { chain, genesis, nodeKey, validatorKey } = homeLayout(home, CHAIN_ID);
    for (const path of [chain, join(home, 'identity')]) mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(genesis, JSON.stringify(genesisJson({ powers: [1] })));
    writeFileSync(nodeKey, toHex(seed('node')), { mode: 0o600 });
    writeFileSync(validatorKey, toHex(seed('validator-0')), { mode: 0o600 });
  });

  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    removeFolder(folder);
  });

  async function listen(): Promise<number> {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  async function closedPort(): Promise<number> {
    const port = await listen();
    await new Promise((resolve) => servers.pop()?.close(resolve));
    return port;
  }

  const config = (flags: Record<string, unknown> = {}): NodeConfig =>
    loadConfig({
      flags: { 'rpc.listen': '127.0.0.1:0', 'p2p.listen': [], 'metrics.listen': 'off', ...flags },
    });

  const look = (flags: Record<string, unknown> = {}): Promise<HomeFacts> =>
    probeHome({ path: home, chainId: CHAIN_ID, config: config(flags), isRunning: false });

  const makeDatabase = async (): Promise<StoppedChain> =>
    StoppedChain.open({ home, chainId: CHAIN_ID, config: config(), log: nopLogger });

  it('at a home in order, and leaves nothing behind', async () => {
    const found = await look();
    assert.deepEqual([found.keys, found.exposed, found.genesis, found.namedPeers], [[], [], null, []]);
    assert.match(found.genesisHash ?? '', /^[0-9a-f]{64}$/);
    assert((found.disk?.freeBytes ?? 0) > 0 && (found.disk?.syncMs ?? -1) >= 0);
    assert.deepEqual(found.stopped, {
      isLocked: false,
      isForeign: false,
      data: null,
      head: null,
      guard: null,
      takenPorts: [],
    });
    assert.throws(() => readFileSync(join(home, `doctor-${process.pid}.tmp`)), /ENOENT/);
  });

  it('at keys: missing, malformed, readable by others', async () => {
    const { nodeKey, validatorKey } = homeLayout(home, CHAIN_ID);
    chmodSync(validatorKey, 0o644);
    rmSync(nodeKey);
    const found = await look();
    assert.deepEqual(
      found.keys.map(({ code }) => code),
      ['KEY_FILE'],
    );
    assert.deepEqual(found.exposed, [{ path: validatorKey, mode: 0o644, isWallet: false }]);
    writeFileSync(nodeKey, 'nonsense', { mode: 0o600 });
    const [malformed] = (await look()).keys;
    assert.match(malformed?.message ?? '', /not a key file/);
  });

  it('at the genesis: missing, and of another chain', async () => {
    const { genesis } = homeLayout(home, CHAIN_ID);
    writeFileSync(genesis, JSON.stringify(genesisJson({ chainId: 'ait-testnet' })));
    assert.equal((await look()).genesis?.code, 'BAD_GENESIS');
    rmSync(genesis);
    assert.equal((await look()).genesis?.code, 'CONFIG');
  });

  it('into the database: in order, of another genesis, in use', async () => {
    const held = await makeDatabase();
    assert.equal((await look()).stopped?.isLocked, true);
    await held.store.initialise(new Map());
    await held.close();
    assert.deepEqual((await look()).stopped?.data, null);
    writeFileSync(homeLayout(home, CHAIN_ID).genesis, JSON.stringify(genesisJson({ powers: [1, 1] })));
    assert.equal((await look()).stopped?.data?.code, 'WRONG_GENESIS');
  });

  it("not into the database of another user's home", async function () {
    if (process.getuid?.() !== 0) this.skip();
    await (await makeDatabase()).close();
    const before = readdirSync(join(homeLayout(home, CHAIN_ID).chain, 'db'));
    chownSync(home, 12_345, 12_345);
    assert.equal((await look()).stopped?.isForeign, true);
    assert.deepEqual(readdirSync(join(homeLayout(home, CHAIN_ID).chain, 'db')), before);
  });

  it('at the sign guard of a stopped node', async () => {
    const stopped = await makeDatabase();
    const { chain } = stopped.genesis;
    await stopped.close();
    const { publicKey } = signer('validator-0');
    const guard = await openSignGuard({
      ...{ ...chain, publicKey, folder: homeLayout(home, CHAIN_ID).chain },
      store: { sequence: 0, height: 0 },
    });
    await guard.save(record(5, 0, 'propose'));
    await guard.close();
    assert.equal((await look()).stopped?.guard, null);
    for (const slot of ['a', 'b']) {
      const name = `sign_guard-${toHex(publicKey).slice(0, 16)}`;
      writeFileSync(join(homeLayout(home, CHAIN_ID).chain, name, slot), 'damaged');
    }
    assert.match((await look()).stopped?.guard ?? '', /--sign-above/);
  });

  it('at ports of its own and of peers', async () => {
    const [taken, closed] = [await listen(), await closedPort()];
    const found = await look({
      'rpc.listen': `127.0.0.1:${taken}`,
      'p2p.listen': [`/ip4/127.0.0.1/tcp/${closed}`],
      'p2p.peers': [
        `/ip4/127.0.0.1/tcp/${taken}/p2p/12D3KooA`,
        `/ip4/127.0.0.1/tcp/${closed}/p2p/12D3KooB`,
        '/dns4/no-such-host.invalid/tcp/1/p2p/12D3KooC',
      ],
    });
    assert.deepEqual(found.stopped?.takenPorts, [{ option: 'rpc.listen', port: taken }]);
    assert.deepEqual(
      found.namedPeers.map(({ peerId, reach }) => [peerId, reach]),
      [
        ['12D3KooA', 'open'],
        ['12D3KooB', 'refused'],
        ['12D3KooC', 'unknown-host'],
      ],
    );
  });

  it('at a host and port only where an address names them', () => {
    assert.deepEqual(tcpTarget('/ip6/::1/tcp/8005/p2p/x'), { host: '::1', port: 8005 });
    assert.deepEqual(tcpTarget('/dns4/at1.example/tcp/8005'), { host: 'at1.example', port: 8005 });
    for (const text of ['/ip4/1.2.3.4/udp/1', '/ip4/1.2.3.4/tcp/1/p2p/x/p2p-circuit/p2p/y', '/dnsaddr/a.example']) {
      assert.equal(tcpTarget(text), null);
    }
  });

  it(`bound: ${MAX_PROBES} peers are tried at most`, async () => {
    const port = await closedPort();
    const many = Array.from({ length: MAX_PROBES + 3 }, (_, i) => `/ip4/127.0.0.1/tcp/${port}/p2p/p${i}`);
    const reaches = (await probePeers(many)).map(({ reach }) => reach);
    assert.equal(reaches.filter((reach) => reach === 'refused').length, MAX_PROBES);
    assert.equal(reaches.filter((reach) => reach === 'not-tried').length, 3);
  });

  it('and says it: words or JSON, the first cause as exit code', async () => {
    const port = await closedPort();
    const lines = [`[rpc]`, `listen = "127.0.0.1:${port}"`, '[p2p]', 'listen = []', '[metrics]', 'listen = "off"'];
    writeFileSync(join(home, 'config.toml'), lines.join('\n'));
    const run = (...args: string[]): Promise<Ended> => cli(['doctor', '--home', home, ...args]);
    const stopped = await run();
    const full = await cli(['doctor', '--home', home, '--json'], { AITBC_STORE_MIN_FREE_MIB: '1000000000' });
    const broken = await cli(['doctor', '--home', home], { AITBC_NAME: 'x'.repeat(40) });
    const none = await cli(['doctor', '--home', folder]);
    assert.equal(stopped.code, 5, stopped.stderr);
    assert.match(stopped.stdout, /^✗ node +the node does not run\n +→ aitbc start --home/);
    assert.equal(full.code, 12, full.stderr);
    assert.deepEqual([full.json.healthy, full.json.findings[0].check], [false, 'disk']);
    assert.equal(broken.code, 3);
    assert.match(broken.stdout, /^✗ config +name in the environment/);
    assert.equal(none.code, 3);
    assert.match(none.stdout, /no config\.toml/);
  });
}).timeout(60_000);
