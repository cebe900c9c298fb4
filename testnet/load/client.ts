/** The load process, seen from the program that measures. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NodeError } from '../../src/errors.ts';
import { REPOSITORY } from '../layout.ts';
import type {
  LoadReply,
  LoadRequest,
  LoadResult,
  LoadRun,
  LoadSetup,
  OverloadResult,
  OverloadRun,
} from './protocol.ts';

export class LoadProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(setup: Omit<LoadSetup, 'type'>): Promise<LoadProcess> {
    const child = fork(join(REPOSITORY, 'testnet', 'load-process.ts'), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const load = new LoadProcess(child);
    await load.#ask({ type: 'setup', ...setup }, 'ready');
    return load;
  }

  /** @param onMeasuring called when the warm-up is over */
  async run(run: Omit<LoadRun, 'type'>, onMeasuring: () => void = () => undefined): Promise<LoadResult> {
    return this.#ask({ type: 'run', ...run }, 'result', onMeasuring);
  }

  /** @param onMeasuring called when all is signed and the load begins */
  async overload(run: Omit<OverloadRun, 'type'>, onMeasuring: () => void = () => undefined): Promise<OverloadResult> {
    return this.#ask({ type: 'overload', ...run }, 'overloaded', onMeasuring);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  async #ask<T extends LoadReply['type']>(
    request: LoadRequest,
    expected: T,
    onMeasuring?: () => void,
  ): Promise<Extract<LoadReply, { type: T }>> {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<LoadReply, { type: T }>>();
    const fail = (message: string): void => {
      reject(new NodeError('INTERNAL', `the load process failed: ${message}`));
    };
    const onReply = (reply: LoadReply): void => {
      if (reply.type === 'measuring') onMeasuring?.();
      else if (reply.type === 'error') fail(reply.message);
      else if (reply.type === expected) resolve(reply as Extract<LoadReply, { type: T }>);
    };
    const onExit = (code: number | null): void => {
      fail(`exit code ${code ?? 'none'}`);
    };
    this.#child.on('message', onReply).on('exit', onExit);
    this.#child.send(request);
    try {
      return await promise;
    } finally {
      this.#child.off('message', onReply).off('exit', onExit);
    }
  }
}
