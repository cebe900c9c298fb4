import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { SignatureCheck } from '../../../src/chain/crypto/types.ts';
import { isNodeError } from '../../../src/errors.ts';
import { createNativeSigner } from '../../../src/native/crypto.ts';
import type { VerifyPool, VerifyPoolOptions } from '../../../src/native/verify-pool.ts';
import { createVerifyPool } from '../../../src/native/verify-pool.ts';
import { spawnVerifyWorker } from '../../../src/native/verify-thread.ts';
import { waitUntil } from '../../../testnet/wait.ts';

const signer = createNativeSigner(new Uint8Array(32).fill(1));

/** Check i is valid unless i is a multiple of 7. */
function checksOf(count: number, messageBytes = 50): SignatureCheck[] {
  return Array.from({ length: count }, (_, i) => {
    const message = new Uint8Array(messageBytes);
    new DataView(message.buffer).setUint32(0, i);
    const signature = signer.sign(message);
    if (i % 7 === 0) signature[40] = (signature[40] ?? 0) ^ 1;
    return { message, signature, publicKey: signer.publicKey };
  });
}

const validity = (count: number): boolean[] => Array.from({ length: count }, (_, i) => i % 7 !== 0);

/** Ends at once on its first message, without an answer. */
const dyingWorker = (): Worker =>
  new Worker(`require('node:worker_threads').parentPort.on('message', () => process.exit(3))`, { eval: true });

/** Never answers. */
const silentWorker = (): Worker =>
  new Worker(`require('node:worker_threads').parentPort.on('message', () => undefined)`, { eval: true });

describe('verify pool', () => {
  let pools: VerifyPool[] = [];
  const open = (options: VerifyPoolOptions = {}): VerifyPool => {
    const pool = createVerifyPool(options);
    pools.push(pool);
    return pool;
  };
  const code = (expected: string) => (error: unknown) => isNodeError(error) && error.code === expected;

  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    pools = [];
  });

  for (const workers of [1, 2]) {
    it(`answers in the order asked, cut over jobs, with ${workers} worker(s)`, async () => {
      const pool = open({ workers });
      for (const count of [0, 1, 2, 63, 64, 65, 500]) {
        assert.deepEqual(await pool.verifyBatch(checksOf(count)), validity(count));
      }
      assert.equal(pool.pendingChecks, 0);
    });
  }

  it('joins small batches, each with its own answers', async () => {
    const pool = open({ inlineIdleChecks: 0, inlineUrgentChecks: 0 });
    const checks = checksOf(300);
    const answers = await Promise.all(checks.map((check, i) => pool.verifyBatch([check], { urgent: i % 3 === 0 })));
    assert.deepEqual(answers.flat(), validity(300));
  });

  it('calls wrong lengths invalid, in a worker and in line', async () => {
    const [, good] = checksOf(2);
    assert.ok(good);
    const short = { ...good, signature: good.signature.subarray(1) };
    const long = { ...good, publicKey: new Uint8Array(33) };
    for (const inlineUrgentChecks of [0, 10]) {
      const pool = open({ inlineUrgentChecks });
      const answers = await pool.verifyBatch([short, good, long, good], { urgent: true });
      assert.deepEqual(answers, [false, true, false, true]);
    }
  });

  it('sends urgent batches before those that wait', async () => {
    const pool = open({ inlineUrgentChecks: 0 });
    const order: string[] = [];
    const bulk = pool.verifyBatch(checksOf(2000)).then(() => order.push('bulk'));
    const urgent = pool.verifyBatch(checksOf(10), { urgent: true }).then(() => order.push('urgent'));
    await Promise.all([bulk, urgent]);
    assert.deepEqual(order, ['urgent', 'bulk']);
  });

  it('verifies small batches in line: urgent ones always, others only when nothing of their chain waits', async () => {
    let messages = 0;
    const spawnCounting = (): Worker => {
      const worker = spawnVerifyWorker();
      worker.on('message', () => {
        messages += 1;
      });
      return worker;
    };
    const pool = open({ spawn: spawnCounting });
    const checks = checksOf(100);
    await pool.verifyBatch(checks.slice(0, 1));
    await pool.verifyBatch(checks.slice(0, 4), { urgent: true });
    assert.equal(messages, 0);
    await Promise.all([pool.verifyBatch(checks), pool.verifyBatch(checks.slice(0, 1))]);
    assert.ok(messages > 0);
    const busy = pool.share('busy').verifyBatch(checks);
    const before = messages;
    assert.deepEqual(await pool.share('quiet').verifyBatch(checks.slice(0, 1)), validity(1));
    assert.equal(messages, before);
    await busy;
  });

  for (const urgent of [false, true]) {
    it(`serves chains in turn, ${urgent ? 'urgent' : 'other'} batches: a long queue of one does not hold up another`, async () => {
      const pool = open({ workers: 1, inlineUrgentChecks: 0, inlineIdleChecks: 0 });
      const order: string[] = [];
      const busy = Array.from({ length: 20 }, () => pool.share('busy').verifyBatch(checksOf(64), { urgent }));
      const ends = Promise.all(busy).then(() => order.push('busy'));
      const quiet = await pool.share('quiet').verifyBatch(checksOf(3), { urgent });
      order.push('quiet');
      await ends;
      assert.deepEqual(quiet, validity(3));
      assert.deepEqual(order, ['quiet', 'busy']);
    });
  }

  it('has one more thread while there is much in the background, which takes nothing else', async () => {
    const workers: Worker[] = [];
    const ended: Worker[] = [];
    const spawn = (): Worker => {
      // The one that the pool begins with never answers.
      const worker = workers.length === 0 ? silentWorker() : spawnVerifyWorker();
      worker.once('exit', () => ended.push(worker));
      workers.push(worker);
      return worker;
    };
    const pool = open({ workers: 1, inlineIdleChecks: 0, spawn, spareIdleMs: 50 });
    const few = pool.verifyBatch(checksOf(100), { background: true });
    assert.equal(workers.length, 1, 'a few are not worth a thread');
    const other = pool.verifyBatch(checksOf(100));
    assert.deepEqual(await pool.share('fetching').verifyBatch(checksOf(1000), { background: true }), validity(1000));
    assert.equal(workers.length, 2);
    assert.ok(await waitUntil(() => ended.length > 0, 10_000));
    assert.deepEqual(ended, [workers[1]]);
    assert.equal(pool.pendingChecks, 200, 'what the first thread holds waits for that one');
    await workers[0]?.terminate();
    assert.deepEqual(await Promise.all([few, other]), [validity(100), validity(100)]);
  });

  it('ends that thread although transactions keep coming', async () => {
    let ended = 0;
    const spawn = (): Worker => spawnVerifyWorker().once('exit', () => ended++);
    const pool = open({ workers: 1, inlineIdleChecks: 0, spawn, spareIdleMs: 100 });
    assert.deepEqual(await pool.verifyBatch(checksOf(1000), { background: true }), validity(1000));
    const isOver = async (): Promise<boolean> => {
      await pool.verifyBatch(checksOf(10));
      return ended > 0;
    };
    assert.ok(await waitUntil(isOver, 10_000, 1));
    assert.equal(ended, 1);
    assert.deepEqual(await pool.verifyBatch(checksOf(1000), { background: true }), validity(1000));
  });

  it('fails what waits when only that thread is left and the system gives no other', async () => {
    const workers: Worker[] = [];
    const spawn = (): Worker => {
      if (workers.length >= 2) throw new Error('no more threads');
      workers.push(workers.length === 0 ? silentWorker() : spawnVerifyWorker());
      return workers.at(-1) ?? assert.fail();
    };
    const pool = open({ workers: 1, inlineIdleChecks: 0, spawn });
    const transactions = pool.verifyBatch(checksOf(100));
    assert.deepEqual(await pool.verifyBatch(checksOf(1000), { background: true }), validity(1000));
    await workers[0]?.terminate();
    await assert.rejects(transactions, code('INTERNAL'));
  });

  it('serves transactions and what is in the background in turn, and bounds them apart', async () => {
    const pool = open({ workers: 1, inlineIdleChecks: 0, maxPendingChecks: 300 });
    const order: string[] = [];
    const all = [false, true].map((background) =>
      pool.verifyBatch(checksOf(300), { background }).then(() => order.push('long')),
    );
    await assert.rejects(pool.verifyBatch(checksOf(1), { background: true }), code('POOL_FULL'));
    const short = [false, true].map((background) =>
      pool
        .share('other')
        .verifyBatch(checksOf(64), { background })
        .then(() => order.push('short')),
    );
    await Promise.all([...all, ...short]);
    assert.deepEqual(order, ['short', 'short', 'long', 'long']);
  });

  it('its threads come after the others of the process, on Linux', async function () {
    if (process.platform !== 'linux') this.skip();
    const niceness = (): Map<string, number> =>
      new Map(
        readdirSync('/proc/self/task').map((id) => {
          const [, name = '', rest = ''] =
            /\((.*)\) (.*)/.exec(readFileSync(`/proc/self/task/${id}/stat`, 'utf8')) ?? [];
          return [id === String(process.pid) ? 'main' : name, Number(rest.split(' ')[16])];
        }),
      );
    const pool = open({ workers: 1 });
    await pool.verifyBatch(checksOf(100));
    const { main = 0, verify } = Object.fromEntries(niceness());
    assert.equal(verify, Math.min(19, main + 4));
  });

  it('bounds each chain by itself', async () => {
    const pool = open({ maxPendingChecks: 100 });
    const first = pool.share('busy').verifyBatch(checksOf(100));
    await assert.rejects(pool.share('busy').verifyBatch(checksOf(2)), code('POOL_FULL'));
    assert.deepEqual(await pool.share('quiet').verifyBatch(checksOf(100)), validity(100));
    assert.deepEqual(await first, validity(100));
  });

  it('refuses what goes beyond its bounds in checks, and keeps the urgent lane open', async () => {
    const pool = open({ maxPendingChecks: 100, inlineUrgentChecks: 0 });
    const first = pool.verifyBatch(checksOf(60));
    await assert.rejects(pool.verifyBatch(checksOf(41)), code('POOL_FULL'));
    const [, urgent] = await Promise.all([
      pool.verifyBatch(checksOf(40)),
      pool.verifyBatch(checksOf(100), { urgent: true }),
    ]);
    assert.deepEqual(urgent, validity(100));
    assert.deepEqual(await first, validity(60));
    assert.deepEqual(await pool.verifyBatch(checksOf(100)), validity(100));
  });

  it('refuses what goes beyond its bounds in bytes', async () => {
    const pool = open({ maxPendingBytes: 10_000 });
    const first = pool.verifyBatch(checksOf(5, 1000));
    await assert.rejects(pool.verifyBatch(checksOf(5, 1000)), code('POOL_FULL'));
    assert.deepEqual(await first, validity(5));
    assert.deepEqual(await pool.verifyBatch(checksOf(5, 1000)), validity(5));
  });

  it('replaces a worker that dies and tries its jobs again', async () => {
    let started = 0;
    const pool = open({ spawn: () => (++started === 1 ? dyingWorker() : spawnVerifyWorker()) });
    assert.deepEqual(await pool.verifyBatch(checksOf(500)), validity(500));
    assert.equal(started, 2);
  });

  it('takes nothing more from a worker that threw: its jobs are with another', async () => {
    const workers: (EventEmitter & { sent: number })[] = [];
    const spawn = (): Worker => {
      const worker = Object.assign(new EventEmitter(), { sent: 0, ref: () => 0, unref: () => 0, terminate: () => 0 });
      workers.push(worker);
      return Object.assign(worker, { postMessage: () => worker.sent++ }) as unknown as Worker;
    };
    const pool = open({ workers: 1, spawn });
    const answers = pool.verifyBatch(checksOf(128));
    const good = (): Uint8Array => new Uint8Array(64).fill(1);
    workers[0]?.emit('error', new Error('out of memory'));
    workers[0]?.emit('message', good());
    for (let i = 0; i < 2; i++) workers[1]?.emit('message', good());
    assert.deepEqual(await answers, Array(128).fill(true));
    assert.deepEqual([workers[1]?.sent, pool.pendingChecks], [2, 0]);
  });

  it('replaces a worker ended from outside in the middle of its work', async () => {
    const workers: Worker[] = [];
    const pool = open({
      spawn: () => {
        const worker = workers.length === 0 ? silentWorker() : spawnVerifyWorker();
        workers.push(worker);
        return worker;
      },
    });
    const answers = pool.verifyBatch(checksOf(100));
    await workers[0]?.terminate();
    assert.deepEqual(await answers, validity(100));
  });

  it('gives up on a batch after two deaths, then works again', async () => {
    let dying = true;
    const pool = open({ spawn: () => (dying ? dyingWorker() : spawnVerifyWorker()) });
    await assert.rejects(pool.verifyBatch(checksOf(100)), code('INTERNAL'));
    assert.equal(pool.pendingChecks, 0);
    dying = false;
    // The thread that was started meanwhile may still be a dying one; the retry covers it.
    assert.deepEqual(await pool.verifyBatch(checksOf(100)), validity(100));
  });

  it('rejects what waits when the system gives no thread, then works again', async () => {
    const spawns = [
      dyingWorker,
      () => {
        throw new Error('no more threads');
      },
    ];
    const pool = open({ spawn: () => (spawns.shift() ?? spawnVerifyWorker)() });
    await assert.rejects(pool.verifyBatch(checksOf(100)), code('INTERNAL'));
    assert.deepEqual(await pool.verifyBatch(checksOf(100)), validity(100));
  });

  it('answers what it has when closed, and nothing after', async () => {
    const pool = open();
    const answers = pool.verifyBatch(checksOf(300));
    const closed = pool.close();
    await assert.rejects(pool.verifyBatch(checksOf(1)), code('INTERNAL'));
    await closed;
    await pool.close();
    assert.deepEqual(await answers, validity(300));
  });

  it('keeps a process alive while it has work, and not after', async () => {
    const url = new URL('../../../src/native/verify-pool.ts', import.meta.url).href;
    const program = `
      const { createVerifyPool } = await import(${JSON.stringify(url)});
      const check = { message: new Uint8Array(8), signature: new Uint8Array(64), publicKey: new Uint8Array(32) };
      const answers = await createVerifyPool().verifyBatch(Array(500).fill(check));
      console.log(answers.length);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    const [exitCode] = (await once(child, 'close')) as [number | null];
    assert.equal(exitCode, 0);
    assert.equal(out, '500\n');
  });
});
