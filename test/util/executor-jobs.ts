/** Jobs for back ends, and a receiver of output that keeps the rules of the interface. */
import assert from 'node:assert/strict';
import type { ContentParam, ContentPart } from '../../src/chain/market/content.ts';
import type { Executor, ExecutorJob, ExecutorOutcome } from '../../src/compute/executors/executor.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { isNodeError } from '../../src/errors.ts';
import type { Logger } from '../../src/log.ts';

export const never = new AbortController().signal;

export function textPart(text: string, role = 'user'): ContentPart {
  return { role, mediaType: 'text/plain', data: new TextEncoder().encode(text) };
}

export function chatJob(model: string, prompt: string, more: Partial<ExecutorJob> = {}): ExecutorJob {
  return { kind: 'llm.chat', model, params: [], parts: [textPart(prompt)], maxOutputBytes: 65_536, ...more };
}

export function params(values: Readonly<Record<string, string | readonly string[]>>): ContentParam[] {
  return Object.entries(values).flatMap(([name, value]) => [value].flat().map((one) => ({ name, value: one })));
}

export interface Output {
  readonly outcome: ExecutorOutcome;
  readonly pieces: readonly Uint8Array[];
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Runs a job with a receiver that takes everything, and holds each piece against the interface. */
export async function runJob(executor: Executor, job: ExecutorJob, signal: AbortSignal = never): Promise<Output> {
  const pieces: Uint8Array[] = [];
  let taking = false;
  const outcome = await executor.run(job, {
    signal,
    async emit(piece) {
      assert.ok(!taking, 'a piece came before the one before it was taken');
      assert.ok(piece.length >= 1 && piece.length <= 65_536, `a piece of ${piece.length} bytes`);
      taking = true;
      await Promise.resolve();
      taking = false;
      pieces.push(piece);
    },
  });
  const bytes = new Uint8Array(Buffer.concat(pieces));
  return { outcome, pieces, bytes, text: Buffer.from(bytes).toString('utf8') };
}

/** A job whose receiver takes no further piece until it is released. */
export class PausedJob {
  readonly abort = new AbortController();
  readonly done: Promise<ExecutorOutcome>;
  pieces = 0;
  #open = Promise.withResolvers<void>();
  readonly #first = Promise.withResolvers<void>();

  constructor(executor: Executor, job: ExecutorJob) {
    this.done = executor.run(job, {
      signal: this.abort.signal,
      emit: () => {
        this.pieces += 1;
        this.#first.resolve();
        return this.#open.promise;
      },
    });
    this.done.catch((error: unknown) => {
      this.#first.reject(error);
    });
    this.#first.promise.catch(() => undefined);
  }

  /** Resolves when the first piece is there, and waits to be taken. */
  get paused(): Promise<void> {
    return this.#first.promise;
  }

  release(): void {
    this.#open.resolve();
  }
}

export async function failsWith(code: ErrorCode, work: Promise<unknown>, message?: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isNodeError(error), String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

export interface LogRecord {
  readonly message: string;
  readonly context: unknown;
}

/** A logger that remembers. */
export function recordingLog(records: LogRecord[] = []): Logger {
  const keep = (message: string, context?: unknown): void => void records.push({ message, context });
  const log: Logger = { error: keep, warn: keep, info: keep, debug: keep, child: () => log };
  return log;
}
