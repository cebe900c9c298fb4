import assert from 'node:assert/strict';
import { Archive } from '../../../../src/compute/coordinator/archive.ts';
import { Deadlines } from '../../../../src/compute/coordinator/deadlines.ts';
import { FairQueue } from '../../../../src/compute/coordinator/fair-queue.ts';
import type { Job } from '../../../../src/compute/coordinator/job.ts';
import type { CoordinatorLimits } from '../../../../src/compute/coordinator/limits.ts';
import { DEFAULT_COORDINATOR_LIMITS } from '../../../../src/compute/coordinator/limits.ts';
import { MAX_OPENINGS } from '../../../../src/compute/coordinator/placing.ts';
import { Memory } from '../../../../src/compute/coordinator/memory.ts';
import { MinerIndex } from '../../../../src/compute/coordinator/miner-index.ts';
import { OutputLog } from '../../../../src/compute/coordinator/output-log.ts';
import { Reasons } from '../../../../src/compute/coordinator/reasons.ts';
import { TABLE } from '../../../../src/compute/coordinator/rows.ts';
import { Scheduler } from '../../../../src/compute/coordinator/scheduler.ts';
import { WorkLines } from '../../../../src/compute/coordinator/work-lines.ts';
import { ERRORS } from '../../../../src/errors.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { encodeMinerFrame } from '../../../../protocols/market/work-frames.ts';
import { manualClock } from '../../../net/manual-clock.ts';
import { CHAIN, plainSealing } from './fixtures.ts';
import type { Script } from './test-miner.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, settle, World } from './world.ts';

describe('coordinator: bounds', () => {
  let world: World;
  const start = async (limits: Partial<CoordinatorLimits>, ...scripts: Script[]): Promise<TestMiner[]> => {
    world = new World({ limits });
    const miners = scripts.map((script, i) => world.add(new TestMiner(i + 1, script)));
    await world.start();
    return miners;
  };
  afterEach(async () => {
    await (world as World | undefined)?.coordinator.close();
  });

  it('bound: open jobs, in all and by owner', async () => {
    await start({ maxOpenJobs: 3, maxOpenJobsPerOwner: 2 });
    const submit = (owner: string) => world.coordinator.submit(requestOf({ owner }));
    const { id } = await submit('a');
    await submit('a');
    await assert.rejects(submit('a'), { code: 'BUSY' });
    await submit('b');
    await assert.rejects(submit('c'), { code: 'BUSY' });
    await world.coordinator.cancel(id);
    await submit('c');
  });

  it('bound: content of open jobs', async () => {
    await start({ maxContentBytes: 300 });
    const { id } = await world.coordinator.submit(requestOf());
    await world.coordinator.submit(requestOf());
    await assert.rejects(world.coordinator.submit(requestOf()), { code: 'BUSY' });
    await world.coordinator.cancel(id);
    await world.coordinator.submit(requestOf());
  });

  it('bound: content of one owner is as much as is left over', async () => {
    await start({ maxContentBytes: 400 });
    const submit = (owner: string): Promise<unknown> => world.coordinator.submit(requestOf({ owner }));
    await submit('a');
    await submit('a');
    await assert.rejects(submit('a'), { code: 'BUSY' });
    await submit('b');
    await assert.rejects(submit('b'), { code: 'BUSY' });
  });

  it('bound: agreements that are opened for one job, whose fees are its own', async () => {
    const [miner] = await start({ maxAttempts: 9 }, { fail: { code: 'EXECUTOR', times: 99 } });
    const view = await world.run({ agreement: 'single', maxPriceUait: 1e6, queueMs: 3_000 });
    assert.deepEqual([miner?.started, world.sent], [MAX_OPENINGS, MAX_OPENINGS]);
    assert.deepEqual([view.state, view.feesUait], ['expired', MAX_OPENINGS * 10]);
    await world.crash();
    assert.equal(world.view(view.id).feesUait, view.feesUait, 'after a restart too');
  });

  it('bound: jobs that have ended, their age, and bytes of their output', async () => {
    await start({ maxEndedJobs: 3, endedKeptMs: 100_000, maxEndedOutputBytes: 50 }, {});
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await world.run()).id);
    assert.deepEqual(
      ids.map((id) => world.coordinator.job(id) !== undefined),
      [false, false, true, true, true],
    );
    assert.equal(await world.output(ids[4] ?? assert.fail()), 'Vienna is the capital.');
    await assert.rejects(world.output(ids[2] ?? assert.fail()), { code: 'PRUNED' });
    await settle();
    assert.equal(world.rows.ofTable(TABLE.job).length, 3);
    assert.equal(world.rows.ofTable(TABLE.output).length, 2);
    assert.equal(world.rows.ofTable(TABLE.content).length, 0, 'content goes with the end');
    world.clock.advance(200_000);
    await world.run();
    assert.equal(world.coordinator.jobs({ limit: 9, before: null, owner: null }).length, 1);
  });

  it('bound: reasons and events of a job', async () => {
    const reasons = new Reasons(3);
    for (const code of Object.keys(ERRORS) as ErrorCode[]) reasons.add(code, 'x'.repeat(10_000));
    assert.equal(reasons.list().length, 3);
    assert.ok(reasons.list().every(({ message }) => message.length <= 256));
    await start({ maxEventsPerJob: 5 }, { decline: { code: 'BUSY', times: 20 } });
    const { id } = await world.run();
    const sequences: number[] = [];
    for await (const { sequence } of world.coordinator.events(id, 1, new AbortController().signal)) {
      sequences.push(sequence);
    }
    assert.equal(sequences.length, 5);
    assert.ok((sequences[0] ?? 0) > 5, 'the first ones are gone');
  });

  it('bound: readers of a job', async () => {
    await start({ maxReadersPerJob: 2 });
    const { id } = await world.coordinator.submit(requestOf());
    const stop = new AbortController();
    const readers = [1, 2].map(() => world.coordinator.output(id, 0, stop.signal)[Symbol.asyncIterator]().next());
    await settle();
    await assert.rejects(
      async () => {
        for await (const _ of world.coordinator.events(id, 1, stop.signal)) break;
      },
      { code: 'BUSY' },
    );
    stop.abort();
    await Promise.allSettled(readers);
    await world.coordinator.cancel(id);
    await assert.rejects(world.output(id), { code: 'CANCELED' }, 'there is room again');
  });

  it('bound: output that running jobs may come to', async () => {
    const [miner] = await start({ maxRunningOutputBytes: 8_000 }, { silentAfter: 1 });
    for (let i = 0; i < 4; i++) await world.coordinator.submit(requestOf());
    await settle();
    assert.equal(miner?.started, 2, 'the other two wait');
  });

  it('bound: jobs being matched, slots of a miner, agreements with it', async () => {
    const [miner] = await start({ maxMatching: 2, maxAgreementsPerMiner: 2 }, { silentAfter: 1, slots: 9 });
    for (let i = 0; i < 6; i++) await world.coordinator.submit(requestOf());
    await world.until('work', () => miner?.started === 2, 20);
    world.clock.advance(1_000);
    await settle();
    assert.equal(miner?.started, 2);
    assert.equal(world.sent, 2);
  });

  it('bound: contradictions that are kept', async () => {
    const cheat: Script = { changeReceipt: (receipt) => ({ ...receipt, chunks: 99 }) };
    await start({ maxContradictions: 1 }, cheat, cheat, {});
    const { id } = await world.coordinator.submit(requestOf());
    await world.ended(id);
    await world.run();
    assert.ok(world.rows.ofTable(TABLE.contradiction).length <= 1);
  });

  it('bound: miners that are known and remembered', () => {
    const index = new MinerIndex({ hasher: nativeCrypto, maxMiners: 2, nowMs: () => 0, onAvailable: () => undefined });
    index.update([1, 2, 3].map((seed) => new TestMiner(seed).offer()));
    assert.equal(index.size, 2);
    index.update([]);
    assert.equal(index.size + index.available('llm.chat\0'), 0);
    const memory = new Memory(2);
    for (const key of ['a', 'b', 'c']) memory.learn(key, { type: 'loss' }, 0);
    assert.equal(memory.size, 2);
    assert.equal(memory.of('a', 0).losses, 0);
  });

  it('bound: jobs that ended while nobody came for them are not kept in the queue', () => {
    const scheduler = new Scheduler({ available: () => 0, hasRoom: () => true, launch: () => undefined });
    const job = (i: number): Job =>
      ({
        spec: { kind: `k${i % 7}`, model: '', inputBytes: 1, maxOutputBytes: 1 },
        row: { owner: `${i % 3}` },
        progress: { state: 'queued' },
      }) as unknown as Job;
    for (let i = 0; i < 10_000; i++) {
      const each = job(i);
      scheduler.push(each);
      (each.progress as { state: string }).state = 'expired';
      scheduler.onEnded();
    }
    assert.ok(scheduler.size < 200, `${scheduler.size} wait`);
  });

  it('bound: what output takes that comes byte by byte', () => {
    const output = new OutputLog();
    for (let i = 0; i < 100_000; i++) output.push(new Uint8Array([i & 0xff]));
    assert.equal(output.length, 100_000);
    let reads = 0;
    const whole: Uint8Array[] = [];
    for (let at = 0, more = output.at(0); more.length > 0; at += more.length, more = output.at(at)) {
      whole.push(more);
      reads++;
      if (reads > 50) break;
    }
    assert.ok(reads < 20, `${reads} blocks`);
    assert.deepEqual(
      output.whole(),
      Uint8Array.from({ length: 100_000 }, (_, i) => i & 0xff),
    );
  });

  it('bound: output kept of ended jobs', () => {
    const archive = new Archive({ ...DEFAULT_COORDINATOR_LIMITS, maxEndedOutputBytes: 100 });
    for (let i = 0; i < 50; i++) {
      const output = new OutputLog();
      output.push(new Uint8Array(30));
      archive.add({ id: new Uint8Array(32).fill(i), endedAtMs: 0, output, isOutputDropped: false } as unknown as Job);
      archive.prune(0);
    }
    assert.equal(archive.outputBytes, 90);
  });

  it('bound: jobs that have ended, also when their outputs are small', () => {
    const archive = new Archive({ ...DEFAULT_COORDINATOR_LIMITS, maxEndedJobs: 3 });
    for (let i = 0; i < 50; i++) {
      const output = new OutputLog();
      if (i % 3 > 0) output.push(new Uint8Array(30));
      archive.add({ id: new Uint8Array(32).fill(i), endedAtMs: 0, output, isOutputDropped: false } as unknown as Job);
      archive.prune(0);
    }
    assert.deepEqual([archive.size, archive.withOutput, archive.outputBytes], [3, 2, 60]);
  });

  it('bound: idle streams, by miner, in all, and in time', async () => {
    const clock = manualClock();
    const closed: number[] = [];
    let opened = 0;
    const lines = new WorkLines({
      ...{ chain: CHAIN, sealing: plainSealing, deadlines: new Deadlines(clock), maxIdle: 3, maxIdlePerMiner: 2 },
      ...{ idleMs: 1_000, verifier: nativeCrypto },
      keys: { publicKey: new Uint8Array(32), privateKey: new Uint8Array(32) },
      miners: {
        offers: () => [],
        onOffers: () => () => undefined,
        quote: () => Promise.reject(new Error('not asked')),
        open: () => {
          const id = opened++;
          const stream = { send: () => Promise.resolve(), read: () => new Promise<null>(() => undefined) };
          return Promise.resolve({ ...stream, close: () => void closed.push(id) });
        },
      },
    });
    const { signal } = new AbortController();
    const offers = [1, 2, 3].map((seed) => new TestMiner(seed).offer().offer);
    const taken = [];
    for (const offer of offers) {
      for (let i = 0; i < 3; i++) taken.push(await lines.take(offer, new Uint8Array(32), signal));
    }
    for (const line of taken) lines.giveBack(line);
    assert.equal(lines.idleCount, 3);
    assert.equal(closed.length, 6);
    clock.advance(1_000);
    assert.equal(lines.size, 0, 'idle ones are closed');
    assert.equal(clock.pending, 0);
  });

  it('bound: frames of attempts that are over end the stream', async () => {
    const frame = encodeMinerFrame({ type: 'accept', attempt: new Uint8Array(32) });
    let reads = 0;
    const lines = new WorkLines({
      ...{
        chain: CHAIN,
        sealing: plainSealing,
        verifier: nativeCrypto,
        deadlines: new Deadlines(manualClock()),
        maxIdle: 3,
        maxIdlePerMiner: 2,
      },
      ...{ idleMs: 1_000, keys: { publicKey: new Uint8Array(32), privateKey: new Uint8Array(32) } },
      miners: {
        offers: () => [],
        onOffers: () => () => undefined,
        quote: () => Promise.reject(new Error('not asked')),
        open: () =>
          Promise.resolve({
            send: () => Promise.resolve(),
            read: () => Promise.resolve(++reads > 10_000 ? null : frame),
            close: () => undefined,
          }),
      },
    });
    const line = await lines.take(new TestMiner(1).offer().offer, new Uint8Array(32), new AbortController().signal);
    await settle();
    assert.ok(line.isClosed && reads < 100, `${reads} frames were read`);
  });
});

describe('coordinator: fair queue', () => {
  it('gives owners turns, whatever one of them brings', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 1_000; i++) queue.push('greedy', 'g', 64);
    for (let i = 0; i < 4; i++) queue.push('modest', 'm', 64);
    const first = Array.from({ length: 12 }, () => queue.shift(() => true));
    assert.equal(first.filter((item) => item === 'm').length, 4);
    assert.equal(queue.size, 992);
    while (queue.shift(() => true) !== undefined);
    assert.equal(queue.size, 0);
  });
});

describe('coordinator: deadlines', () => {
  it('run in order on one timer, and are dropped as fast as added', () => {
    const clock = manualClock();
    const deadlines = new Deadlines(clock);
    const ran: number[] = [];
    const made = Array.from({ length: 200 }, (_, i) => {
      const ms = (i * 7_919) % 200;
      return { ms, deadline: deadlines.after(ms, () => ran.push(ms)) };
    });
    assert.equal(clock.pending, 1);
    for (const { ms, deadline } of made) if (ms % 2 === 0) deadlines.drop(deadline);
    assert.equal(deadlines.size, 100);
    clock.advance(1_000);
    assert.deepEqual(
      ran,
      Array.from({ length: 100 }, (_, i) => 2 * i + 1),
    );
    assert.equal(clock.pending, 0);
  });
});
