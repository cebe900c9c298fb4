/** A miner that is killed at each of its writes, in turn: at most a tick is unmatched, and nothing is paid twice. */
import assert from 'node:assert/strict';
import { NodeError } from '../../../../src/errors.ts';
import { paidAfterCut } from './after-cut.ts';
import { TestClient } from './client.ts';
import { World } from './world.ts';

const PIECES = 5;

/** One job under an agreement of its own, with credit raised several times; the miner is cut off at a write. */
async function runCut(cutAt: number, isLost: boolean): Promise<{ world: World; client: TestClient; content: number }> {
  const world = new World();
  world.script = async (_job, io) => {
    for (let i = 0; i < PIECES; i++) await io.emit(new Uint8Array(1024).fill(65 + i));
    return { finish: 'stop', inputTokens: null, outputTokens: null };
  };
  await world.start();
  world.rows.cutAt = world.rows.calls + cutAt;
  world.rows.isLost = isLost;
  const client = new TestClient(world);
  client.openAgreement();
  const work = await client.run({ single: true });
  await world.until('the end, or the cut', () => client.ended === 'done' || world.rows.isCut);
  // What was on its way still goes through.
  await new Promise((resolve) => setTimeout(resolve, 5));
  return { world, client, content: work.content.length };
}

describe('miner after a kill', () => {
  it('settles what vouchers paid for, once, wherever it was killed', async () => {
    let cuts = 0;
    for (let cutAt = 1; ; cutAt++) {
      for (const isLost of [true, false]) {
        const { world, client, content } = await runCut(cutAt, isLost);
        if (!world.rows.isCut) {
          await world.settle();
          assert.equal(client.ended, 'done');
          if (isLost) continue;
          assert.ok(cuts >= 2 * 7, 'the run has fewer writes than it must');
          return;
        }
        cuts += 1;
        const at = `cut at ${cutAt}, ${isLost ? 'lost' : 'kept'}`;
        const paidUait = await paidAfterCut(world, client, content, at);
        assert.ok(
          world.receipts.every(({ code }) => code === 0),
          `${at}: a settlement failed`,
        );
        const { state } = world.agreement(client.agreement);
        assert.equal(state.name, paidUait > 0 ? 'closed' : 'open', at);
        await world.miner.close();
      }
    }
  });

  it('knows its receipts and their output again, for a client that was away', async () => {
    const world = new World();
    await world.start();
    const client = new TestClient(world);
    client.openAgreement();
    client.isHonest = false;
    const work = await client.run({ single: true });
    await world.until('the receipt', () => client.receipt !== null);
    await world.restart();
    client.isHonest = true;
    await client.connect(work);
    client.begin(work);
    await client.send({ type: 'resume', attempt: work.attempt, chunks: 0, voucher: client.voucher(client.creditUait) });
    await client.over();
    assert.deepEqual([client.ended, client.text()], ['done', 'WHAT IS IT']);
    await world.settle();
    assert.equal(world.agreement(client.agreement).state.name, 'closed');
    await world.miner.close();
  });

  it('does not know what it had not ended, and says so', async () => {
    const world = new World();
    await world.start();
    world.script = () => new Promise(() => undefined);
    const client = new TestClient(world);
    client.openAgreement();
    const work = await client.run();
    await world.until('the start', () => client.last('start') !== undefined);
    await world.restart();
    await client.connect(work);
    await client.send({ type: 'resume', attempt: work.attempt, chunks: 0, voucher: client.voucher(client.creditUait) });
    await client.over();
    assert.equal(client.last('refuse')?.code, 'NOT_FOUND');
    await world.miner.close();
  });

  it('sends the same transaction again, and another one only when its nonce is used', async () => {
    const world = new World();
    await world.start();
    const client = new TestClient(world);
    client.openAgreement();
    await client.run({ single: true });
    await client.over();
    await world.until('a settlement', () => world.pool.length === 1);
    const [first] = world.pool.splice(0);
    await world.restart();
    await world.until('a settlement', () => world.pool.length === 1);
    assert.deepEqual(world.pool[0]?.id, first?.id);
    await world.settle();
    assert.deepEqual(
      world.receipts.map(({ code }) => code),
      [0],
    );
    assert.equal(world.miner.status().closed.agreements, 1);
    await world.miner.close();
  });

  it('keeps and tells nothing once it is closed, though a back end ends its work only later', async () => {
    const world = new World();
    await world.start();
    let end = (): void => undefined;
    world.script = async (_job, io) => {
      await io.emit(new Uint8Array(600));
      await new Promise<void>((resolve) => (end = resolve));
      return { finish: 'stop', inputTokens: null, outputTokens: null };
    };
    const client = new TestClient(world);
    client.openAgreement();
    await client.run();
    await world.until('output', () => client.bytes().length === 600);
    const closing = world.miner.close();
    world.clock.advance(2_000);
    await closing;
    world.rows.fault = new NodeError('STORAGE', 'closed');
    client.stream?.close();
    const sent = world.pool.length;
    end();
    world.clock.advance(10_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([world.fatal, world.pool.length, world.clock.pending], [null, sent, 0]);
    // What was not told as over is found, and paid, at the next start.
    await world.restart();
    await world.settle();
    world.clock.advance(61_000);
    await world.settle();
    assert.ok(world.earnedUait(client.agreement) >= client.dueUait());
    await world.miner.close();
  });

  it('stops when it cannot keep what it must', async () => {
    const world = new World();
    await world.start();
    const client = new TestClient(world);
    client.openAgreement();
    const quote = await client.request();
    world.rows.fault = new NodeError('STORAGE', 'the disk is full');
    await client.run({}, quote);
    await client.over();
    assert.equal(client.last('refuse')?.code, 'STORAGE');
    assert.equal(world.fatal?.code, 'STORAGE');
    await assert.rejects(client.request(), { code: 'STORAGE' });
    await world.miner.close();
  });
});
