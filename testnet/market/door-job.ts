/** A job that a node pays for: `POST /v1/jobs` with a key, asked again with the same one whenever the node was gone. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORK } from './command-job.ts';
import type { JobOutcome } from './outcome.ts';
import { outcomeOf } from './outcome.ts';
import { OUTPUT } from './program.ts';

const JOB_MS = 120_000;
const POLL_MS = 100;
const REQUEST_MS = 5000;
const ENDED: ReadonlySet<string> = new Set(['COMPLETED', 'FAILED', 'CANCELED', 'EXPIRED']);

type JobJson = Parameters<typeof outcomeOf>[0];
interface ResultJson {
  readonly result: { readonly output: string | null };
  readonly receipt: Parameters<typeof outcomeOf>[1];
}

export class DoorJob {
  readonly #gateway: { readonly url: string; readonly api_key: string };
  readonly #key = randomUUID();
  readonly #over: Promise<JobOutcome | Error>;
  #isOver = false;
  #isAborted = false;

  constructor(gateway: { readonly url: string; readonly api_key: string }) {
    this.#gateway = gateway;
    this.#over = this.#follow().then(
      (outcome) => this.#ended(outcome),
      (error: unknown) => this.#ended(error instanceof Error ? error : new Error(String(error))),
    );
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async finish(): Promise<JobOutcome> {
    const outcome = await this.#over;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  abort(): void {
    this.#isAborted = true;
  }

  #ended<T>(outcome: T): T {
    this.#isOver = true;
    return outcome;
  }

  async #follow(): Promise<JobOutcome> {
    const deadline = performance.now() + JOB_MS;
    const body = JSON.stringify({ ...WORK, max_price_uait: '1000000' });
    let resumed = -1;
    let known: JobJson | undefined;
    let last = '';
    while (!this.#isAborted) {
      if (performance.now() > deadline)
        throw new Error(`the job did not end: ${known ? await this.#why(known) : last}`);
      try {
        if (!known) {
          known = await this.#ask<JobJson>('/v1/jobs', { method: 'POST', body });
          resumed++;
        }
        known = await this.#ask<JobJson>(`/v1/jobs/${known.job_id}`);
        if (ENDED.has(known.state)) {
          const isDone = known.state === 'COMPLETED';
          const found = isDone ? await this.#ask<ResultJson>(`/v1/jobs/${known.job_id}/result`) : null;
          return outcomeOf(known, found?.receipt ?? null, found?.result.output ?? null, OUTPUT, resumed);
        }
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
        known = undefined;
      }
      await sleep(POLL_MS);
    }
    throw new Error('the test was ended');
  }

  async #why({ job_id: id, state }: JobJson): Promise<string> {
    const { summary } = await this.#ask<{ summary: string }>(`/v1/jobs/${id}/why`).catch(() => ({ summary: '' }));
    return `${state}: ${summary}`;
  }

  /** @throws Error when nobody answers, or otherwise than with 2xx */
  async #ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await fetch(this.#gateway.url + path, {
      ...init,
      headers: {
        authorization: `Bearer ${this.#gateway.api_key}`,
        'content-type': 'application/json',
        'idempotency-key': this.#key,
      },
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 300)}`);
    return JSON.parse(text) as T;
  }
}
