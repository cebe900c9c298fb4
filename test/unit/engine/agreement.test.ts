import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { getAccount } from '../../../src/chain/accounts.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { checkInvariants } from '../../../src/chain/modules/table.ts';
import type { Genesis } from '../../../src/chain/genesis.ts';
import type { RunningChain } from '../../../src/chains.ts';
import { openChain } from '../../../src/chains.ts';
import { systemClock } from '../../../src/clock.ts';
import { createLogger, nopLogger } from '../../../src/log.ts';
import { DEFAULT_MEMPOOL_LIMITS } from '../../../src/mempool.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { VerifyPool } from '../../../src/native/verify-pool.ts';
import { createVerifyPool } from '../../../src/native/verify-pool.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { fixtureGenesis, makeTransfer, signer } from '../../util/chain-fixture.ts';
import { MemoryNetwork } from '../../util/memory-network.ts';
import { waitFor } from '../../util/wait.ts';

const TIMEOUTS = { proposeMs: 300, proposeDeltaMs: 100, voteMs: 150, voteDeltaMs: 100, capMs: 2000 };

describe('agreement of chains in one process', () => {
  let folder: string;
  let verifier: VerifyPool;
  let network: MemoryNetwork;
  let genesis: Genesis;
  let running: Map<number, RunningChain>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aitbc-agreement-'));
    verifier = createVerifyPool({ workers: 1 });
    network = new MemoryNetwork();
    running = new Map();
  });

  afterEach(async () => {
    for (const chain of running.values()) await chain.stop();
    await verifier.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(i: number): Promise<RunningChain> {
    const home = join(folder, String(i));
    const chainSigner = signer(`validator-${i}`);
    const identity = { chainId: genesis.chain.chainId, genesisHash: genesis.chain.genesisHash };
    const store = await openChainStore({ folder: join(home, 'db'), ...identity, hasher: nativeCrypto });
    const guard = await openSignGuard({
      folder: home,
      ...identity,
      publicKey: chainSigner.publicKey,
      store: { sequence: store.guardSequence(chainSigner.publicKey), height: store.head()?.height ?? 0 },
    });
    const chain = await openChain(
      { timeouts: TIMEOUTS, retainedBlocks: Infinity, mempool: DEFAULT_MEMPOOL_LIMITS },
      {
        genesis,
        crypto: nativeCrypto,
        verifier,
        store,
        signing: { signer: chainSigner, guard },
        snapshots: null,
        joining: null,
        clock: systemClock,
        log: process.env['DEBUG_LOG']
          ? createLogger({ level: 'debug', format: 'pretty', stream: process.stderr })
          : nopLogger,
        metrics: nopRegister,
        onFatal: (error) => {
          throw error;
        },
      },
    );
    running.set(i, chain);
    await chain.start(network.join(`peer-${i}`, chain.handlers));
    return chain;
  }

  async function stop(i: number): Promise<void> {
    const chain = running.get(i);
    running.delete(i);
    await chain?.stop();
  }

  const heights = (): number[] => [...running.values()].map((chain) => chain.ledger.tip.height);

  function assertSame(): void {
    const [first, ...others] = [...running.values()];
    assert.ok(first);
    for (const other of others) {
      const height = Math.min(first.ledger.tip.height, other.ledger.tip.height);
      for (let h = 1; h <= height; h++) {
        assert.deepEqual(first.ledger.store.blockBytes(h), other.ledger.store.blockBytes(h), `block ${h}`);
      }
    }
  }

  async function sendAndWait(nonce: number, via = 0): Promise<void> {
    const chain = [...running.values()][via];
    assert.ok(chain);
    const tx = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce });
    assert.deepEqual(await chain.admission.submit([tx], 'client'), [null]);
    const id = toHex(tx.id);
    await waitFor(`transfer ${nonce} on all (${id})`, () =>
      [...running.values()].every((each) => each.ledger.store.transaction(tx.id) !== undefined),
    );
  }

  it('a lone validator commits by itself and stays idle without traffic', async () => {
    genesis = fixtureGenesis({ powers: [1] });
    const chain = await start(0);
    await sendAndWait(0);
    await sendAndWait(1);
    assert.equal(chain.ledger.tip.height, 2);
    assert.equal(getAccount(chain.ledger.tip.state, addressOf(nativeCrypto, signer('account-0').publicKey)).nonce, 2);
  });

  it('tells its listeners of every step, and of peers that come and go', async () => {
    genesis = fixtureGenesis({ powers: [1] });
    const chain = await start(0);
    const seen: string[] = [];
    const ends = [
      chain.onStep(() => {
        const { height, round, step } = chain.engine.machine;
        const place = `${height}/${round} ${step}`;
        if (seen.at(-1) !== place) seen.push(place);
      }),
      chain.onCommit((applied) => seen.push(`committed ${applied.at(-1)?.block.header.height}`)),
      chain.onStep(() => {
        throw new Error('of a listener alone');
      }),
    ];
    let peers = 0;
    ends.push(chain.onPeers(() => peers++));
    chain.handlers.onPeer('peer-x');
    chain.handlers.onPeerGone('peer-x');
    assert.equal(peers, 2);
    await sendAndWait(0);
    await waitFor('the next height', () => seen.at(-1)?.startsWith('2/0') === true);
    for (const end of ends) end();
    for (const step of ['propose', 'prevote', 'precommit']) assert(seen.includes(`1/0 ${step}`), seen.join(', '));
    assert(seen.indexOf('1/0 precommit') < seen.indexOf('committed 1'));
  });

  it('three validators finalise transfers sent to any of them', async () => {
    genesis = fixtureGenesis();
    for (const i of [0, 1, 2]) await start(i);
    for (let nonce = 0; nonce < 12; nonce++) await sendAndWait(nonce, nonce % 3);
    assertSame();
    const entries = new Map<string, Uint8Array>();
    const chain = running.get(0);
    assert.ok(chain);
    for await (const [key, value] of chain.ledger.store.stateEntries()) entries.set(key, value);
    assert.deepEqual(checkInvariants(entries), []);
  });

  it('goes on with two of three, stops with one, and resumes with a pending transfer', async () => {
    genesis = fixtureGenesis();
    for (const i of [0, 1, 2]) await start(i);
    await sendAndWait(0);
    await stop(1);
    for (let nonce = 1; nonce < 5; nonce++) await sendAndWait(nonce);
    await stop(2);
    const alone = running.get(0);
    assert.ok(alone);
    const before = alone.ledger.tip.height;
    const tx = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: 5 });
    await alone.admission.submit([tx], 'client');
    await waitFor('the lone validator to try', () => alone.engine.machine.step !== 'idle');
    assert.equal(alone.ledger.tip.height, before);
    await start(1);
    await waitFor('the pending transfer on both', () =>
      [...running.values()].every((each) => each.ledger.store.transaction(tx.id) !== undefined),
    );
    await start(2);
    await sendAndWait(6);
    assertSame();
  });

  it('catches up over many blocks by the blocks protocol and signs again', async () => {
    genesis = fixtureGenesis();
    for (const i of [0, 1, 2]) await start(i);
    await sendAndWait(0);
    await stop(2);
    for (let nonce = 1; nonce < 40; nonce++) await sendAndWait(nonce);
    const late = await start(2);
    await waitFor('the late one to catch up', () => late.ledger.tip.height === Math.max(...heights()));
    await stop(0);
    await sendAndWait(40, 0);
    assert.ok(late.gate.open);
    assertSame();
  });

  it('all stop at once under load and go on', async () => {
    genesis = fixtureGenesis();
    for (const i of [0, 1, 2]) await start(i);
    const chain = running.get(0);
    assert.ok(chain);
    const txs = [...Array(200).keys()].map((nonce) =>
      makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce }),
    );
    await chain.admission.submit(txs, 'client');
    await waitFor('a few blocks', () => chain.ledger.tip.height > 0);
    await Promise.all([0, 1, 2].map(stop));
    for (const i of [0, 1, 2]) await start(i);
    await waitFor('all transfers', () =>
      [...running.values()].every((each) => txs.every((tx) => each.ledger.store.transaction(tx.id) !== undefined)),
    );
    assertSame();
  });
});
