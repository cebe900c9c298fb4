import assert from 'node:assert/strict';
import { bytesKey } from '../../../src/bytes.ts';
import type { AppliedBlock } from '../../../src/chain/execute.ts';
import { assembleTransaction } from '../../../src/chain/tx.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import type { Body } from '../../../src/engine/bodies.ts';
import { Bodies, MAX_BODIES } from '../../../src/engine/bodies.ts';
import { Ledger } from '../../../src/engine/ledger.ts';
import { TxAdmission } from '../../../src/engine/admission.ts';
import { nopLogger } from '../../../src/log.ts';
import { DEFAULT_MEMPOOL_LIMITS, Mempool } from '../../../src/mempool.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import { fixtureGenesis, makeTransfer } from '../../util/chain-fixture.ts';
import { InlineVerifier } from '../../util/inline-verifier.ts';
import { MemoryStore } from '../../util/memory-store.ts';
import { ScriptedNetwork, stall } from '../../util/scripted-network.ts';
import { settle } from './node-under-test.ts';

const LIMIT = { max_block_txs: 64, max_block_bytes: 8 * 1024 };
const genesis = fixtureGenesis({ timeMs: 900_000, params: LIMIT });
const never = (): boolean => false;

async function setUp() {
  const store = new MemoryStore();
  const clock = manualClock();
  const verifier = new InlineVerifier();
  const network = new ScriptedNetwork();
  const ledger = await Ledger.open(
    { chain: genesis.chain, params: genesis.params, crypto: nativeCrypto },
    genesis,
    store,
  );
  const pool = new Mempool(DEFAULT_MEMPOOL_LIMITS);
  const admission = new TxAdmission({
    ledger,
    pool,
    journal: store.journal,
    verifier,
    clock,
    metrics: nopRegister,
    onPending: () => undefined,
  });
  const bodies = new Bodies({ ledger, admission, verifier, clock, log: nopLogger });
  bodies.connect(network);
  return { bodies, network, clock, verifier, admission, pool };
}

const transfers = (count: number, from = 'account-0'): Transaction[] =>
  Array.from({ length: count }, (_, nonce) => makeTransfer(genesis, { from, to: 'account-1', nonce }));

function blockOf(txs: readonly Transaction[]): AppliedBlock {
  return new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']).build(txs);
}

function bodyOf({ block, blockId }: AppliedBlock, from: string | null, ids = block.txs.map((tx) => tx.id)): Body {
  const { header, lastCommit, evidence } = block;
  return {
    blockId,
    head: { header, lastCommit, evidence, txIds: ids },
    from,
    timely: true,
    txs: ids.map(() => undefined),
  };
}

const serve =
  (txs: readonly Transaction[], most = Infinity) =>
  ({ ids }: { ids: readonly Uint8Array[] }): Transaction[] => {
    const byId = new Map(txs.map((tx) => [bytesKey(tx.id), tx]));
    return ids.flatMap((id) => byId.get(bytesKey(id)) ?? []).slice(0, most);
  };

describe('bodies of proposals', () => {
  it('come from the pool, and what is missing from who sent the proposal', async () => {
    const { bodies, network, admission } = await setUp();
    const txs = transfers(6);
    await admission.submit(txs.slice(0, 4), 'peer');
    network.scripts.set('other', { txs: serve(txs) }).set('sender', { txs: serve(txs) });
    const applied = blockOf(txs);
    bodies.add(bodyOf(applied, 'sender'), never);
    const block = await bodies.prepare(applied.blockId);
    assert.deepEqual(
      block?.txs.map((tx) => tx.id),
      txs.map((tx) => tx.id),
    );
    assert.deepEqual(
      network.asked.map(({ peer, request }) => [peer, (request as { ids: unknown[] }).ids.length]),
      [['sender', 2]],
    );
    assert.ok(txs.slice(4).every((tx) => bodies.transaction(tx.id)));
  });

  it('those on their way into the pool are waited for, neither fetched nor verified twice', async () => {
    const { bodies, network, admission, verifier } = await setUp();
    const txs = transfers(6);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    verifier.gate = gate;
    const submitted = admission.submit(txs, 'peer');
    verifier.gate = Promise.resolve();
    const applied = blockOf(txs);
    bodies.add(bodyOf(applied, 'sender'), never);
    const prepared = bodies.prepare(applied.blockId);
    await settle();
    assert.equal(verifier.checked, 0);
    open();
    assert.equal((await prepared)?.txs.length, 6);
    assert.deepEqual(await submitted, Array(6).fill(null));
    assert.equal(verifier.checked, 6);
    assert.deepEqual(network.asked, []);
  });

  it('bound: no block waits while more than 512 are on their way into the pool', async () => {
    const { bodies, admission, verifier } = await setUp();
    verifier.gate = new Promise(() => undefined);
    const txs = transfers(6);
    for (const part of [txs, transfers(250, 'account-1'), transfers(250, 'account-2')])
      void admission.submit(part, 'peer');
    const some = blockOf(txs);
    bodies.add(bodyOf(some, 'sender'), never);
    verifier.gate = Promise.resolve();
    void bodies.prepare(some.blockId);
    await settle();
    assert.equal(verifier.checked, 0);
    verifier.gate = new Promise(() => undefined);
    void admission.submit(transfers(7, 'account-3'), 'peer');
    const others = blockOf(txs.slice(0, 5));
    bodies.add(bodyOf(others, 'sender'), never);
    verifier.gate = Promise.resolve();
    assert.equal((await bodies.prepare(others.blockId))?.txs.length, 5);
    assert.equal(verifier.checked, 5);
  });

  it('a sender that answers with other transactions is reported, and the others are asked', async () => {
    const { bodies, network } = await setUp();
    const txs = transfers(3);
    network.scripts.set('sender', { txs: () => transfers(2, 'account-2') }).set('honest', { txs: serve(txs) });
    const applied = blockOf(txs);
    bodies.add(bodyOf(applied, 'sender'), never);
    assert.ok(await bodies.prepare(applied.blockId));
    assert.deepEqual(network.reports[0], {
      peer: 'sender',
      action: 'protocol-error',
      reason: 'transactions that were not asked for',
    });
    assert.ok(network.asked.length <= 3, String(network.asked.length));
  });

  it('silent peers and peers that bring one at a time hold up no body', async () => {
    const { bodies, network, clock } = await setUp();
    const txs = transfers(30);
    network.scripts
      .set('drips', { txs: serve(txs, 1) })
      .set('silent', { txs: stall })
      .set('empty', { txs: () => [] })
      .set('honest', { txs: serve(txs) });
    const applied = blockOf(txs);
    bodies.add(bodyOf(applied, 'drips'), never);
    const done = bodies.prepare(applied.blockId);
    await settle();
    clock.advance(250);
    await settle();
    assert.ok(await done);
  });

  it('bound: what nobody has is asked for ever more rarely, once however often it is wanted', async () => {
    const { bodies, network, clock } = await setUp();
    for (const name of ['a', 'b', 'c']) network.scripts.set(name, { txs: () => [] });
    const applied = blockOf(transfers(3));
    bodies.add(bodyOf(applied, 'a'), never);
    const waiting = [bodies.prepare(applied.blockId), bodies.prepare(applied.blockId)];
    for (let i = 0; i < 600; i++) {
      clock.advance(100);
      await settle(4);
    }
    // 60 seconds: after some doublings one round over three peers every 2 s.
    assert.ok(network.asked.length <= 3 * 36, String(network.asked.length));
    bodies.clear();
    assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
    assert.equal(clock.pending, 0, 'nothing is left behind');
  });

  it('bound: more transactions than a block may hold, or one twice, are not fetched', async () => {
    const { bodies, network } = await setUp();
    const [tx] = transfers(1);
    assert.ok(tx);
    network.scripts.set('traitor', { txs: serve([tx]) });
    const applied = blockOf([tx]);
    const many = Array.from({ length: LIMIT.max_block_txs + 1 }, (_, i) => new Uint8Array(32).fill(i));
    bodies.add(bodyOf(applied, 'traitor', many), never);
    assert.equal(await bodies.prepare(applied.blockId), null);
    bodies.clear();
    bodies.add(bodyOf(applied, 'traitor', [tx.id, tx.id]), never);
    assert.equal(await bodies.prepare(applied.blockId), null);
    assert.deepEqual(network.asked, []);
  });

  it('bound: bytes fetched for one block', async () => {
    const { bodies, network } = await setUp();
    const txs = transfers(64);
    let served = 0;
    network.scripts.set('traitor', {
      txs: (request) => {
        const found = serve(txs, 8)(request);
        served += found.reduce((sum, tx) => sum + tx.bytes.length, 0);
        return found;
      },
    });
    const applied = blockOf(txs);
    bodies.add(
      bodyOf(
        applied,
        'traitor',
        txs.map((tx) => tx.id),
      ),
      never,
    );
    assert.equal(await bodies.prepare(applied.blockId), null);
    assert.ok(served < LIMIT.max_block_bytes + 8 * 300, String(served));
  });

  it('a bad signature makes the block invalid; a full verifier is asked again later', async () => {
    const { bodies, network, verifier } = await setUp();
    const txs = transfers(2);
    const [first, second] = txs;
    assert.ok(first && second);
    const applied = blockOf(txs);
    verifier.full = true;
    network.scripts.set('sender', { txs: serve(txs) });
    bodies.add(bodyOf(applied, 'sender'), never);
    await assert.rejects(bodies.prepare(applied.blockId), { code: 'POOL_FULL' });
    verifier.full = false;
    assert.ok(await bodies.prepare(applied.blockId));
    bodies.clear();
    const forged = assembleTransaction(nativeCrypto, second, new Uint8Array(64).fill(9));
    const bad = blockOf([first, forged]);
    network.scripts.set('sender', { txs: serve([first, forged]) });
    bodies.add(bodyOf(bad, 'sender'), never);
    assert.equal(await bodies.prepare(bad.blockId), null);
  });

  it(`bound: ${MAX_BODIES} bodies, those held stay`, async () => {
    const { bodies } = await setUp();
    const applied = blockOf(transfers(1));
    const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);
    for (let n = 0; n < 3 * MAX_BODIES; n++) {
      bodies.add({ ...bodyOf(applied, null), blockId: id(n) }, (blockId) => blockId[0] === 0);
    }
    const kept = Array.from({ length: 3 * MAX_BODIES }, (_, n) => n).filter((n) => bodies.get(id(n)));
    assert.equal(kept.length, MAX_BODIES);
    assert.equal(kept[0], 0);
    assert.equal(kept.at(-1), 3 * MAX_BODIES - 1);
  });

  it('bound: finding transactions for a peer takes a look-up each, not a search', async () => {
    const { bodies } = await setUp();
    const applied = blockOf(transfers(1));
    for (let n = 0; n < MAX_BODIES; n++) {
      const ids = Array.from({ length: 20_000 }, (_, i) => {
        const id = new Uint8Array(32).fill(n);
        new DataView(id.buffer).setUint32(0, i);
        return id;
      });
      bodies.add({ ...bodyOf(applied, null, ids), blockId: new Uint8Array(32).fill(n) }, never);
    }
    // A search over 16 × 20,000 ids for each of 2,048 would take minutes, and this test with it.
    for (let i = 0; i < 2_048; i++) assert.equal(bodies.transaction(new Uint8Array(32).fill(i % 256)), undefined);
  });
});
