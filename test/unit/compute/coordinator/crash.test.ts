import assert from 'node:assert/strict';
import type { Hash } from '../../../../src/bytes.ts';
import type { JobRequest } from '../../../../src/compute/coordinator/coordinator.ts';
import type { Script } from './test-miner.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, settle, World } from './world.ts';

interface Run {
  readonly world: World;
  readonly miners: TestMiner[];
  readonly ids: Hash[];
}

const LONG: Script = { pieces: Array.from({ length: 6 }, (_, i) => `piece ${i} of the output, `), tickUait: 60 };
const REQUESTS: readonly Partial<JobRequest>[] = [
  { idempotencyKey: 'a', agreement: 'session' },
  { idempotencyKey: 'b', agreement: 'single' },
  { idempotencyKey: 'c', agreement: 'session' },
];

/** The same every time, but for a crash at the n-th write, after which the client asks again under the same keys. */
async function scripted(crashAt: number, scripts: readonly Script[]): Promise<Run & { readonly writes: number }> {
  const world = new World();
  const miners = scripts.map((script, i) => world.add(new TestMiner(i + 1, { ...script })));
  await world.start();
  let crashed = false;
  world.rows.crashAt = world.rows.writes + crashAt;
  world.rows.onCrash = () => {
    crashed = true;
  };
  const ids: Hash[] = [];
  for (const request of REQUESTS) {
    const submit = async (): Promise<Hash> => (await world.coordinator.submit(requestOf(request))).id;
    let id: Hash | null = null;
    const over = (): boolean => crashed || (id !== null && world.view(id).endedAtMs !== null);
    submit().then(
      (known) => {
        id = known;
      },
      () => undefined,
    );
    await world.until('the job or the crash', over, 20);
    if (crashed) {
      crashed = false;
      await world.crash();
      id = await submit();
      await world.ended(id, 100);
    }
    ids.push(id ?? assert.fail('a job'));
  }
  // What is acknowledged late, or found at a restart.
  for (let seconds = 0; seconds < 40; seconds += 2) {
    await settle();
    world.clock.advance(2_000);
    if (crashed) await world.crash();
    crashed = false;
  }
  return { world, miners, ids, writes: world.rows.writes };
}

async function check({ world, miners, ids }: Run, what: string): Promise<void> {
  for (const id of ids) {
    const view = world.view(id);
    assert.equal(view.state, 'completed', `${what}: ${view.fault?.message}`);
    const text = await world.output(id);
    assert.equal(text.length, view.outputBytes, `${what}: its output is there`);
    assert.ok(view.spentUait <= view.maxPriceUait, what);
  }
  const dueUait = ids.reduce((sum, id) => sum + (world.coordinator.receipt(id)?.receipt.receipt.dueUait ?? 0), 0);
  const takableUait = miners.reduce((sum, miner) => sum + miner.takableUait, 0);
  assert.ok(takableUait >= dueUait, `${what}: who worked is paid`);
  const spentUait = ids.reduce((sum, id) => sum + world.view(id).spentUait, 0);
  const excess = takableUait - spentUait;
  assert.ok(excess <= 60 * miners.length * 3, `${what}: ${excess} uait beyond what is counted: more than a tick each`);
  const cappedUait = [...world.agreements.values()].reduce((sum, { agreement }) => sum + agreement.capUait, 0);
  assert.ok(takableUait <= cappedUait, what);
  for (const miner of miners) {
    for (const { voucherUait, sumUait } of miner.accounts.values()) assert.ok(voucherUait >= sumUait, what);
  }
  await world.coordinator.close();
}

describe('coordinator: a crash at each write', () => {
  for (const [name, scripts] of Object.entries({
    'with one miner': [LONG],
    'with a stream that breaks': [{ ...LONG, breakAfter: 3 }],
    'with a miner that never says that it keeps': [{ ...LONG, neverDone: true }],
  })) {
    it(`loses no job, pays none twice, and counts all money, ${name}`, async () => {
      const whole = await scripted(Infinity, scripts);
      await check(whole, 'without a crash');
      assert.ok(whole.writes > 10);
      for (let at = 1; at <= whole.writes; at++) await check(await scripted(at, scripts), `crash at write ${at}`);
    });
  }

  it('sends the transaction that was kept, and no other, after a crash between the two', async () => {
    const world = new World();
    world.add(new TestMiner(1));
    await world.start();
    // Keys, the job, the opening; the next one is after it was sent.
    world.rows.crashAt = world.rows.writes + 3;
    let crashed = false;
    world.rows.onCrash = () => {
      crashed = true;
    };
    const { id } = await world.coordinator.submit(requestOf({ agreement: 'single' }));
    await world.until('the crash', () => crashed, 0);
    await world.crash();
    assert.equal((await world.ended(id)).state, 'completed');
    assert.equal(world.sent, 1);
    await world.coordinator.close();
  });

  it('goes on to cancel what was being canceled', async () => {
    const world = new World();
    const miner = world.add(new TestMiner(1, { silentAfter: 2, deaf: true }));
    await world.start();
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('output', () => world.view(id).outputBytes > 0, 0);
    world.coordinator.cancel(id).catch(() => undefined);
    await world.until('the stop', () => miner.stopped > 0, 0);
    await world.crash();
    assert.equal((await world.ended(id, 1_000)).state, 'canceled');
    await world.coordinator.close();
  });

  it('takes the next attempt elsewhere when the miner forgot the first one', async () => {
    const world = new World();
    const miner = world.add(new TestMiner(1, { silentAfter: 2 }));
    await world.start();
    const { id } = await world.coordinator.submit(requestOf());
    await world.until('output', () => world.view(id).outputBytes > 0, 0);
    miner.attempts.clear();
    delete miner.script.silentAfter;
    await world.crash();
    const view = await world.ended(id);
    assert.equal(view.state, 'completed');
    assert.equal(view.attempt, 2);
    await world.coordinator.close();
  });
});
