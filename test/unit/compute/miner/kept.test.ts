/** What a miner holds for clients, agreements and the chain: never more than so much. */
import assert from 'node:assert/strict';
import { Writer } from '../../../../src/chain/codec.ts';
import { signVoucher } from '../../../../src/chain/modules/compute/voucher.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import type { AttemptState, AttemptTerms } from '../../../../src/compute/miner/attempt.ts';
import { openAttempt } from '../../../../src/compute/miner/attempt.ts';
import { Books, MAX_LEDGERS } from '../../../../src/compute/miner/books.ts';
import type { Ledger } from '../../../../src/compute/miner/ledger.ts';
import { createMinerMetrics } from '../../../../src/compute/miner/metrics.ts';
import { MAX_STREAMS } from '../../../../src/compute/miner/miner.ts';
import { Monitor } from '../../../../src/compute/miner/monitor.ts';
import { MAX_ON_THEIR_WAY, Outbox } from '../../../../src/compute/miner/outbox.ts';
import { MAX_FENCES, MAX_KEPT, Runs } from '../../../../src/compute/miner/runs.ts';
import { AttemptRun } from '../../../../src/compute/miner/run.ts';
import { Slots } from '../../../../src/compute/miner/slots.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import { TestClient } from './client.ts';
import { CLIENT, MINER, World } from './world.ts';

const session = signer('session');

function id(number: number): Uint8Array {
  return new Writer(32).u32(number).fixed(new Uint8Array(28), 28).finish();
}

function ledger(world: World, number: number): Ledger {
  const fields = { agreement: id(number), creditUait: 500, seen: id(0) };
  return {
    ...{ agreement: id(number), client: addressOfName(CLIENT), signer: session.publicKey },
    ...{ capUait: 10_000, paidUait: 0, expiresAtMs: 1e15, chainState: 'open', dueUait: 500, active: null },
    voucher: signVoucher(world.market.chain.genesis.chain, session, fields),
    ...{ isSingle: true, receipts: [], awaitedUntilMs: 0, lastUsedMs: 0 },
  };
}

describe('what a miner keeps', () => {
  const world = new World();
  const { clock, rows } = world;
  const chain = world.chain();
  const metrics = createMinerMetrics(nopRegister);
  const rules = { hasher: nativeCrypto, chain: chain.context, signer: signer(MINER) };
  const executors = { prepare: () => assert.fail(), run: () => assert.fail(), probe: () => assert.fail() };

  function emptyRuns(): Runs {
    const slots = new Slots(1, () => undefined);
    return new Runs({
      ...{
        rules,
        rows,
        clock,
        executors,
        blobs: world.blobs,
        metrics,
        slots,
        books: new Books(),
        monitor: new Monitor(clock),
      },
      onOver: () => undefined,
      onFatal: (error) => assert.fail(error),
    });
  }

  it('bound: attempts that a client may come back to; the oldest are forgotten', async () => {
    const runs = emptyRuns();
    const state = (number: number): AttemptState =>
      ({ phase: 'ended', terms: { id: id(number) }, receipt: null }) as unknown as AttemptState;
    runs.restore(
      Array.from({ length: MAX_KEPT + 3 }, (_, i) => ({ state: state(i), pieces: [], endedAtMs: clock.now() })),
    );
    await runs.sweep();
    assert.equal(runs.size, MAX_KEPT);
    assert.deepEqual([runs.get(id(2)), runs.get(id(3)) === undefined], [undefined, false]);
    clock.advance(10 * 60_000);
    await runs.sweep();
    assert.equal(runs.size, 0);
  });

  it('bound: bytes of output kept', async () => {
    const runs = emptyRuns();
    const pieces = [new Uint8Array(4 * 1024 * 1024)];
    const state = (number: number): AttemptState =>
      ({ phase: 'ended', terms: { id: id(number) }, receipt: null }) as unknown as AttemptState;
    runs.restore(Array.from({ length: 20 }, (_, i) => ({ state: state(i), pieces, endedAtMs: clock.now() })));
    await runs.sweep();
    assert.equal(runs.size, 16);
  });

  it('bound: no input of attempts that are over', async () => {
    const bytes = 1024 * 1024;
    const assignment = { job: id(1), attempt: 1, agreement: id(2), baseUait: 0, maxUait: 0, executionMs: 1_000 };
    const terms = { id: id(3), job: { spec: { inputBytes: bytes } }, assignment: { assignment } };
    const kept = new Map<string, unknown>();
    const run = new AttemptRun(
      {
        ...{
          rules,
          clock,
          executors,
          blobs: world.blobs,
          monitor: new Monitor(clock),
          onDue: () => undefined,
          onOver: () => undefined,
        },
        keep: (_run, what) => Promise.resolve(void kept.set(what, true)),
        onFatal: (error) => assert.fail(error),
      },
      openAttempt(terms as unknown as AttemptTerms, 0),
    );
    assert.equal(run.inputRoomBytes, bytes);
    await run.apply({ type: 'stop' });
    assert.deepEqual([run.state.phase, kept.has('failure'), run.inputRoomBytes], ['refused', true, 0]);
  });

  it('bound: jobs whose highest attempt is known', () => {
    const runs = emptyRuns();
    for (let i = 0; i <= MAX_FENCES; i++) runs.fence(id(i), 3);
    assert.deepEqual([runs.lastAttempt(id(0)), runs.lastAttempt(id(1))], [0, 3]);
    runs.fence(id(1), 2);
    assert.equal(runs.lastAttempt(id(1)), 3);
  });

  it('bound: agreements at once, and settlements on their way', async () => {
    const books = new Books();
    for (let i = 0; i < MAX_ON_THEIR_WAY + 10; i++) books.set(ledger(world, i));
    assert.equal(books.isFull, false);
    const address = addressOf(nativeCrypto, signer(MINER).publicKey);
    const modules = { chain, books, rows, signer: signer(MINER), address, hasher: nativeCrypto, clock, metrics };
    const outbox = new Outbox({ ...modules, log: nopLogger });
    await outbox.consider({ isDraining: false });
    assert.deepEqual([outbox.size, world.pool.length], [MAX_ON_THEIR_WAY, MAX_ON_THEIR_WAY]);
    const nonces = new Set(world.pool.map(({ nonce }) => nonce));
    assert.equal(nonces.size, MAX_ON_THEIR_WAY);
    await outbox.consider({ isDraining: false });
    assert.equal(outbox.size, MAX_ON_THEIR_WAY);
    const one = ledger(world, 0);
    for (let i = 0; i < MAX_LEDGERS; i++) books.set({ ...one, agreement: id(i) });
    assert.equal(books.isFull, true);
  });

  it('bound: work streams; each peer as many as are left, so that one alone never shuts out the others', async () => {
    const own = new World();
    await own.start();
    const client = new TestClient(own);
    client.openAgreement();
    const silent = {
      send: () => Promise.resolve(),
      read: () => new Promise<null>(() => undefined),
      close: () => undefined,
    };
    let isOver = (): void => undefined;
    const ending = { ...silent, read: () => new Promise<null>((resolve) => (isOver = () => resolve(null))) };
    const first = own.miner.work(ending, 'a');
    for (let i = 1; i < MAX_STREAMS / 2; i++) void own.miner.work({ ...silent }, 'a');
    await assert.rejects(own.miner.work({ ...silent }, 'a'), { code: 'BUSY' });
    for (let i = 0; i < MAX_STREAMS / 4; i++) void own.miner.work({ ...silent }, 'b');
    await assert.rejects(own.miner.work({ ...silent }, 'b'), { code: 'BUSY' });
    assert.equal(own.miner.status().streams, (MAX_STREAMS * 3) / 4);
    isOver();
    await first;
    assert.equal(own.miner.status().streams, (MAX_STREAMS * 3) / 4 - 1);
    void own.miner.work({ ...silent }, 'b');
    assert.equal(own.miner.status().streams, (MAX_STREAMS * 3) / 4);
    await own.miner.close();
  });
});
