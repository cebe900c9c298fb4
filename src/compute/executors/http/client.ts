/** HTTP to a model server: bounded in time and size, its failures told by the codes that miners know. */
import { NodeError } from '../../../errors.ts';
import { canceled } from '../pieces.ts';

export type Fetch = typeof fetch;

export interface ModelServerOptions {
  /** e.g. `http://127.0.0.1:11434`. */
  readonly baseUrl: string;
  readonly fetch?: Fetch;
  /** Sent as a bearer token. */
  readonly apiKey?: string;
  /** Until the first byte of an answer: a cold model is loaded meanwhile. */
  readonly firstByteTimeoutMs?: number;
  /** Without a byte of an answer that has begun. */
  readonly idleTimeoutMs?: number;
}

export interface ModelServerRequest {
  /** Posted as JSON; a GET without. */
  readonly body?: unknown;
  readonly signal: AbortSignal;
  readonly firstByteTimeoutMs?: number;
}

/** Lists and answers that do not stream. */
const MAX_JSON_BYTES = 32 * 1024 * 1024;
const MAX_ERROR_BYTES = 16 * 1024;
const MAX_REASON = 300;

export class ModelServer {
  readonly #options: ModelServerOptions;
  readonly #base: string;

  constructor(options: ModelServerOptions) {
    this.#options = options;
    this.#base = options.baseUrl.replace(/\/+$/, '');
  }

  /** @throws NodeError as `stream` does; EXECUTOR when the answer is no JSON */
  async json(path: string, request: ModelServerRequest): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of await this.stream(path, request)) {
      size += chunk.length;
      if (size > MAX_JSON_BYTES) {
        throw new NodeError('EXECUTOR', `the server sent an answer of more than ${MAX_JSON_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
    return parseJson(Buffer.concat(chunks).toString('utf8'));
  }

  /**
   * The body of a successful answer. Leaving the iteration, or the signal, ends the request.
   *
   * @throws NodeError UNREACHABLE nobody answers; BAD_JOB, NO_MODEL, BUSY, EXECUTOR by the status; EXECUTOR on silence
   *   or when the connection breaks; CANCELED
   */
  async stream(path: string, request: ModelServerRequest): Promise<AsyncIterable<Uint8Array>> {
    const end = new AbortController();
    const signal = AbortSignal.any([request.signal, end.signal]);
    const silence = new Silence(() => {
      end.abort();
    });
    silence.expect(request.firstByteTimeoutMs ?? this.#options.firstByteTimeoutMs ?? 300_000);
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(`${this.#base}${path}`, {
        ...(request.body === undefined ? {} : { method: 'POST', body: JSON.stringify(request.body) }),
        headers: this.#headers(),
        // A server that points elsewhere would be asked in the name of one that was trusted.
        redirect: 'error',
        signal,
      });
    } catch (error) {
      throw failure(error, request.signal, silence, 'UNREACHABLE');
    } finally {
      silence.stop();
    }
    const body = this.#chunks(response, request.signal, silence, end);
    if (!response.ok) throw await statusError(response.status, body);
    return body;
  }

  async *#chunks(
    response: Response,
    signal: AbortSignal,
    silence: Silence,
    end: AbortController,
  ): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    try {
      while (reader !== undefined) {
        silence.expect(this.#options.idleTimeoutMs ?? 60_000);
        const { done, value } = await reader.read();
        silence.stop();
        if (done) return;
        yield value;
      }
    } catch (error) {
      throw failure(error, signal, silence, 'EXECUTOR');
    } finally {
      silence.stop();
      end.abort();
    }
  }

  #headers(): Record<string, string> {
    const { apiKey } = this.#options;
    return {
      'content-type': 'application/json',
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    };
  }
}

/** @throws NodeError EXECUTOR */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new NodeError('EXECUTOR', 'the server sent something that is not JSON', {
      hint: 'see that a model server listens at that address',
    });
  }
}

/** The record at a path of names, or an empty one: answers of servers are taken apart without trust in their shape. */
export function recordAt(value: unknown, ...path: readonly string[]): Readonly<Record<string, unknown>> {
  let at: unknown = value;
  for (const name of path) at = isRecord(at) ? at[name] : undefined;
  return isRecord(at) ? at : {};
}

export function listAt(value: unknown, name: string): readonly unknown[] {
  const list = recordAt(value)[name];
  return Array.isArray(list) ? list : [];
}

export function textAt(value: unknown, name: string): string {
  const text = recordAt(value)[name];
  return typeof text === 'string' ? text : '';
}

export function countAt(value: unknown, name: string): number | null {
  const count = recordAt(value)[name];
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : null;
}

/** What a server says went wrong, in either of the shapes in use: `{error: "…"}`, `{error: {message: "…"}}`. */
export function reasonIn(value: unknown): string | null {
  const text = textAt(value, 'error') || textAt(recordAt(value, 'error'), 'message');
  return text === '' ? null : text.replaceAll(/\p{C}/gu, ' ').slice(0, MAX_REASON);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

class Silence {
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | undefined;
  lastedMs: number | null = null;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  expect(ms: number): void {
    this.#timer = setTimeout(() => {
      this.lastedMs = ms;
      this.#onEnd();
    }, ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function failure(error: unknown, signal: AbortSignal, silence: Silence, code: 'UNREACHABLE' | 'EXECUTOR'): NodeError {
  if (signal.aborted) return canceled();
  if (silence.lastedMs !== null) {
    return new NodeError('EXECUTOR', `the server was silent for ${silence.lastedMs} ms`, { hint: 'try again later' });
  }
  const message = code === 'UNREACHABLE' ? 'the server does not answer' : 'the connection to the server broke';
  return new NodeError(code, message, { hint: 'see that the server runs at the configured address', cause: error });
}

async function statusError(status: number, body: AsyncIterable<Uint8Array>): Promise<NodeError> {
  const reason = await reasonOf(body);
  const data = { status, reason };
  if (status === 400 || status === 413 || status === 422) {
    return new NodeError('BAD_JOB', `the server refuses the job${reason === null ? '' : `: ${reason}`}`, { data });
  }
  if (status === 404) return new NodeError('NO_MODEL', 'the server does not know the model', { data });
  if (status === 408 || status === 429 || status === 503) {
    return new NodeError('BUSY', 'the server is busy', { data, hint: 'try again later' });
  }
  if (status === 401 || status === 403) {
    const hint = 'set the API key of the server in the configuration of the miner';
    return new NodeError('EXECUTOR', 'the server asks for an API key', { data: { status }, hint });
  }
  return new NodeError('EXECUTOR', `the server answered with status ${status}`, { data });
}

async function reasonOf(body: AsyncIterable<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_ERROR_BYTES) return null;
      chunks.push(chunk);
    }
    return reasonIn(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch {
    return null;
  }
}
