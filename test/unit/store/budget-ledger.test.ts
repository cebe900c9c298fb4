import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Json } from '../../../src/chain/modules/types.ts';
import { nopLogger } from '../../../src/log.ts';
import type { Reservation } from '../../../src/store/budget-ledger.ts';
import { BudgetLedger, MAX_ACCOUNT_RESERVATIONS, MAX_RESERVATIONS } from '../../../src/store/budget-ledger.ts';

const DAY_MS = 86_400_000;

/** A disk that a crash cuts off, and a clock that is set. */
class World {
  nowMs = 20_000 * DAY_MS + 1;
  disk: Json | null = null;
  failure: Error | null = null;
  ledger = this.open();

  open(): BudgetLedger {
    const clock = { now: () => this.nowMs, monotonic: () => this.nowMs, after: () => () => undefined };
    const write = async (content: () => Json): Promise<void> => {
      await Promise.resolve();
      if (this.failure) throw this.failure;
      this.disk = JSON.parse(JSON.stringify(content()));
    };
    const document = { read: async () => this.disk, write };
    return new BudgetLedger({ document, clock, log: nopLogger }, this.disk);
  }

  crash(): void {
    this.ledger = this.open();
  }

  reserve(amountUait: number, account = 'k1', budgetUait = 100): Promise<Reservation> {
    return this.ledger.reserve({ account, amountUait, budgetUait, reference: 'job' });
  }
}

describe('budget ledger', () => {
  let world: World;

  beforeEach(() => {
    world = new World();
  });

  it('reserves within the budget of the day, and says what is left and until when', async () => {
    const first = await world.reserve(60);
    await assert.rejects(world.reserve(41), {
      code: 'BUDGET_SPENT',
      data: { price_uait: 41, left_uait: 40, budget_uait: 100, resets_at: '2024-10-05T00:00:00.000Z' },
    });
    world.ledger.settle(first.id, 10);
    await world.reserve(90);
    assert.deepEqual(world.ledger.standing('k1'), { spentUait: 10, reservedUait: 90, resetsAtMs: 20_001 * DAY_MS });
    await assert.rejects(world.reserve(1), { code: 'BUDGET_SPENT' });
    await world.reserve(100, 'k2');
  });

  it('has a reservation on the disk before the caller goes on; after a crash it counts until its owner says', async () => {
    const { id } = await world.reserve(70);
    world.crash();
    await assert.rejects(world.reserve(31), { code: 'BUDGET_SPENT' });
    assert.deepEqual(
      world.ledger.open().map((open) => [open.id, open.reference]),
      [[id, 'job']],
    );
    world.ledger.release(id);
    world.ledger.release(id);
    const other = await world.reserve(100);
    assert.notEqual(other.id, id);
  });

  it('settles once, for no more than was reserved', async () => {
    const { id } = await world.reserve(50);
    for (const wrong of [51, -1, 0.5, NaN]) {
      assert.throws(() => world.ledger.settle(id, wrong), { code: 'INVALID_PARAMS' });
    }
    world.ledger.settle(id, 50);
    world.ledger.settle(id, 50);
    assert.equal(world.ledger.standing('k1').spentUait, 50);
    await world.ledger.close();
    world.crash();
    assert.equal(world.ledger.standing('k1').spentUait, 50);
    for (const wrong of [-1, 0.5, NaN, Infinity])
      await assert.rejects(world.reserve(wrong), { code: 'INVALID_PARAMS' });
  });

  it('reserves nothing where the disk fails', async () => {
    world.failure = new Error('disk');
    await assert.rejects(world.reserve(100), /disk/);
    world.failure = null;
    await world.reserve(100);
  });

  it('begins anew with the UTC day; work of yesterday is of the budget of yesterday', async () => {
    const { id } = await world.reserve(100);
    world.nowMs += DAY_MS;
    await world.reserve(100);
    world.ledger.settle(id, 100);
    assert.equal(world.ledger.standing('k1').spentUait, 0);
  });

  it('does not give a budget again when the clock is set back over midnight', async () => {
    world.nowMs += DAY_MS;
    world.ledger.settle((await world.reserve(100)).id, 100);
    world.nowMs -= 10;
    await assert.rejects(world.reserve(1), { code: 'BUDGET_SPENT' });
  });

  it(`bound: ${MAX_ACCOUNT_RESERVATIONS} reservations of an account, ${MAX_RESERVATIONS} of all`, async () => {
    for (let n = 0; n < MAX_ACCOUNT_RESERVATIONS; n++) await world.reserve(0);
    await assert.rejects(world.reserve(0), { code: 'RATE_LIMITED' });
    for (let n = MAX_ACCOUNT_RESERVATIONS; n < MAX_RESERVATIONS; n++) {
      const reservation = { id: `x${n}`, account: `a${n}`, amountUait: 0, reference: '', day: 20_000 };
      (world.disk as unknown as { open: Reservation[] }).open.push(reservation);
    }
    world.crash();
    await assert.rejects(world.reserve(0, 'k2'), { code: 'RATE_LIMITED' });
    // What nobody settled is forgotten once no budget depends on it.
    world.nowMs += 8 * DAY_MS;
    world.crash();
    assert.equal(world.ledger.open().length, 0);
  });

  it('never lets more than the budget be spent on a day, whatever crashes when', async () => {
    const step = fc.oneof(
      fc.record({ act: fc.constant('reserve' as const), amount: fc.integer({ min: 0, max: 60 }) }),
      fc.record({ act: fc.constant('settle' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ act: fc.constantFrom('crash' as const, 'release' as const, 'sync' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const run = new World();
        let spent = 0;
        const settled = new Map<string, number>();
        for (const doing of steps) {
          const [open] = run.ledger.open();
          if (doing.act === 'crash') run.crash();
          else if (doing.act === 'sync') await run.ledger.close();
          else if (doing.act === 'reserve') await run.reserve(doing.amount).catch(() => undefined);
          else if (open) {
            const known = settled.get(open.id);
            // The owner's own record tells after a crash what the work came to.
            const cost = known ?? (doing.act === 'settle' ? Math.floor(open.amountUait * doing.share) : 0);
            run.ledger.settle(open.id, cost);
            if (known === undefined) spent += cost;
            settled.set(open.id, cost);
          }
        }
        assert(spent <= 100, `${spent} of 100`);
      }),
      { numRuns: 200 },
    );
  });
});
