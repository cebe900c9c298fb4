/**
 * A child process that does the work: started when there is work, ended with SIGTERM and, when it does not go, SIGKILL.
 * Its death fails what it was doing and nothing else; the next task starts a new one.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NodeError } from '../../../errors.ts';
import type { ExecutorIo } from '../executor.ts';
import { canceled } from '../pieces.ts';
import type { FromChild, Task, TaskResult, ToChild } from './messages.ts';
import { readFromChild } from './messages.ts';

export interface ChildHostOptions {
  /** Flags of Node for the child: limits and permissions. */
  readonly execArgv: readonly string[];
  /** From SIGTERM to SIGKILL; also how long a canceled task may take to stop before the child is ended. */
  readonly killAfterMs: number;
}

interface Call {
  readonly io: ExecutorIo;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: unknown) => void;
  /** Why the task is being stopped; once it has stopped, this is how it failed. */
  failure: unknown;
  emitting: boolean;
}

interface Running {
  readonly process: ChildProcess;
  readonly calls: Map<number, Call>;
  readonly exited: Promise<void>;
}

const CHILD = new URL(`./child${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

export class ChildHost {
  readonly #options: ChildHostOptions;
  #running: Running | null = null;
  readonly #ending = new Set<Promise<void>>();
  #nextId = 1;

  constructor(options: ChildHostOptions) {
    this.#options = options;
  }

  /** Null while none runs. */
  get pid(): number | null {
    return this.#running?.process.pid ?? null;
  }

  /**
   * Pauses the task while `io.emit` has not resolved. Settles when the task has stopped.
   *
   * @throws NodeError what the task failed with; CANCELED; EXECUTOR when the child died
   */
  async call(task: Task, io: ExecutorIo): Promise<TaskResult> {
    if (io.signal.aborted) throw canceled();
    const running = (this.#running ??= this.#start());
    const id = this.#nextId++;
    const onAbort = (): void => {
      this.#stopCall(running, id, canceled());
    };
    io.signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await new Promise<TaskResult>((resolve, reject) => {
        running.calls.set(id, { io, resolve, reject, failure: undefined, emitting: false });
        send(running, { type: 'start', id, task });
      });
    } finally {
      io.signal.removeEventListener('abort', onAbort);
      running.calls.delete(id);
    }
  }

  /** Ends the child; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#running !== null) this.#end(this.#running);
    await Promise.all(this.#ending);
  }

  #start(): Running {
    const child = fork(fileURLToPath(CHILD), [], {
      serialization: 'advanced',
      // Nothing of the node's environment: it may hold secrets, and a child needs none of it.
      env: {},
      execArgv: [...this.#options.execArgv],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    const running: Running = { process: child, calls: new Map(), exited: promise };
    const onGone = (exitCode: number | null, signal: string | null): void => {
      if (this.#running === running) this.#running = null;
      for (const call of running.calls.values()) call.reject(call.failure ?? died(exitCode, signal));
      resolve();
    };
    child.on('exit', onGone);
    child.on('error', () => {
      if (child.pid === undefined) onGone(null, null);
    });
    child.on('message', (message) => {
      this.#receive(running, readFromChild(message));
    });
    return running;
  }

  #end(running: Running): void {
    if (this.#running === running) this.#running = null;
    const ended = endProcess(running, this.#options.killAfterMs).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #receive(running: Running, message: FromChild | null): void {
    if (message === null) {
      this.#end(running);
      return;
    }
    const call = running.calls.get(message.id);
    if (call === undefined) return;
    if (message.type === 'piece') {
      this.#emit(running, message.id, call, message.bytes);
    } else if (call.failure !== undefined) {
      call.reject(call.failure);
    } else if (message.type === 'done') {
      call.resolve(message.result);
    } else {
      call.reject(new NodeError(message.code, message.message));
    }
  }

  #emit(running: Running, id: number, call: Call, bytes: Uint8Array): void {
    if (call.failure !== undefined) return;
    if (call.emitting) {
      this.#end(running);
      return;
    }
    call.emitting = true;
    // In a promise of its own: a receiver that throws fails its job, not the node.
    (async () => call.io.emit(bytes))().then(
      () => {
        call.emitting = false;
        send(running, { type: 'more', id });
      },
      (error: unknown) => {
        this.#stopCall(running, id, error);
      },
    );
  }

  /** The task is told to stop; a child in which it does not is ended, with all else it does. */
  #stopCall(running: Running, id: number, failure: unknown): void {
    const call = running.calls.get(id);
    if (call === undefined || call.failure !== undefined) return;
    call.failure = failure;
    send(running, { type: 'cancel', id });
    setTimeout(() => {
      if (running.calls.get(id) === call) this.#end(running);
    }, this.#options.killAfterMs).unref();
  }
}

function send({ process: child }: Running, message: ToChild): void {
  // A channel that closes meanwhile is no failure of its own: the exit that follows is.
  if (child.connected) child.send(message, () => undefined);
}

async function endProcess({ process: child, exited }: Running, killAfterMs: number): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  await exited;
  clearTimeout(timer);
}

function died(exitCode: number | null, signal: string | null): NodeError {
  return new NodeError('EXECUTOR', 'the process that did the work ended', {
    data: { exitCode, signal },
    hint: 'try again; when it happens with one model only, the model may need more memory than there is',
  });
}
