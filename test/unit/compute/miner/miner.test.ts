/** A miner and a client, from quote to settlement, on a chain with the market's module. */
import assert from 'node:assert/strict';
import { listRoot } from '../../../../src/chain/list-root.ts';
import { receiptId } from '../../../../src/chain/market/receipt.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { TestClient } from './client.ts';
import { CLIENT, World } from './world.ts';

describe('miner', () => {
  let world: World;
  let client: TestClient;

  beforeEach(async () => {
    world = new World();
    await world.start();
    client = new TestClient(world);
  });

  afterEach(async () => {
    const closed = world.miner.close();
    world.clock.advance(10_000);
    await closed;
  });

  it('does a job under an agreement of its own, and releases it with the root of its receipt', async () => {
    const request = { agreement: null } as const;
    const quote = await client.request(request, signer(CLIENT));
    client.openAgreement();
    await client.run({ single: true }, quote);
    await client.over();
    assert.deepEqual([client.ended, client.text()], ['done', 'WHAT IS IT']);
    await world.settle();
    const { receipt } = client.receipt ?? assert.fail();
    const { state, paidUait, receiptsRoot } = world.agreement(client.agreement);
    assert.deepEqual([state.name, paidUait], ['closed', receipt.dueUait]);
    const id = receiptId(nativeCrypto, client.context, receipt);
    assert.deepEqual(receiptsRoot, listRoot(nativeCrypto, [id]));
    assert.deepEqual(
      world.receipts.map(({ code }) => code),
      [0],
    );
  });

  it('does one job after the other in a session, on one stream, and settles what came together', async () => {
    client.openAgreement(20_000);
    let dueUait = 0;
    for (let i = 1; i <= 3; i++) {
      const work = await client.draft({ nonce: i, text: 'word '.repeat(300) });
      if (!client.stream) await client.connect(work);
      await client.assign(work);
      await client.input(work);
      await client.over();
      assert.equal(client.ended, 'done');
      dueUait += client.receipt?.receipt.dueUait ?? 0;
    }
    await world.settle();
    assert.equal(world.agreement(client.agreement).state.name, 'open');
    assert.ok(world.earnedUait(client.agreement) > 0);
    world.clock.advance(11 * 60_000);
    await world.settle();
    assert.deepEqual(
      [world.agreement(client.agreement).state.name, world.earnedUait(client.agreement)],
      ['closed', dueUait],
    );
    assert.ok(world.receipts.every(({ code }) => code === 0));
  });

  it('sends nothing above credit, waits for it, and goes on where it stopped', async () => {
    world.script = async (_job, io) => {
      for (let i = 0; i < 8; i++) await io.emit(new Uint8Array(700).fill(65 + i));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    client.openAgreement();
    client.isHonest = false;
    const work = await client.run();
    await world.until('a tick', () => client.last('tick') !== undefined);
    assert.equal(client.bytes().length, 1024);
    assert.equal(client.last('tick')?.tick.tick.outputBytes, 1024);
    client.isHonest = true;
    await client.raise(work);
    await client.over();
    assert.equal(client.bytes().length, 5_600);
    assert.equal(client.receipt?.receipt.finish, 'stop');
  });

  it('ends where the assignment’s money ends', async () => {
    world.script = async (job, io) => {
      await io.emit(new Uint8Array(job.maxOutputBytes).fill(65));
      await io.emit(new Uint8Array(10_000).fill(66));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    client.openAgreement();
    await client.run({ maxUait: 3_000 });
    await client.over();
    assert.equal(client.receipt?.receipt.finish, 'length');
    assert.ok((client.receipt.receipt.dueUait ?? Infinity) <= 3_000);
  });

  it('stops the work itself when the client says so', async () => {
    world.script = async (_job, io) => {
      await io.emit(Uint8Array.of(65));
      await new Promise((_, reject) => {
        io.signal.addEventListener('abort', () => {
          reject(new Error('stopped'));
        });
      });
      return assert.fail();
    };
    client.openAgreement();
    const work = await client.run();
    await world.until('output', () => client.output.length > 0);
    await client.send({ type: 'stop', attempt: work.attempt });
    await client.over();
    assert.deepEqual([client.ended, client.receipt?.receipt.finish, world.running], ['done', 'canceled', 0]);
  });

  it('says that the work failed, and takes what was sent', async () => {
    world.script = async (_job, io) => {
      await io.emit(new Uint8Array(500));
      throw new Error('out of memory');
    };
    client.openAgreement();
    await client.run({ single: true });
    await client.over();
    assert.deepEqual([client.ended, client.last('fail')?.code], ['fail', 'EXECUTOR']);
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), client.dueUait());
  });

  it('goes on for a client that lost its stream, from the piece it has', async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    world.script = async (_job, io) => {
      await io.emit(new Uint8Array(1_024).fill(65));
      await gate;
      await io.emit(new Uint8Array(1_024).fill(66));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    client.openAgreement();
    const work = await client.run();
    await world.until('output', () => client.output.length === 1);
    client.stream?.close();
    await world.until('the stream’s end', () => client.isClosed);
    go();
    await client.connect(work);
    const voucher = client.voucher(client.creditUait);
    await client.send({ type: 'resume', attempt: work.attempt, chunks: 1, voucher });
    await client.over();
    assert.deepEqual([client.ended, client.bytes().length], ['done', 2_048]);
  });

  it('gives up a client that stays away for a lease', async () => {
    world.script = async (_job, io) => {
      await io.emit(new Uint8Array(100));
      await new Promise<void>((resolve) => {
        io.signal.addEventListener('abort', () => {
          resolve();
        });
      });
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    client.openAgreement();
    await client.run({ single: true });
    await world.until('output', () => client.output.length > 0);
    client.stream?.close();
    await world.until('the stream’s end', () => client.isClosed);
    world.clock.advance(15_000);
    await world.until('a free slot', () => world.miner.status().working === 0);
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), client.dueUait());
  });

  it('takes no more work when it drains, ends what it has, and releases', async () => {
    client.openAgreement();
    await client.run();
    await client.over();
    await world.miner.drain();
    await assert.rejects(client.request(), { code: 'BUSY' });
    await world.settle();
    assert.equal(world.agreement(client.agreement).state.name, 'closed');
  });

  it('takes no work while its node has no quorum', async () => {
    client.openAgreement();
    world.health = { code: 'NO_QUORUM', afterMs: 1_000, text: 'no quorum' };
    await assert.rejects(client.request(), { code: 'NO_QUORUM' });
  });

  it('offers what it has, again when slots change, and not more often than every two seconds', async () => {
    await world.until('a first plan', () => world.clock.pending > 0);
    world.clock.advance(0);
    await world.until('an offer', () => world.offers.length === 1);
    assert.equal(world.offers[0]?.offer.free, 2);
    client.openAgreement();
    await client.request();
    world.clock.advance(1_900);
    assert.equal(world.offers.length, 1);
    world.clock.advance(200);
    assert.deepEqual(
      world.offers.map(({ offer }) => offer.free),
      [2, 1],
    );
    world.clock.advance(30_000);
    assert.ok(world.offers.length >= 3);
  });

  it('bound: tells who comes what it offers, however many come, once in two seconds', async () => {
    await world.until('a first plan', () => world.clock.pending > 0);
    world.clock.advance(0);
    await world.until('an offer', () => world.offers.length === 1);
    for (let i = 0; i < 9; i++) {
      world.miner.greet();
      world.clock.advance(200);
    }
    assert.equal(world.offers.length, 1);
    world.clock.advance(200);
    assert.equal(world.offers.length, 2);
  });

  it('offers as soon as it may', async () => {
    world.health = { code: 'NO_QUORUM', afterMs: 1_000, text: 'no quorum' };
    await world.until('a first plan', () => world.clock.pending > 0);
    world.clock.advance(0);
    assert.equal(world.offers.length, 0);
    world.health = null;
    world.clock.advance(2_000);
    assert.equal(world.offers.length, 1);
  });
});
