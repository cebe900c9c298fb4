import assert from 'node:assert/strict';
import type { Hash } from '../../../../src/bytes.ts';
import { bytesKey, toHex } from '../../../../src/bytes.ts';
import { LEASE_MS } from '../../../../protocols/market/work-frames.ts';
import { dueUait } from '../../../../src/chain/market/price.ts';
import { acknowledgementCheck, receiptCheck } from '../../../../src/chain/market/receipt.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { CHAIN } from './fixtures.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, settle, World } from './world.ts';

const PRICE = { fixedUait: 10, inputUaitPerKib: 10, outputUaitPerKib: 1_000 };

describe('coordinator', () => {
  let world: World;
  const start = async (...miners: TestMiner[]): Promise<World> => {
    world = new World();
    for (const miner of miners) world.add(miner);
    await world.start();
    return world;
  };
  afterEach(async () => {
    await world.coordinator.close();
    assert.equal(world.clock.pending, 0, 'no timer is left');
  });

  it('has a job done, pays what came, and keeps the receipt', async () => {
    const miner = new TestMiner(1);
    await start(miner);
    const view = await world.run();
    assert.equal(view.state, 'completed');
    assert.equal(await world.output(view.id), 'Vienna is the capital.');
    const kept = world.coordinator.receipt(view.id);
    assert.ok(kept);
    const { receipt } = kept.receipt;
    assert.equal(receipt.dueUait, dueUait(PRICE, receipt.inputBytes, 22));
    assert.equal(view.spentUait, receipt.dueUait);
    for (const check of [
      receiptCheck(CHAIN, kept.receipt),
      acknowledgementCheck(CHAIN, kept.id, kept.acknowledgement, receipt.signer),
    ]) {
      assert.ok(nativeCrypto.verify(check.message, check.signature, check.publicKey));
    }
    await world.until('the miner has its acknowledgement', () => miner.earnedUait === receipt.dueUait);
  });

  it('uses the agreement of a session again, and opens one anew for each single job', async () => {
    const miner = new TestMiner(1);
    await start(miner);
    for (let i = 0; i < 5; i++) assert.equal((await world.run()).state, 'completed');
    assert.equal(world.sent, 1);
    assert.equal((await world.run({ agreement: 'single' })).state, 'completed');
    assert.equal((await world.run({ agreement: 'single' })).state, 'completed');
    assert.equal(world.sent, 3);
    await world.until('all is acknowledged', () => miner.earnedUait > 0);
  });

  it('tells each state once, in order', async () => {
    await start(new TestMiner(1));
    const { id } = await world.run();
    const states: string[] = [];
    const sequences: number[] = [];
    for await (const event of world.coordinator.events(id, 1, new AbortController().signal)) {
      states.push(event.state);
      sequences.push(event.sequence);
    }
    assert.deepEqual(states, ['queued', 'matched', 'funded', 'leased', 'running', 'delivered', 'completed']);
    assert.deepEqual(
      sequences,
      sequences.map((_, i) => i + 1),
    );
  });

  it('waits for a miner, says so, and goes on at once when one comes', async () => {
    await start();
    const { id } = await world.coordinator.submit(requestOf({ model: 'tiny' }));
    await world.until('it waits', () => world.view(id).state === 'queued', 0);
    const why = world.coordinator.why(id);
    assert.match(why?.summary ?? '', /there is none now/);
    assert.equal(why?.reasons[0]?.code, 'NO_MINER');
    world.add(new TestMiner(1));
    assert.equal((await world.ended(id, 0)).state, 'completed');
  });

  it('ends a job that nobody takes in its time, with the reason told most', async () => {
    await start(new TestMiner(1, { price: { outputUaitPerKib: 1_000_000 } }));
    const view = await world.run({ queueMs: 5_000 });
    assert.equal(view.state, 'expired');
    assert.equal(view.fault?.code, 'PRICE');
    assert.equal(world.sent, 0, 'no money was set aside');
  });

  it('is one job under one idempotency key, and CONFLICT for another request', async () => {
    const miner = new TestMiner(1);
    await start(miner);
    const request = requestOf({ idempotencyKey: 'k', owner: 'me' });
    const [first, again] = await Promise.all([world.coordinator.submit(request), world.coordinator.submit(request)]);
    assert.equal(toHex(first.id), toHex(again.id));
    await world.ended(first.id);
    await world.crash();
    assert.equal(toHex((await world.coordinator.submit(request)).id), toHex(first.id), 'after a restart too');
    await assert.rejects(world.coordinator.submit({ ...request, maxOutputBytes: 1 }), { code: 'CONFLICT' });
    const other = await world.coordinator.submit({ ...request, owner: 'you' });
    assert.notEqual(toHex(other.id), toHex(first.id));
    await world.ended(other.id);
    assert.equal(miner.started, 2);
  });

  it('tells of a job that has ended the same after a restart: who did it, and which agreement paid', async () => {
    const miner = new TestMiner(1);
    await start(miner);
    const before = await world.run();
    assert.deepEqual(before.miner, miner.address);
    assert.ok(before.agreement && before.answeredBy !== null);
    await world.crash();
    assert.deepEqual(world.view(before.id), before);
  });

  it('asks up to four miners, takes the best, and tries the next ones when they decline', async () => {
    const busy = [1, 2, 3, 4].map(
      (seed) => new TestMiner(seed, { decline: { code: 'BUSY', times: 9 }, price: { outputUaitPerKib: 10 } }),
    );
    const free = new TestMiner(5);
    await start(...busy, free);
    const view = await world.run();
    assert.equal(view.state, 'completed');
    assert.deepEqual(view.miner, free.address);
    assert.ok((world.coordinator.why(view.id)?.reasons[0]?.count ?? 0) >= 3);
  });

  it('cancels a job that waits at once, and one that runs by a stop that the miner answers', async () => {
    const miner = new TestMiner(1, { silentAfter: 2 });
    await start();
    const waiting = await world.coordinator.submit(requestOf());
    assert.equal((await world.coordinator.cancel(waiting.id)).state, 'canceled');
    world.add(miner);
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('output', () => world.view(id).outputBytes > 0, 0);
    delete miner.script.silentAfter;
    const canceled = await world.coordinator.cancel(id);
    assert.equal(canceled.state, 'canceled');
    assert.equal(canceled.finish, 'canceled');
    assert.equal(miner.stopped, 1);
    assert.ok(world.coordinator.receipt(id), 'what was done is paid, and has its receipt');
    await world.until('the miner has the acknowledgement', () => miner.earnedUait > 0, 0);
  });

  it('cancels after the lease when the miner says nothing', async () => {
    const miner = new TestMiner(1, { silentAfter: 2, deaf: true });
    await start(miner);
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('output', () => world.view(id).outputBytes > 0, 0);
    const canceling = world.coordinator.cancel(id);
    await world.ended(id, 1_000);
    const view = await canceling;
    assert.equal(view.state, 'canceled');
    assert.equal(view.spentUait, miner.takableUait, 'what it may take is counted');
  });

  it('has a job done elsewhere when its miner falls silent, under the next number', async () => {
    const silent = new TestMiner(1, { silentAfter: 2, price: { outputUaitPerKib: 100 } });
    const other = new TestMiner(2);
    await start(silent, other);
    const view = await world.run();
    assert.equal(view.state, 'completed');
    if (view.attempt === 1) return assert.deepEqual(view.miner, other.address);
    assert.equal(view.attempt, 2);
    assert.deepEqual(view.miner, other.address);
    assert.equal(
      view.spentUait,
      silent.takableUait + (world.coordinator.receipt(view.id)?.receipt.receipt.dueUait ?? 0),
    );
  });

  it('goes on with the same attempt when a stream breaks', async () => {
    const miner = new TestMiner(1, { breakAfter: 2 });
    await start(miner);
    const view = await world.run();
    assert.equal(view.state, 'completed');
    assert.equal(view.attempt, 1);
    assert.equal(miner.started, 1);
    assert.equal(await world.output(view.id), 'Vienna is the capital.');
  });

  it('asks another miner at once when a miner has the key of its quote no more', async () => {
    const other = new TestMiner(2, { price: { outputUaitPerKib: 1_200 } });
    const miner = new TestMiner(1, { forgetsKeys: 1 });
    await start(miner, other);
    const startedMs = world.clock.monotonic();
    const view = await world.run({ agreement: 'session' });
    assert.deepEqual([view.state, view.attempt, view.miner], ['completed', 2, other.address]);
    assert.equal(world.coordinator.why(view.id)?.reasons[0]?.code, 'EXPIRED');
    assert.ok(world.clock.monotonic() - startedMs < LEASE_MS, 'no lease was waited for');
    assert.deepEqual([miner.started, miner.takableUait], [0, 0], 'nothing was given to the first one');
    assert.equal(view.spentUait, other.earnedUait, 'and nothing of the maximum is gone');
  });

  it('uses the agreement that was opened for a job with a new quote when the key of the first one is gone', async () => {
    const miner = new TestMiner(1, { forgetsKeys: 1 });
    await start(miner);
    const view = await world.run({ agreement: 'single' });
    assert.deepEqual([view.state, view.attempt, miner.started, world.sent], ['completed', 2, 1, 1]);
  });

  it('gives up an attempt at once that its miner can take up no more', async () => {
    const miner = new TestMiner(1, { breakAfter: 2 });
    await start(miner, new TestMiner(2, { price: { outputUaitPerKib: 1_200 } }));
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('output', () => world.view(id).outputBytes > 0, 0);
    miner.script.forgetsKeys = 1;
    const startedMs = world.clock.monotonic();
    await world.until('it goes on elsewhere', () => world.view(id).state === 'completed');
    assert.deepEqual([world.view(id).attempt, world.coordinator.why(id)?.reasons[0]?.code], [2, 'LEASE_LOST']);
    assert.ok(world.clock.monotonic() - startedMs < LEASE_MS);
  });

  it('sends the same assignment again while the miner does not see the agreement', async () => {
    const miner = new TestMiner(1, { refuse: { code: 'NOT_FUNDED', afterMs: 200, times: 3 } });
    await start(miner);
    const view = await world.run({ agreement: 'single', maxPriceUait: 4_500 });
    assert.equal(view.state, 'completed');
    assert.equal(view.attempt, 1);
    assert.equal(world.sent, 1);
  });

  it('uses what it opened for a job with the next quote of the same miner', async () => {
    const miner = new TestMiner(1, { refuse: { code: 'EXPIRED', afterMs: 1, times: 1 } });
    await start(miner);
    const view = await world.run({ agreement: 'single', maxPriceUait: 4_500 });
    assert.equal(view.state, 'completed');
    assert.equal(view.attempt, 2);
    assert.equal(world.sent, 1);
    assert.equal(view.spentUait, world.coordinator.receipt(view.id)?.receipt.receipt.dueUait);
  });

  for (const [name, isRestarted] of [
    ['while it was in use', false],
    ['while the coordinator did not run', true],
  ] as const) {
    it(`opens another agreement when that of its session was closed ${name}`, async () => {
      const closed: Hash[] = [];
      await start(new TestMiner(1, { closed }));
      const { agreement } = await world.run();
      assert.ok(agreement);
      const held = world.agreements.get(bytesKey(agreement));
      assert.ok(held);
      held.agreement = { ...held.agreement, state: { name: 'closed', atHeight: 1, atMs: 1, refundedUait: 0 } };
      closed.push(agreement);
      if (isRestarted) await world.crash();
      const view = await world.run({ queueMs: 5_000 });
      assert.equal(view.state, 'completed', view.fault?.message);
      assert.equal(world.sent, 2);
    });
  }

  it('asks again a miner that was busy, when nothing else happens', async () => {
    await start(new TestMiner(1, { decline: { code: 'BUSY', times: 2, afterMs: 1_000 } }));
    const { state } = await world.run({ queueMs: 10_000 });
    assert.equal(state, 'completed');
  });

  it('fails a job that two miners call bad, and one that the only one does', async () => {
    const bad = { code: 'BAD_JOB', times: 9 } as const;
    await start(new TestMiner(1, { fail: { ...bad } }), new TestMiner(2, { fail: { ...bad } }));
    const twice = await world.run();
    assert.equal(twice.state, 'failed');
    assert.equal(twice.fault?.code, 'BAD_JOB');
    assert.equal(twice.attempt, 2);
  });

  it('fails after its attempts, and never pays above the maximum', async () => {
    const failing = new TestMiner(1, { fail: { code: 'EXECUTOR', times: 99 } });
    await start(failing);
    const view = await world.run({ maxPriceUait: 9_000 });
    assert.ok(['failed', 'expired'].includes(view.state));
    assert.ok(view.spentUait <= 9_000 && failing.takableUait <= 9_000);
  });

  it('is over at its total time, with what it cost', async () => {
    const miner = new TestMiner(1, { silentAfter: 1 });
    await start(miner);
    const view = await world.run({ totalMs: 5_000 });
    assert.equal(view.state, 'expired');
    assert.equal(view.fault?.code, 'TIMEOUT');
    assert.equal(view.spentUait, miner.takableUait);
  });

  it('closes what a miner does not release', async () => {
    await start(new TestMiner(1));
    const { agreement } = await world.run({ agreement: 'single' });
    await world.until('its close', () => world.closed.length > 0, 5_000);
    assert.deepEqual(world.closed[0], agreement);
  });

  it('leaves alone what another program of its account opened with the same nonce', async () => {
    await start(new TestMiner(1));
    world.outrun = 1;
    const { state } = await world.run({ agreement: 'single' });
    assert.equal(state, 'completed');
    await world.until('the close of its own', () => world.closed.length > 0, 5_000);
    for (let i = 0; i < 30; i++) {
      world.clock.advance(5_000);
      await settle();
    }
    const foreign = [...world.agreements.values()].filter(({ agreement }) => agreement.signer[0] === 9);
    assert.deepEqual(
      foreign.map(({ agreement }) => agreement.state.name),
      ['open'],
    );
  });

  it('shows nothing of a miner’s words that a terminal obeys', async () => {
    const miner = new TestMiner(1, { fail: { code: 'BAD_JOB', times: 9 }, words: '\u001b[2Jgone\u0007' });
    await start(miner);
    assert.equal((await world.run()).fault?.message, '?[2Jgone?');
  });

  it('goes on with the output of the next attempt where it is the same, and says so where it is not', async () => {
    for (const [pieces, rest] of [
      [['Vienna', ' is it.'], 'Vienna is it.'],
      [['Graz', ' is not.'], null],
    ] as const) {
      const lost = new TestMiner(1, { silentAfter: 1, price: { outputUaitPerKib: 10 } });
      await start(lost);
      const { id } = await world.coordinator.submit(requestOf());
      await world.until('some output', () => world.view(id).outputBytes > 0, 0);
      const read = world.output(id);
      await settle();
      world.add(new TestMiner(2, { pieces }));
      const checked = rest === null ? assert.rejects(read, { code: 'LEASE_LOST' }) : read;
      assert.equal((await world.ended(id)).state, 'completed');
      if (rest === null) await checked;
      else assert.equal(await checked, rest);
      await world.coordinator.close();
    }
  });

  it('gives readers all output from any byte on, as it comes', async () => {
    const miner = new TestMiner(1, { silentAfter: 1 });
    await start(miner);
    const { id } = await world.coordinator.submit(requestOf());
    const read = world.output(id);
    await world.until('some output', () => world.view(id).outputBytes > 0, 0);
    delete miner.script.silentAfter;
    miner.breakStreams();
    await world.ended(id);
    assert.equal(await read, 'Vienna is the capital.');
    const rest: Uint8Array[] = [];
    for await (const piece of world.coordinator.output(id, 10, new AbortController().signal)) rest.push(piece);
    assert.equal(Buffer.concat(rest).toString(), 'the capital.');
  });
});
