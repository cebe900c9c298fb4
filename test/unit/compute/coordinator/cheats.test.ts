import assert from 'node:assert/strict';
import { TABLE } from '../../../../src/compute/coordinator/rows.ts';
import type { Script } from './test-miner.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, World } from './world.ts';

const TICK_UAIT = 50;
const LONG = Array.from({ length: 12 }, (_, i) => `piece ${i} of the output `);
/** Of fixed price and input, which the first voucher covers beside its tick. */
const FIRST_UAIT = 12;

/** What cheats, and whether the miner signed something that shows it. */
const CHEATS: Record<string, { script: Script; isSigned: boolean }> = {
  'a broken chain of hashes': {
    script: { pieces: LONG, changeTick: (tick) => ({ ...tick, link: new Uint8Array(32) }) },
    isSigned: true,
  },
  'more bytes in a tick than came': {
    script: { pieces: LONG, changeTick: (tick) => ({ ...tick, outputBytes: tick.outputBytes + 1 }) },
    isSigned: true,
  },
  'more due in a tick than bytes give': {
    script: { pieces: LONG, changeTick: (tick) => ({ ...tick, dueUait: tick.dueUait + 1 }) },
    isSigned: true,
  },
  'more due in the receipt than bytes give': {
    script: { changeReceipt: (receipt) => ({ ...receipt, dueUait: receipt.dueUait + 1 }) },
    isSigned: true,
  },
  'a receipt for other bytes': {
    script: { changeReceipt: (receipt) => ({ ...receipt, outputHash: new Uint8Array(32) }) },
    isSigned: true,
  },
  'a receipt at another price': {
    script: { changeReceipt: (receipt) => ({ ...receipt, price: { ...receipt.price, fixedUait: 11 } }) },
    isSigned: true,
  },
  'a receipt for another input': {
    script: { changeReceipt: (receipt) => ({ ...receipt, inputHash: new Uint8Array(32) }) },
    isSigned: true,
  },
  'another model in the receipt': {
    script: { changeReceipt: (receipt) => ({ ...receipt, model: 'other' }) },
    isSigned: true,
  },
  'an end as canceled, unasked': {
    script: { changeReceipt: (receipt) => ({ ...receipt, finish: 'canceled' }) },
    isSigned: true,
  },
  'a piece left out': {
    script: { changeOutput: (frame) => (frame.chunk > 1 ? { ...frame, chunk: frame.chunk + 1 } : frame) },
    isSigned: false,
  },
  'frames of an earlier attempt instead of its own': {
    script: { changeOutput: (frame) => (frame.chunk === 2 ? { ...frame, attempt: new Uint8Array(32) } : frame) },
    isSigned: false,
  },
  'output beyond its credit': { script: { pieces: ['x'.repeat(200)], greedy: true }, isSigned: false },
};

describe('coordinator: a miner that cheats', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.coordinator.close());

  for (const [what, { script, isSigned }] of Object.entries(CHEATS)) {
    it(`gets a tick at most for ${what}, is ranked last, and the job is done elsewhere`, async () => {
      const cheat = world.add(new TestMiner(1, { ...script, tickUait: TICK_UAIT, price: { outputUaitPerKib: 900 } }));
      await world.start();
      const { id } = await world.coordinator.submit(requestOf());
      await world.until('the cheat is seen', () => world.coordinator.why(id)?.reasons[0]?.code === 'BAD_RECEIPT');
      const paidFor = world.view(id).outputBytes;
      assert.ok(
        cheat.takableUait <= FIRST_UAIT + Math.ceil((900 * paidFor) / 1_024) + TICK_UAIT,
        `${cheat.takableUait} uait for ${paidFor} bytes`,
      );
      assert.equal(world.rows.ofTable(TABLE.contradiction).length, isSigned ? 1 : 0, 'its signed word is kept');
      const honest = world.add(new TestMiner(2));
      const view = await world.ended(id);
      assert.equal(view.state, 'completed');
      assert.deepEqual(view.miner, honest.address);
      const beyond = view.spentUait - (world.coordinator.receipt(id)?.receipt.receipt.dueUait ?? 0) - cheat.takableUait;
      assert.ok(beyond >= 0 && beyond <= TICK_UAIT, 'what it may take is counted, and what was signed and not sent');
      for (let i = 0; i < 10; i++) assert.deepEqual((await world.run()).miner, honest.address, 'it is asked no more');
    });
  }

  it('is not blamed for what was forged on the way: another stream goes on, and the third ends the attempt', async () => {
    let forged = 0;
    const miner = world.add(
      new TestMiner(1, {
        // The first record after the hello.
        changeRecord: (record, number) => (number === 1 && forged++ < 2 ? forgedOf(record) : record),
      }),
    );
    await world.start();
    const view = await world.run();
    assert.deepEqual([view.state, view.attempt, forged], ['completed', 1, 3]);
    assert.equal(miner.started, 1);

    miner.script.changeRecord = (record, number) => (number > 0 ? forgedOf(record) : record);
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('it is lost', () => world.coordinator.why(id)?.reasons[0]?.code === 'BAD_PROOF');
    assert.equal(world.rows.ofTable(TABLE.contradiction).length, 0);
  });

  it('gets nothing for a receipt that it gave before', async () => {
    const cheat = world.add(new TestMiner(1, { replay: true }));
    await world.start();
    assert.equal((await world.run()).state, 'completed');
    const earned = cheat.earnedUait;
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('the replay is seen', () => world.coordinator.why(id)?.reasons[0]?.code === 'BAD_RECEIPT');
    assert.equal(cheat.earnedUait, earned);
    assert.equal(world.rows.ofTable(TABLE.contradiction).length, 1);
  });

  it('bound: output beyond what was asked for ends the attempt', async () => {
    const cheat = world.add(new TestMiner(1, { endless: true, greedy: true, pieces: ['x'.repeat(40)] }));
    await world.start();
    const { id } = await world.coordinator.submit(requestOf({ maxOutputBytes: 400 }));
    await world.until('it is seen', () => world.coordinator.why(id)?.reasons[0]?.code === 'BAD_RECEIPT');
    assert.ok(cheat.takableUait <= FIRST_UAIT + 391, 'never above what the assignment allows');
  });

  const QUOTES: Record<string, Script> = {
    'is dearer than its offer': { offeredPrice: { fixedUait: 1 } },
    'comes to more than the maximum': { price: { outputUaitPerKib: 90_000 } },
    'wants all credit at once of what streams': { tickUait: 50_000, price: { outputUaitPerKib: 300 } },
    'wants a voucher for each byte': { tickUait: 1, price: { outputUaitPerKib: 300 } },
    'is for another request': { changeQuote: (quote) => ({ ...quote, request: new Uint8Array(32) }) },
    'is for another kind': { changeQuote: (quote) => ({ ...quote, kind: 'image.ocr' }) },
    'is over before it began': { changeQuote: (quote) => ({ ...quote, validUntilHeight: 1 }) },
  };
  for (const [what, script] of Object.entries(QUOTES)) {
    it(`gets no work when its quote ${what}`, async () => {
      const cheat = world.add(new TestMiner(1, script));
      await world.start();
      const view = await world.run({ queueMs: 2_000, maxOutputBytes: 256 * 1_024 });
      assert.equal(view.state, 'expired');
      assert.ok(cheat.quotes > 0);
      assert.equal(cheat.started + world.sent, 0);
    });
  }

  it('gets no work without stake', async () => {
    const miner = world.add(new TestMiner(1));
    miner.stakedUait = 1;
    await world.start();
    const view = await world.run({ queueMs: 2_000 });
    assert.equal(view.fault?.code, 'STAKE_LOW');
    assert.equal(miner.quotes, 1, 'nor is it asked again soon');
  });

  it('bound: ticks that say nothing new', async () => {
    const miner = world.add(new TestMiner(1, { chatty: true }));
    await world.start();
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('it is left', () => world.coordinator.why(id)?.reasons[0]?.code === 'PEER_PROTOCOL', 0);
    assert.ok(miner.takableUait <= FIRST_UAIT + TICK_UAIT);
  });

  it('gets no acknowledgement twice for one that it never says it keeps', async () => {
    const miner = world.add(new TestMiner(1, { neverDone: true }));
    await world.start();
    const view = await world.run({ agreement: 'single' });
    assert.equal(view.state, 'completed', 'the client has all it needs');
    await world.until('the lease', () => world.closed.length > 0, 5_000);
    assert.equal(miner.earnedUait, view.spentUait);
  });
});

function forgedOf(record: Uint8Array): Uint8Array {
  return record.map((byte, i) => (i === record.length - 1 ? byte ^ 1 : byte));
}
