import assert from 'node:assert/strict';
import { renewalFor } from '../../../../src/compute/coordinator/renewal.ts';
import { TestMiner } from './test-miner.ts';
import { World } from './world.ts';

const HOUR_MS = 3_600_000;

describe('coordinator: sessions that go on', () => {
  const now = {
    ...{ capUait: 6_400, baseUait: 0, expiresAtMs: 6 * HOUR_MS, maxUait: 100, windowUait: 6_400 },
    ...{ windowMs: 6 * HOUR_MS, balanceUait: 1e9, headMs: 0 },
  };

  it('get more when three quarters are used, up to what a session is for, and time likewise', () => {
    assert.equal(renewalFor(now), null);
    assert.equal(renewalFor({ ...now, baseUait: 4_700 }), null);
    assert.deepEqual(renewalFor({ ...now, baseUait: 4_701 }), { amountUait: 6_400 - 1_599 });
    assert.equal(renewalFor({ ...now, headMs: 4.5 * HOUR_MS }), null);
    assert.deepEqual(renewalFor({ ...now, headMs: 4.5 * HOUR_MS + 1 }), { expiresAtMs: 10.5 * HOUR_MS + 1 });
  });

  it('bound: a quarter of the balance, and nothing that is not worth a fee', () => {
    assert.deepEqual(renewalFor({ ...now, baseUait: 6_000, balanceUait: 4_000 }), { amountUait: 1_000 });
    assert.equal(renewalFor({ ...now, baseUait: 6_000, balanceUait: 799 }), null);
    assert.equal(renewalFor({ ...now, baseUait: 6_000, balanceUait: 0, maxUait: 0 }), null);
  });

  it('need no second agreement, however many jobs come and however long', async () => {
    const world = new World({ limits: { sessionJobs: 8 } });
    world.add(new TestMiner(1, { pieces: ['x'.repeat(1_000)], tickUait: 1_000 }));
    await world.start();
    const job = { maxPriceUait: 5_000, maxOutputBytes: 1_024 };
    let feesUait = 0;
    for (let i = 0; i < 60; i++) {
      const view = await world.run(job);
      assert.equal(view.state, 'completed');
      feesUait += view.feesUait;
    }
    assert.equal(world.sent, 1);
    assert.equal(feesUait, 10 + 3 * world.renewals.length, 'each fee is that of the job that caused it');
    const [held] = [...world.agreements.values()];
    assert.ok(world.renewals.length > 6);
    const { spentUait } = await world.run(job);
    const cap = held?.agreement.capUait ?? 0;
    assert.ok(cap - 60 * spentUait <= 8 * 1_100, 'never more set aside than a session is for');
    for (let hours = 0; hours < 24; hours++) {
      world.clock.advance(HOUR_MS);
      assert.equal((await world.run(job)).state, 'completed');
    }
    assert.equal(world.sent, 1);
    await world.crash();
    assert.equal((await world.run(job)).state, 'completed');
    assert.equal(world.sent, 1, 'after a restart too');
    await world.coordinator.close();
  });
});
