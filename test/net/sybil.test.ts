import assert from 'node:assert/strict';
import type { Certificate } from '../../src/chain/votes.ts';
import type { RunningChain } from '../../src/chains.ts';
import { openChain } from '../../src/chains.ts';
import { systemClock } from '../../src/clock.ts';
import type { NodeError } from '../../src/errors.ts';
import { nopLogger } from '../../src/log.ts';
import { DEFAULT_MEMPOOL_LIMITS } from '../../src/mempool.ts';
import { nopRegister } from '../../src/metrics.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { openSignGuard } from '../../src/store/guard.ts';
import { fixtureGenesis, makeTransfer, signer } from '../util/chain-fixture.ts';
import { InlineVerifier } from '../util/inline-verifier.ts';
import { MemoryStore } from '../util/memory-store.ts';
import { makeOffer } from '../util/offers.ts';
import { waitFor } from '../util/wait.ts';
import { MemoryDisk } from '../unit/store/memory-disk.ts';
import type { Recorder, TestHost } from './fixtures.ts';
import { addressOf, recorder, startHost, status, stopAllHosts } from './fixtures.ts';

const TIMEOUTS = { proposeMs: 600, proposeDeltaMs: 250, voteMs: 300, voteDeltaMs: 250, capMs: 10_000 };
const genesis = fixtureGenesis({ powers: [1, 1], params: { min_block_interval_ms: 250 } });
const SYBILS = 20;
/** So that the sybils do not all fit in. */
const LIMITS = { maxConnections: 12 };
const MIB = 1024 * 1024;

interface Honest extends TestHost {
  readonly chain: RunningChain;
}

describe('sybils', () => {
  const faults: NodeError[] = [];
  const honest: Honest[] = [];
  const stops: (() => void)[] = [];

  afterEach(async () => {
    for (const stop of stops.splice(0)) stop();
    for (const { chain } of honest.splice(0)) await chain.stop();
    await stopAllHosts();
  });

  /** @param validator null: a follower */
  async function startHonest(validator: number | null, persistentPeers: readonly string[]): Promise<Honest> {
    const { chainId, genesisHash } = genesis.chain;
    const store = new MemoryStore();
    const key = signer(`validator-${validator ?? 'none'}`);
    const witness = { sequence: 0, height: 0 };
    const place = { folder: '/memory', chainId, genesisHash, publicKey: key.publicKey, disk: new MemoryDisk() };
    const signing =
      validator === null ? null : { signer: key, guard: await openSignGuard({ ...place, store: witness }) };
    const around = { log: nopLogger, metrics: nopRegister, clock: systemClock, snapshots: null, joining: null };
    const chain = await openChain(
      { timeouts: TIMEOUTS, retainedBlocks: Infinity, mempool: DEFAULT_MEMPOOL_LIMITS },
      {
        ...{ genesis, crypto: nativeCrypto, verifier: new InlineVerifier(), store, signing, ...around },
        onFatal: (error) => faults.push(error),
      },
    );
    const seen = { handlers: chain.handlers } as unknown as Recorder;
    const name = `honest-${validator ?? 'follower'}`;
    const made = await startHost(name, { chain: genesis.chain, seen, persistentPeers, limits: LIMITS });
    await chain.start(made.net);
    const node = { ...made, chain };
    honest.push(node);
    return node;
  }

  /** Claims a head far ahead that nobody certified; every second one never answers what it is asked. */
  async function startSybil(i: number): Promise<TestHost> {
    const seen = recorder();
    const blockId = new Uint8Array(32).fill(i);
    const certificate: Certificate = {
      ...{ type: 'precommit', height: 1_000_000 + i, round: 0, blockId },
      ...{ signers: [0, 1], signatures: [new Uint8Array(64), new Uint8Array(64)] },
    };
    const lie = {
      genesisHash: genesis.chain.genesisHash,
      baseHeight: 1,
      height: certificate.height,
      blockId,
      certificate,
    };
    seen.requests.status = () => Promise.resolve(lie);
    if (i % 2 === 0) {
      const never = (): Promise<never> => new Promise(() => undefined);
      Object.assign(seen.requests, { blocks: never, txs: never, votes: never, light: never });
    }
    return startHost(`sybil-${i}`, { chain: genesis.chain, seen });
  }

  /** What one says and asks again and again, of all that let it in. */
  function harass({ net, host }: TestHost, i: number): void {
    const offer = makeOffer(genesis.chain, signer(`sybil-${i}`));
    net.publish('status', status(host.peerId, 1_000_000 + i));
    net.publish('offer', offer);
    net.publish('vote', { attempt: i, votes: [] });
    for (const peer of net.peers()) {
      for (let n = 0; n < 4; n++) void net.request(peer, 'blocks', { from: 1, count: 256 }).catch(() => undefined);
      void net.request(peer, 'votes', { height: 1, round: 0 }).catch(() => undefined);
    }
  }

  it('bound: 20 that lie, stall and flood: no head falls two intervals behind, few connections, little memory', async () => {
    const first = await startHonest(0, []);
    const second = await startHonest(1, [addressOf(first)]);
    const follower = await startHonest(null, [addressOf(first), addressOf(second)]);
    await waitFor('the three to meet', () => honest.every(({ net }) => net.peers().length === 2));
    const sybils = await Promise.all(Array.from({ length: SYBILS }, (_, i) => startSybil(i)));
    const targets = honest.map(addressOf);
    await Promise.all(sybils.flatMap(({ host }) => targets.map((target) => host.dial(target).catch(() => undefined))));

    const beforeBytes = process.memoryUsage().rss;
    let [nonce, round] = [0, 0];
    const work = setInterval(() => {
      const tx = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: nonce++ });
      void first.chain.admission.submit([tx], 'client');
    }, 100);
    const nuisance = setInterval(() => {
      round++;
      sybils.forEach((sybil, i) => {
        harass(sybil, i + round * SYBILS);
        // Whoever was put out tries again.
        if (sybil.net.peers().length < 3) {
          for (const target of targets) void sybil.host.dial(target).catch(() => undefined);
        }
      });
    }, 500);
    stops.push(
      () => {
        clearInterval(work);
      },
      () => {
        clearInterval(nuisance);
      },
    );

    let [behind, connections] = [0, 0];
    const heights = (): number[] => honest.map(({ chain }) => chain.ledger.tip.height);
    await waitFor(
      '6 blocks on all',
      () => {
        behind = Math.max(behind, Math.max(...heights()) - Math.min(...heights()));
        connections = Math.max(connections, ...honest.map(({ host }) => host.peers().length));
        return Math.min(...heights()) >= 6;
      },
      50_000,
    );
    assert.ok(behind <= 2, `${behind} blocks behind`);
    assert.ok(connections > 2 && connections <= LIMITS.maxConnections + 2, `${connections} connections`);
    const grownMib = (process.memoryUsage().rss - beforeBytes) / MIB;
    assert.ok(grownMib < 256, `${Math.round(grownMib)} MiB more`);
    assert.deepEqual(faults, []);
    assert.ok(follower.net.peers().includes(first.host.peerId), 'named peers keep their places');
  });
});
