import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRowFile } from '../../../../src/store/row-file.ts';
import { createRandom } from '../../../../testnet/load/random.ts';
import { parseMarketChaosArgs } from '../../../../testnet/market/args.ts';
import type { BookedAgreement } from '../../../../testnet/market/books.ts';
import { judge } from '../../../../testnet/market/judge.ts';
import { KillOrders } from '../../../../testnet/market/kill-order.ts';
import { outcomeOf } from '../../../../testnet/market/outcome.ts';
import { cuts, killPoints, PARTIES, pointName, samplePoints } from '../../../../testnet/market/plan.ts';
import { OUTPUT, slowWriter } from '../../../../testnet/market/program.ts';
import type { CaseResult } from '../../../../testnet/market/strike.ts';
import { childrenOf, processId } from '../../../../testnet/processes.ts';
import { waitUntil } from '../../../../testnet/wait.ts';

describe('market chaos plan', () => {
  const points = killPoints({ command: { client: 3, miner: 2 }, door: { client: 1, miner: 0 } });

  it('has every party killed before and after every write', () => {
    assert.equal(points.length, 6 * 2 * PARTIES.length);
    assert.equal(new Set(points.map(pointName)).size, points.length);
    assert.equal(cuts().length, 12);
  });

  it('draws the same for a seed, each party in turn, and all when there are no more', () => {
    const drawn = samplePoints(points, 8, createRandom('s'));
    assert.deepEqual(drawn, samplePoints(points, 8, createRandom('s')));
    for (const party of PARTIES) assert.equal(drawn.filter(({ victim }) => victim === party).length, 2);
    assert.equal(samplePoints(points, 40, createRandom('s')).length, 40);
    assert.deepEqual(samplePoints(points, Infinity, createRandom('s')), points);
  });

  it('reads its command line', () => {
    const { points: all, cuts: allCuts, expiry } = parseMarketChaosArgs([]);
    assert.deepEqual([all, allCuts, expiry], [Infinity, Infinity, true]);
    const short = parseMarketChaosArgs(['--points', '3', '--cuts', '0', '--no-expiry', '--seed', 'x', '--json']);
    assert.deepEqual(short, { help: false, points: 3, cuts: 0, expiry: false, seed: 'x', json: true });
    assert.throws(() => parseMarketChaosArgs(['--points', 'all']), { code: 'USAGE' });
  });
});

describe('market chaos work', () => {
  it('writes what is expected of it', async () => {
    // Its first piece is enough: each takes a while.
    const module = await WebAssembly.compile(Buffer.from(slowWriter(), 'base64'));
    assert.deepEqual(
      WebAssembly.Module.imports(module).map(({ name }) => name),
      ['fd_write'],
    );
    let text = '';
    let memory = new WebAssembly.Memory({ initial: 1 });
    const stop = new Error('enough');
    const { exports } = await WebAssembly.instantiate(module, {
      wasi_snapshot_preview1: {
        fd_write: (file: number, list: number) => {
          const view = new DataView(memory.buffer);
          text += Buffer.from(memory.buffer, view.getUint32(list, true), view.getUint32(list + 4, true)).toString();
          assert.equal(file, 1);
          throw stop;
        },
      },
    });
    memory = exports['memory'] as WebAssembly.Memory;
    assert.throws(exports['_start'] as () => void, stop);
    assert.equal(text, OUTPUT.slice(0, text.length));
    assert.equal(OUTPUT.length % text.length, 0);
  });
});

describe('market chaos books', () => {
  const CLIENTS = { command: 'ait1command', door: 'ait1door' };
  const result = (spentUait: number, attempts = 1, script: CaseResult['script'] = 'command'): CaseResult => ({
    ...{ script, killed: true, fromHeight: 4, toHeight: 8, tookMs: 1, bytesPerSecond: 1023, faults: [] },
    outcome: {
      ...{ jobId: 'ab'.repeat(32), attempts, spentUait, priceUait: Math.min(spentUait, 100_000) },
      ...{ resumed: 0, faults: [] },
    },
  });
  const paid = (paidUait: number, script: CaseResult['script'] = 'command', openedAtHeight = 5): BookedAgreement => ({
    ...{ id: '00', client: CLIENTS[script], openedAtHeight },
    agreement: {
      ...{ client: new Uint8Array(20), miner: new Uint8Array(20), signer: new Uint8Array(32) },
      ...{ receiptsRoot: new Uint8Array(32), capUait: 1_000_000, paidUait, expiresAtMs: 0 },
      state: { name: 'closed', atHeight: 7, atMs: 0, refundedUait: 1_000_000 - paidUait },
    },
  });

  it('match when each job was paid once', () => {
    const judged = judge(
      [result(100_000), result(100_000, 1, 'door')],
      [paid(100_000), paid(100_000, 'door')],
      CLIENTS,
      true,
    );
    assert.deepEqual(judged.faults, []);
    assert.deepEqual([judged.lost_jobs, judged.paid_twice, judged.most_unmatched_uait], [0, 0, 0]);
    assert.equal(judged.tick_uait, 20_000);
  });

  it('tell what was paid twice, what the miner lacks, and more than a tick unmatched', () => {
    const twice = judge([result(100_000)], [paid(100_000), paid(100_000)], CLIENTS, true);
    assert.equal(twice.paid_twice, 1);
    const lacking = judge([result(100_000)], [paid(90_000)], CLIENTS, true);
    assert.match(lacking.faults.join(), /receipts say 100000/);
    assert.deepEqual(judge([result(119_000, 2)], [paid(100_000)], CLIENTS, true).faults, []);
    const tooMuch = judge([result(125_000, 2)], [paid(100_000)], CLIENTS, true);
    assert.match(tooMuch.faults.join(), /unmatched/);
  });

  it('do not count an agreement of another job, and tell of jobs that were lost', () => {
    const judged = judge([result(100_000), { ...result(0), outcome: null }], [paid(100_000)], CLIENTS, true);
    assert.equal(judged.lost_jobs, 1);
    assert.match(
      judge([result(100_000)], [paid(100_000, 'command', 9)], CLIENTS, true).faults.join(),
      /0 uait were paid/,
    );
  });

  it('tell a job that has not the answer, or no receipt', () => {
    const job = { job_id: 'ab', state: 'COMPLETED', attempt: 1, spent_uait: '5', payment_id: 'cd' };
    const receipt = { price: 5, metadata: { attempt: 1, started_at_ms: 1, ended_at_ms: 3 } };
    assert.deepEqual(outcomeOf(job, receipt, 'x', 'x', 0).faults, []);
    assert.equal(outcomeOf(job, receipt, 'y', 'x', 0).faults.length, 1);
    assert.equal(outcomeOf(job, null, 'x', 'x', 0).faults.length, 1);
    assert.equal(outcomeOf({ ...job, payment_id: null }, receipt, 'x', 'x', 0).faults.length, 1);
    assert.equal(outcomeOf({ ...job, state: 'FAILED' }, null, null, 'x', 0).faults.length, 1);
  });
});

describe('market chaos kills', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-kills-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** A process that writes four times. */
  function startWriter(name: string): ReturnType<typeof fork> {
    const program = join(folder, `${name}.mjs`);
    const at = (path: string): string => JSON.stringify(new URL(`../../../../${path}`, import.meta.url).href);
    writeFileSync(
      program,
      `const { takeOrders } = await import(${at('testnet/market/kill-points.ts')});
       takeOrders(${JSON.stringify(join(folder, name))});
       const { openRowFile } = await import(${at('src/store/row-file.ts')});
       const rows = await openRowFile(${JSON.stringify(join(folder, name, 'rows'))});
       for (let i = 1; i <= 4; i++) await rows.persist([{ key: Uint8Array.of(i), value: Uint8Array.of(i) }]);`,
    );
    return fork(program, { execArgv: [], stdio: 'ignore' });
  }

  it('strike before and after the write that was named, and once', async () => {
    const orders = new KillOrders(folder);
    const kept = await Promise.all(
      (['before', 'after'] as const).map(async (when) => {
        orders.give(when, { call: 3, when, victims: ['self'] });
        const [, signal] = (await once(startWriter(when), 'exit')) as [number | null, string | null];
        assert.equal(signal, 'SIGKILL');
        assert.deepEqual([orders.counted(when), orders.struck(when)?.killed], [3, 1]);
        assert.ok(!existsSync(`${orders.prefix(when)}.order`));
        const rows = await openRowFile(join(folder, when, 'rows'));
        const keys: number[] = [];
        for await (const { key } of rows.load()) keys.push(...key);
        await rows.close();
        return keys;
      }),
    );
    assert.deepEqual(kept, [
      [1, 2],
      [1, 2, 3],
    ]);
  });

  it('finds the children of a process', async () => {
    const child = fork(join(import.meta.dirname, 'nothing.mjs'), {
      execArgv: ['-e', 'setInterval(()=>0,1e3)'],
      stdio: 'ignore',
    });
    try {
      assert.ok(child.pid !== undefined && childrenOf(process.pid).includes(child.pid));
    } finally {
      child.kill('SIGKILL');
    }
    const id = child.pid === undefined ? undefined : processId(child.pid);
    assert.ok(await waitUntil(() => id === undefined || !childrenOf(process.pid).includes(id.pid), 5000));
  });
});
