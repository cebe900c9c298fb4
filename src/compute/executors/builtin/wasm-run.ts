/**
 * In the child: one module, on a thread of its own, so that this process can still be told that its parent is gone while
 * the module computes. The thread waits whenever a piece of output has not been taken.
 */
import { Worker } from 'node:worker_threads';
import { NodeError } from '../../../errors.ts';
import type { ExecutorIo } from '../executor.ts';
import { emitPiece } from '../pieces.ts';
import type { Task } from './messages.ts';
import type { FromWasm, WasmStart } from './wasm-messages.ts';
import { GO } from './wasm-messages.ts';

const WORKER = new URL(`./wasm-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

/** Objects of the engine, not the module's memory: that has its own limit (a flag of the child). */
const MAX_HEAP_MIB = 64;

/** @throws NodeError BAD_JOB what the module did wrong; CANCELED */
export async function runWasm(task: Extract<Task, { type: 'wasm' }>, io: ExecutorIo): Promise<'stop' | 'length'> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const release = (): void => {
    Atomics.store(gate, GO, 1);
    Atomics.notify(gate, GO);
  };
  const start: WasmStart = { wasm: task.wasm, maxOutputBytes: task.maxOutputBytes, gate };
  const worker = new Worker(WORKER, {
    workerData: start,
    env: {},
    // A thread has only the restrictions it is given itself.
    execArgv: process.execArgv.filter((flag) => /^--(permission$|allow-fs-read=)/.test(flag)),
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  });
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', (message: FromWasm) => {
        if (message.type === 'end') resolve(message.finish);
        else if (message.type === 'bad') reject(new NodeError('BAD_JOB', message.message));
        else emitPiece(io, message.bytes).then(release, reject);
      });
      worker.on('error', (error) => {
        reject(new NodeError('BAD_JOB', 'the module asked more of the engine than it is allowed', { cause: error }));
      });
    });
  } finally {
    await worker.terminate();
  }
}
