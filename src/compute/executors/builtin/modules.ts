/** Modules of strangers: a process for each, ended with the job, whatever it is doing. */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { NodeError } from '../../../errors.ts';
import type { Capability, ExecutorIo, ExecutorJob, ExecutorOutcome } from '../executor.ts';
import { readWasm, WASM } from '../job.ts';
import { Slots } from '../slots.ts';
import { ChildHost } from './child-host.ts';
import { packageRoot } from './package-root.ts';
import { WorkTimer } from './work-timer.ts';

export interface ModuleRunnerOptions {
  readonly parallel: number;
  readonly timeoutMs: number;
  readonly killAfterMs: number;
}

export const WASM_MODEL = 'wasi-preview1';

/** What a module may have of memory, 64 KiB each: part of what `wasi-preview1` means here, so it is no option. */
const MAX_PAGES = 1_024;

/** No file but the program itself, no process, no native code; threads, since the module has one (less free still). */
const CHILD_FLAGS = [
  '--max-old-space-size=128',
  `--wasm-max-mem-pages=${MAX_PAGES}`,
  '--wasm-max-table-size=100000',
  '--permission',
  '--allow-worker',
];

export const WASM_CAPABILITY: Capability = {
  kind: WASM,
  model: WASM_MODEL,
  // Bits of a NaN differ between families of processors, and a module can look at them: each is an identity of its own.
  digest: new Uint8Array(hash('sha256', `aitbc-wasi-preview1/1 ${process.arch}`, 'buffer')),
  contextTokens: null,
  streams: true,
  deterministic: true,
  warm: true,
  tags: ['cpu'],
};

export class ModuleRunner {
  readonly #options: ModuleRunnerOptions;
  readonly #slots: Slots;
  readonly #children = new Set<ChildHost>();

  constructor(options: ModuleRunnerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.parallel);
  }

  /** @throws NodeError BAD_JOB | BUSY | CANCELED | EXECUTOR */
  async run(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    const wasm = readWasm(job);
    return this.#slots.with(async () => {
      const child = new ChildHost({ execArgv: childFlags(), killAfterMs: this.#options.killAfterMs });
      const timer = new WorkTimer(this.#options.timeoutMs);
      const signal = AbortSignal.any([io.signal, timer.signal]);
      // Asking it to stop would be of no use: the module has no ear for it.
      signal.addEventListener('abort', () => void child.stop(), { once: true });
      const emit = (bytes: Uint8Array): Promise<void> => timer.pausedFor(io.emit(bytes));
      this.#children.add(child);
      try {
        const task = { type: 'wasm', wasm, maxOutputBytes: job.maxOutputBytes } as const;
        const { finish } = await child.call(task, { signal, emit });
        return { finish, inputTokens: null, outputTokens: null };
      } catch (error) {
        if (!timer.signal.aborted || io.signal.aborted) throw error;
        throw new NodeError('BAD_JOB', `the module computed for more than ${this.#options.timeoutMs} ms`, {
          hint: 'split the work',
        });
      } finally {
        timer.stop();
        await child.stop();
        this.#children.delete(child);
      }
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop()));
  }
}

/** It may read its own program, and nothing else. */
function childFlags(): string[] {
  const root = packageRoot();
  const readable = ['package.json', join('src', '*'), join('dist', '*')].map((path) => join(root, path));
  return [...CHILD_FLAGS, ...readable.map((path) => `--allow-fs-read=${path}`)];
}
