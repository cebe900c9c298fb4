import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createBuiltin } from '../../../../src/compute/executors/builtin/builtin.ts';
import { WorkTimer } from '../../../../src/compute/executors/builtin/work-timer.ts';
import type { Executor, ExecutorJob } from '../../../../src/compute/executors/executor.ts';
import { childrenOf } from '../../../util/child-processes.ts';
import type { Output } from '../../../util/executor-jobs.ts';
import { failsWith, params, PausedJob, recordingLog, runJob } from '../../../util/executor-jobs.ts';
import { waitFor } from '../../../util/wait.ts';
import { assemble, call, ECHO, FOREVER, op, showing, u32, writing } from '../../../util/wasm-program.ts';

function wasmJob(module: Uint8Array, stdin = '', more: Partial<ExecutorJob> = {}): ExecutorJob {
  const parts = [
    { role: '', mediaType: 'application/wasm', data: module },
    { role: '', mediaType: 'text/plain', data: new TextEncoder().encode(stdin) },
  ];
  return { kind: 'wasm.run', model: 'wasi-preview1', params: [], parts, maxOutputBytes: 1024 * 1024, ...more };
}

const children = (): Promise<number[]> => childrenOf(process.pid, 'child.');

describe('built-in back end: WASI modules', () => {
  let executor: Executor;
  const run = (...args: Parameters<typeof wasmJob>): Promise<Output> => runJob(executor, wasmJob(...args));

  before(() => {
    executor = createBuiltin({ modelsFolder: null, log: recordingLog(), parallel: 2 });
  });

  after(async () => {
    await executor.close();
    assert.deepEqual(await children(), []);
  });

  it('runs a module over its standard input, and leaves no process behind', async () => {
    const text = 'what goes in comes out\n'.repeat(5_000);
    const { text: echoed, outcome } = await run(ECHO, text);
    assert.equal(echoed, text);
    assert.deepEqual(outcome, { finish: 'stop', inputTokens: null, outputTokens: null });
    assert.deepEqual(await children(), []);
  });

  it('is paid for an exit of 0; another is the fault of the module, told with what it said last', async () => {
    const exit = (code: number): number[] => [...op.i32(code), ...op.call(1)];
    assert.equal((await run(writing(1, 'done', [...exit(0), ...op.unreachable], ['proc_exit']))).text, 'done');
    const failing = writing(2, `${'noise '.repeat(400)}no such colour\u0007`, exit(3), ['proc_exit']);
    await failsWith('BAD_JOB', run(failing), /exit code 3: [\w ]{900,1100}no such colour\?$/);
  });

  it('refuses what it cannot run, and says why', async () => {
    await failsWith('BAD_JOB', run(assemble({ code: [], imports: ['fd_teleport'] })), /fd_teleport/);
    await failsWith('BAD_JOB', run(ECHO, '', { parts: [] }), /application\/wasm/);
    await failsWith('BAD_JOB', run(ECHO, '', { params: params({ env: 'A=B' }) }));
    await failsWith('NO_MODEL', run(ECHO, '', { model: 'wasi-preview2' }));
  });

  it('bound: memory', async () => {
    await failsWith('BAD_JOB', run(assemble({ code: [], pages: 1_025 })));
    const grow = showing([], op.store(1024, [...op.i32(1_024), ...op.growMemory]), 4);
    assert.equal(Buffer.from((await run(grow)).bytes).readInt32LE(0), -1);
  });

  it('bound: output', async () => {
    const flood = assemble({
      imports: ['fd_write'],
      data: { 0: u32(64, 4_000) },
      code: op.loop(...call(0, 1, 0, 1, 16), ...op.branch(0)),
    });
    const { outcome, bytes } = await run(flood, '', { maxOutputBytes: 100_001 });
    assert.deepEqual([outcome.finish, bytes.length], ['length', 100_001]);
    assert.deepEqual(await children(), []);
  });

  it('bound: time, of which waiting for the receiver is no part', async () => {
    const hasty = createBuiltin({ modelsFolder: null, log: recordingLog(), wasmTimeoutMs: 200 });
    await failsWith('BAD_JOB', runJob(hasty, wasmJob(assemble({ code: FOREVER }))), /computed for more than 200 ms/);
    await hasty.close();

    const timer = new WorkTimer(100);
    await timer.pausedFor(new Promise((resolve) => setTimeout(resolve, 150)));
    assert.equal(timer.signal.aborted, false);
    await once(timer.signal, 'abort');
  });

  it('bound: modules at once; a canceled one is gone before its slot is free', async () => {
    const jobs = [1, 2].map(() => new PausedJob(executor, wasmJob(writing(1, 'x'.repeat(5_000), FOREVER))));
    await failsWith('BUSY', run(ECHO));
    await Promise.all(jobs.map((job) => job.paused));
    for (const job of jobs) job.abort.abort();
    for (const job of jobs) await failsWith('CANCELED', job.done);
    assert.deepEqual(await children(), []);
  });
});

describe('built-in back end: its parent is killed', () => {
  it('leaves no child, not even one whose module computes forever', async () => {
    const parent = spawn(process.execPath, [new URL('executor-parent.ts', import.meta.url).pathname], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(parent.stdout, 'data');
    const orphans = await childrenOf(parent.pid ?? 0, 'child.');
    assert.equal(orphans.length, 2);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const alive = (pid: number): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    await waitFor('the end of the children', () => !orphans.some(alive));
  });
});
