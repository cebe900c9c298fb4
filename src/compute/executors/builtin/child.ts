/**
 * The program of a child: takes tasks over IPC, several at once, and hands output over piece by piece, each after the one
 * before was taken. It ends with its parent.
 */
import { setPriority } from 'node:os';
import process from 'node:process';
import { toNodeError, unreachable } from '../../../errors.ts';
import type { ExecutorIo } from '../executor.ts';
import { canceled, emitAll } from '../pieces.ts';
import { embedSteps } from './hash-embedding.ts';
import type { FromChild, Task, TaskResult, ToChild } from './messages.ts';

/** The node comes first: agreement must not wait for models. */
const NICENESS = 10;

interface Run {
  readonly abort: AbortController;
  more: () => void;
}

const runs = new Map<number, Run>();

function send(message: FromChild): void {
  process.send?.(message);
}

async function work(task: Task, io: ExecutorIo): Promise<TaskResult> {
  const none = { inputTokens: null, outputTokens: null, contextTokens: null, loaded: [] };
  switch (task.type) {
    case 'embed':
      await emitAll(io, await embedInTurns(task.texts, io.signal));
      return { finish: 'stop', ...none };
    case 'wasm': {
      const { runWasm } = await import('./wasm-run.ts');
      return { finish: await runWasm(task, io), ...none };
    }
    case 'inspect':
    case 'load':
    case 'chat': {
      const { llamaTask } = await import('./llama.ts');
      return llamaTask(task, io);
    }
    default:
      return unreachable(task);
  }
}

/** Chats go on meanwhile, and whoever cancels is heard. */
async function embedInTurns(texts: readonly string[], signal: AbortSignal): Promise<Uint8Array> {
  const steps = embedSteps(texts);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    await new Promise((resolve) => setImmediate(resolve));
    if (signal.aborted) throw canceled();
  }
}

async function start(id: number, task: Task): Promise<void> {
  const run: Run = { abort: new AbortController(), more: () => undefined };
  runs.set(id, run);
  const io: ExecutorIo = {
    signal: run.abort.signal,
    emit: (bytes) =>
      new Promise((resolve) => {
        run.more = resolve;
        send({ type: 'piece', id, bytes });
      }),
  };
  try {
    send({ type: 'done', id, result: await work(task, io) });
  } catch (error) {
    const { code, message } = toNodeError(error);
    send({ type: 'failed', id, code: code === 'INTERNAL' ? 'EXECUTOR' : code, message });
  } finally {
    runs.delete(id);
  }
}

process.on('message', (message: ToChild) => {
  if (message.type === 'start') void start(message.id, message.task);
  else if (message.type === 'more') runs.get(message.id)?.more();
  else runs.get(message.id)?.abort.abort();
});
// Ctrl-C reaches the whole group: the parent decides what becomes of work under way.
process.on('SIGINT', () => undefined);
// Without its parent nobody wants the work; at once, whatever native code or a module is doing.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
setPriority(NICENESS);
