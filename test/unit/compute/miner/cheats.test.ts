/** Clients that cheat a miner: each is refused, cut off or starved, and costs it nothing that no voucher pays. */
import assert from 'node:assert/strict';
import { closeAgreement } from '../../../../src/chain/modules/compute/agreement-client.ts';
import { PING_RECORD } from '../../../../protocols/market/work-channel.ts';
import type { QuoteRequest } from '../../../../src/chain/market/quote.ts';
import { judgeAssignment } from '../../../../src/compute/miner/assign.ts';
import type { Ledger } from '../../../../src/compute/miner/ledger.ts';
import { MAX_RECEIPTS } from '../../../../src/compute/miner/ledger.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import type { Work } from './client.ts';
import { TestClient } from './client.ts';
import { CLIENT, MemoryRows, MINER, World } from './world.ts';

const KIB_PIECES = 6;

describe('miner against cheating clients', () => {
  let world: World;
  let client: TestClient;

  beforeEach(async () => {
    world = new World();
    await world.start();
    client = new TestClient(world);
    world.script = async (_job, io) => {
      for (let i = 0; i < KIB_PIECES; i++) await io.emit(new Uint8Array(1024).fill(65 + i));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
  });

  afterEach(async () => {
    const closed = world.miner.close();
    world.clock.advance(10_000);
    await closed;
  });

  async function paused(): Promise<Work> {
    client.openAgreement();
    client.isHonest = false;
    const work = await client.run({ single: true });
    await world.until('a tick', () => client.last('tick') !== undefined);
    return work;
  }

  /** Assigned, and refused with this code. */
  async function refused(work: Work, code: string, creditUait = client.firstCredit(work)): Promise<void> {
    await client.connect(work);
    await client.assign(work, creditUait);
    await client.over();
    assert.deepEqual([client.ended, client.last('refuse')?.code], ['refuse', code]);
    assert.equal(world.running, 0);
  }

  it('stale and lower vouchers buy nothing', async () => {
    const work = await paused();
    for (const creditUait of [0, client.creditUait - 1, client.creditUait]) {
      await client.send({ type: 'credit', attempt: work.attempt, voucher: client.voucher(creditUait) });
    }
    await client.stream?.send(PING_RECORD);
    world.clock.advance(30_000);
    await client.over();
    assert.deepEqual([client.ended, client.last('fail')?.code, client.bytes().length], ['fail', 'TIMEOUT', 1024]);
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), client.dueUait());
  });

  it('a voucher above the cap buys up to the cap', async () => {
    client.openAgreement(10_000);
    client.isHonest = false;
    const work = await client.draft({ single: true });
    await client.connect(work);
    await client.assign(work, 1_000_000);
    await client.input(work);
    await world.until('the end', () => client.receipt !== null || client.last('tick') !== undefined);
    assert.ok(client.dueUait() <= 10_000);
  });

  for (const [what, by] of [
    ['another key', () => signer('session-account-2')],
    ['the account itself', () => signer(CLIENT)],
  ] as const) {
    it(`a voucher signed by ${what} ends the stream`, async () => {
      const work = await paused();
      const voucher = client.voucher(client.creditUait + 5_000, by());
      await client.send({ type: 'credit', attempt: work.attempt, voucher });
      await world.until('the stream’s end', () => client.isClosed);
      assert.equal(client.bytes().length, 1024);
    });
  }

  it('who does not acknowledge pays all the same, a lease later', async () => {
    world.script = async (_job, io) => {
      await io.emit(new Uint8Array(600));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    client.openAgreement();
    client.isHonest = false;
    await client.run({ single: true });
    await world.until('the receipt', () => client.receipt !== null);
    await world.settle();
    assert.equal(world.agreement(client.agreement).state.name, 'open');
    world.clock.advance(20_000);
    await world.settle();
    assert.deepEqual(
      [world.agreement(client.agreement).state.name, world.earnedUait(client.agreement)],
      ['closed', client.receipt?.receipt.dueUait],
    );
  });

  it('who closes during the work pays what was sent', async () => {
    await paused();
    world.pool.push(world.market.tx(closeAgreement, CLIENT, { agreement: client.agreement }));
    world.mine();
    await client.over();
    assert.deepEqual([client.ended, client.last('fail')?.code], ['fail', 'NOT_FUNDED']);
    await world.settle();
    assert.deepEqual(
      [world.agreement(client.agreement).state.name, world.earnedUait(client.agreement)],
      ['closed', client.dueUait()],
    );
  });

  it('one escrow pays one attempt at a time, and never more than it holds', async () => {
    await paused();
    const second = new TestClient(world);
    Object.assign(second, { agreement: client.agreement, open: client.open });
    const work = await second.draft({ nonce: 2 });
    await second.connect(work);
    await second.assign(work);
    await second.over();
    assert.deepEqual([second.ended, second.last('refuse')?.code], ['refuse', 'BUSY']);
  });

  it('money that is due already is not credit for the next attempt', async () => {
    client.openAgreement();
    await client.run({ nonce: 1 });
    await client.over();
    client.baseUait = 0;
    await refused(await client.draft({ nonce: 2 }), 'CONFLICT');
  });

  it('nothing is done under an agreement whose release is on its way: nobody would pay it', async () => {
    client.openAgreement();
    await client.run({ single: true });
    await client.over();
    await world.until('the release to be pending', () => world.pool.length === 1);
    const { baseUait } = client;
    assert.equal(world.agreement(client.agreement).state.name, 'open');
    await refused(await client.draft({ nonce: 2 }), 'NOT_FUNDED');
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), baseUait);
  });

  it('a miner that lost its ledger takes no credit that the chain has paid already', async () => {
    client.openAgreement();
    await client.run({ nonce: 1 });
    await client.over();
    world.clock.advance(61_000);
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), client.baseUait);
    world.rows = new MemoryRows();
    await world.start();
    const paidUait = client.baseUait;
    client.baseUait = 0;
    await refused(await client.draft({ nonce: 2 }), 'CONFLICT');
    client.baseUait = paidUait;
    await client.run({ nonce: 3 });
    await client.over();
    assert.equal(client.ended, 'done');
  });

  it('the same attempt again is answered, not done again', async () => {
    let runs = 0;
    const { script } = world;
    world.script = (job, io) => {
      runs += 1;
      return script(job, io);
    };
    client.openAgreement();
    const work = await client.run();
    await client.over();
    await client.assign(work, client.creditUait);
    await client.over();
    assert.deepEqual([client.ended, runs], ['done', 1]);
  });

  it('an earlier attempt of a job is fenced, and a later one stops it', async () => {
    const first = await paused();
    const second = new TestClient(world);
    second.openAgreement();
    const quote = await second.request();
    const work = await second.draft({ attempt: 2 }, quote);
    await second.connect(work);
    await second.assign(work);
    await client.over();
    assert.deepEqual([client.ended, client.last('fail')?.code], ['fail', 'FENCED']);
    await second.input(work);
    await second.over();
    assert.equal(second.ended, 'done');
    const again = new TestClient(world);
    again.openAgreement();
    const earlier = await again.draft({ attempt: 1 });
    assert.notDeepEqual(earlier.attempt, work.attempt);
    await again.connect(earlier);
    await again.assign(earlier);
    await again.over();
    // Attempt 1 is remembered as it was: over.
    assert.equal(again.ended, 'refuse');
    assert.ok(first.attempt.length === 32);
  });

  it('input of another hash is no work, and costs nothing', async () => {
    client.openAgreement();
    const work = await client.draft({ single: true });
    await client.connect(work);
    await client.assign(work);
    const content = work.content.slice();
    content[40] = 255;
    await client.input({ attempt: work.attempt, content });
    await client.over();
    assert.deepEqual([client.ended, client.last('refuse')?.code], ['refuse', 'BAD_JOB']);
    await world.settle();
    assert.equal(world.earnedUait(client.agreement), 0);
    assert.equal(world.miner.status().working, 0);
  });

  it('bound: more input than the job names is refused', async () => {
    client.openAgreement();
    const work = await client.draft();
    await client.connect(work);
    await client.assign(work);
    await client.input({ attempt: work.attempt, content: new Uint8Array(work.content.length + 1) });
    await client.over();
    assert.equal(client.last('refuse')?.code, 'TOO_LARGE');
  });

  it('bound: input that does not come frees the slot', async () => {
    client.openAgreement();
    const work = await client.draft({ executionMs: 60_000 });
    await client.connect(work);
    await client.assign(work);
    await world.until('accept', () => client.last('accept') !== undefined);
    world.clock.advance(30_000);
    await client.over();
    assert.deepEqual([client.last('refuse')?.code, world.miner.status().working], ['TIMEOUT', 0]);
  });

  it('unknown agreements, and those of others, start nothing', async () => {
    client.openAgreement();
    const known = client.agreement;
    client.agreement = new Uint8Array(32).fill(9);
    await assert.rejects(client.request(), { code: 'NOT_FUNDED' });
    client.agreement = known;
    const quote = await client.request();
    client.agreement = new Uint8Array(32).fill(9);
    await refused(await client.draft({}, quote), 'BAD_JOB');

    const other = new TestClient(world, 'account-2');
    other.openAgreement();
    const theirs = await other.request();
    Object.assign(client, { agreement: other.agreement, open: other.open });
    await assert.rejects(client.request(), { code: 'NOT_FUNDED' });
    await refused(await client.draft({}, theirs), 'BAD_JOB');
  });

  it('an agreement that expires within twice the work, or holds too little, starts nothing', async () => {
    client.openAgreement(200_000, 60_000);
    await refused(await client.draft({ executionMs: 120_000 }), 'NOT_FUNDED');
    const poor = new TestClient(world);
    poor.openAgreement(10_000);
    const work = await poor.draft();
    await poor.connect(work);
    await poor.assign(work, 200);
    await poor.over();
    assert.equal(poor.last('refuse')?.code, 'NOT_FUNDED');
  });

  it('bound: jobs under one agreement', async () => {
    client.openAgreement();
    const { quote, job, assignment } = await client.draft();
    const { chain } = world.market.chain.genesis;
    const address = addressOfName(MINER);
    const request = { client: job.spec.client, inputBytes: 4096, maxOutputBytes: 1e6 } as QuoteRequest;
    const held = {
      id: assignment.assignment.quote,
      request,
      quote: quote.quote,
      reservedUntilMs: 0,
      isFunded: true,
      opening: null,
    };
    const voucher = client.voucher(20_000);
    const receipts = new Array<Uint8Array>(MAX_RECEIPTS).fill(new Uint8Array(32));
    const ledger = { dueUait: 0, active: null, receipts } as unknown as Ledger;
    const facts = {
      agreement: world.agreement(client.agreement),
      quote: held,
      isReleasing: false,
      lastAttempt: 0,
      headTimeMs: 0,
      nowMs: 0,
    };
    const frame = { type: 'assign', job, assignment, voucher, open: client.open } as const;
    const judge = (known: Ledger | undefined): string | undefined =>
      judgeAssignment({ hasher: nativeCrypto, chain, address }, frame, { ...facts, ledger: known })?.code;
    assert.deepEqual([judge(undefined), judge(ledger)], [undefined, 'NOT_FUNDED']);
  });

  it('a quote is good once, for who asked, and for its size', async () => {
    client.openAgreement();
    const quote = await client.request({ inputBytes: 1 });
    await refused(await client.draft({}, quote), 'TOO_LARGE');
    world.clock.advance(31_000);
    await refused(await client.draft({ nonce: 2 }, quote), 'EXPIRED');
  });

  it('who has not the key that the client signed has nothing of the attempt, whatever it passes on', async () => {
    client.openAgreement();
    const thief = new TestClient(world, 'account-2');
    const work = await client.draft();
    await thief.connect(work);
    thief.begin(work);
    const voucher = client.voucher(client.firstCredit(work));
    await thief.send({ type: 'assign', job: work.job, assignment: work.assignment, voucher, open: client.open });
    await thief.over();
    assert.equal(thief.last('refuse')?.code, 'BAD_JOB');
  });

  it('frames before a hello, and rubbish, end the stream', async () => {
    client.openAgreement();
    const work = await client.draft();
    await client.connect(work);
    await client.stream?.send(Uint8Array.of(1, 2, 3));
    await world.until('the stream’s end', () => client.isClosed);
  });
});
