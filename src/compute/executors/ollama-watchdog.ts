/**
 * Sees to it that work on an Ollama server has ended when it was given up: a closed connection does not always stop it
 * (github.com/ollama/ollama/issues/2876), and a slot that is free here but not there would be sold twice.
 *
 * `/api/ps` says until when a model stays loaded. The server sets this anew when the model's last request has ended; while
 * the first request since loading runs it moves with every look. So the work has ended once two looks agree on another
 * time than before the job, or the model is gone. A server that does not come to that in time is told to unload the model.
 */
import { NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { ModelServer } from './http/client.ts';
import { listAt, textAt } from './http/client.ts';

export interface OllamaWatchdogOptions {
  readonly server: ModelServer;
  readonly stopTimeoutMs: number;
  readonly log: Logger;
}

const POLL_MS = 25;
const REQUEST_TIMEOUT_MS = 2_000;

export class OllamaWatchdog {
  readonly #options: OllamaWatchdogOptions;
  readonly #atWork = new Map<string, number>();

  constructor(options: OllamaWatchdogOptions) {
    this.#options = options;
  }

  /** Settles as `work` does; when that ends without having called `finished`, not before the server has stopped too. */
  async watch<T>(model: string, work: (finished: () => void) => Promise<T>): Promise<T> {
    const before = await this.#loadedUntil(model);
    this.#atWork.set(model, (this.#atWork.get(model) ?? 0) + 1);
    let ended = false;
    let begun = true;
    try {
      return await work(() => {
        ended = true;
      });
    } catch (error) {
      // Refused, or nobody there: nothing runs.
      begun = !(error instanceof NodeError && ['BAD_JOB', 'NO_MODEL', 'BUSY', 'UNREACHABLE'].includes(error.code));
      throw error;
    } finally {
      const others = (this.#atWork.get(model) ?? 1) - 1;
      this.#atWork.set(model, others);
      // While others work on the model its time does not tell of this job.
      if (begun && !ended && others === 0) await this.#untilStopped(model, before);
      if (this.#atWork.get(model) === 0) this.#atWork.delete(model);
    }
  }

  async #untilStopped(model: string, before: string | null): Promise<void> {
    let last: string | null = null;
    const stopped = await this.#poll(async () => {
      const until = await this.#loadedUntil(model);
      const agreed = until === null || (until === last && until !== before);
      last = until;
      return agreed;
    });
    if (stopped) return;
    this.#options.log.warn('work goes on after it was given up: the model is unloaded', { model });
    await this.#ask('/api/generate', { model, keep_alive: 0 });
    if (await this.#poll(async () => (await this.#loadedUntil(model)) === null)) return;
    this.#options.log.error('the Ollama server does not stop: restart it', { model });
  }

  async #poll(condition: () => Promise<boolean>): Promise<boolean> {
    const end = performance.now() + this.#options.stopTimeoutMs;
    while (!(await condition())) {
      if (performance.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  /** Null when it is not loaded, or nobody answers. */
  async #loadedUntil(model: string): Promise<string | null> {
    const answer = await this.#ask('/api/ps');
    const names = [model, `${model}:latest`];
    const entry = listAt(answer, 'models').find((loaded) => names.includes(textAt(loaded, 'name')));
    return entry === undefined ? null : textAt(entry, 'expires_at');
  }

  async #ask(path: string, body?: unknown): Promise<unknown> {
    try {
      return await this.#options.server.json(path, { body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    } catch {
      return null;
    }
  }
}
