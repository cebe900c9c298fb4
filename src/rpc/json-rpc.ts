/** JSON-RPC 2.0: text in, text out. Methods are those of the operations, with params by name or by position. */
import type { IncomingHttpHeaders } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { ERRORS, NodeError } from '../errors.ts';
import type { Scope } from '../store/api-keys.ts';
import type { Principal } from './access/principal.ts';
import { parseJsonBody } from './json-body.ts';
import type { Call, Method } from './json-rpc-methods.ts';
import type { Problem } from './problem.ts';
import { toProblem } from './problem.ts';
import { loadOf } from './rate-guard.ts';
import type { Client } from './clients.ts';
import type { Load } from './rate-limits.ts';

/** Calls of one batch. */
export const MAX_BATCH_CALLS = 100;
/** Of the answers to one batch: what comes after them is not called. */
export const MAX_BATCH_ANSWER_BYTES = 10 * 1024 * 1024;

export interface RequestContext {
  readonly requestId: string;
  readonly principal: Principal;
  readonly client: Client;
  readonly headers: IncomingHttpHeaders;
  readonly host: string;
  /** Aborts when the client has gone. */
  readonly gone: () => AbortSignal;
  /** Before each call. @throws NodeError RATE_LIMITED */
  readonly take: (load: Load) => void;
}

export interface JsonRpcModules {
  readonly methods: ReadonlyMap<string, Method>;
  /** What `rpc.discover` answers. */
  readonly discover: () => unknown;
  /** @throws NodeError UNAUTHENTICATED | FORBIDDEN */
  readonly allow: (principal: Principal, scope: Scope) => void;
  readonly onFailure: (problem: Problem, method: string | null, error: unknown) => void;
}

type Id = string | number | null;

/** A call without an id is a notification: done, and not answered. */
interface Request {
  readonly id: Id | undefined;
  readonly method: string;
  readonly params: unknown;
}

export class JsonRpc {
  readonly #modules: JsonRpcModules;

  constructor(modules: JsonRpcModules) {
    this.#modules = modules;
  }

  /** @returns null when there is nothing to answer: notifications alone. Never rejects. */
  async answer(text: string, context: RequestContext): Promise<string | null> {
    let input: unknown;
    try {
      input = parseJsonBody(text);
      if (Array.isArray(input)) checkBatch(input);
    } catch (error) {
      return this.#failure(null, null, error, context);
    }
    return Array.isArray(input) ? this.#batch(input, context) : this.#one(input, context, false);
  }

  /** One after the other, in order: the nonces of transactions may depend on it. */
  async #batch(items: readonly unknown[], context: RequestContext): Promise<string | null> {
    const answers: string[] = [];
    let bytes = 0;
    for (const item of items) {
      const answer =
        bytes > MAX_BATCH_ANSWER_BYTES ? this.#skipped(item, context) : await this.#one(item, context, true);
      if (answer === null) continue;
      answers.push(answer);
      bytes += Buffer.byteLength(answer);
      // Others are served in between.
      await setImmediate();
    }
    return answers.length === 0 ? null : `[${answers.join(',')}]`;
  }

  async #one(item: unknown, context: RequestContext, isBatch: boolean): Promise<string | null> {
    let request: Request | null = null;
    try {
      request = readRequest(item);
      const result = await this.#call(request, context, isBatch);
      if (request.id === undefined) return null;
      return `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},"result":${JSON.stringify(result) ?? 'null'}}`;
    } catch (error) {
      // What is no request has an id that cannot be trusted; a notification is not told of its failure.
      const id = request ? request.id : null;
      const text = this.#failure(id ?? null, request?.method ?? null, error, context);
      return id === undefined ? null : text;
    }
  }

  async #call({ method, params }: Request, context: RequestContext, isBatch: boolean): Promise<unknown> {
    if (method === 'rpc.discover') {
      context.take('read');
      return this.#modules.discover();
    }
    const found = this.#modules.methods.get(method);
    if (!found) {
      context.take('read');
      throw new NodeError('METHOD_NOT_FOUND', `there is no method ${method.slice(0, 100)}`, {
        hint: 'rpc.discover lists all methods',
      });
    }
    const call: Call = found.read(params);
    context.take(loadOf(found.operation.load, call.query));
    const { scope } = found.operation;
    if (scope !== null && scope !== 'calls') this.#modules.allow(context.principal, scope);
    if (isBatch && call.query['mode'] === 'commit') {
      throw new NodeError('INVALID_PARAMS', 'a call of a batch is not waited for', {
        hint: 'use mode sync, then ask by hash',
      });
    }
    const answer = await found.operation.handle({ ...context, ...call });
    return answer.body();
  }

  #skipped(item: unknown, context: RequestContext): string | null {
    const error = new NodeError('TOO_LARGE', 'the answers before this one are too large together', {
      data: { limit: MAX_BATCH_ANSWER_BYTES },
      hint: 'ask again in a smaller batch',
    });
    let id: Id | undefined = null;
    try {
      ({ id } = readRequest(item));
    } catch {
      // As for a call that is none.
    }
    return id === undefined ? null : this.#failure(id, null, error, context);
  }

  #failure(id: Id, method: string | null, error: unknown, { requestId }: RequestContext): string {
    const problem = toProblem(error, requestId);
    this.#modules.onFailure(problem, method, error);
    const { jsonRpc } = ERRORS[problem.code];
    return JSON.stringify({ jsonrpc: '2.0', id, error: { code: jsonRpc, message: problem.detail, data: problem } });
  }
}

/** @throws NodeError INVALID_REQUEST | TOO_LARGE */
function checkBatch(items: readonly unknown[]): void {
  if (items.length === 0) throw new NodeError('INVALID_REQUEST', 'a batch holds at least one call');
  if (items.length > MAX_BATCH_CALLS) {
    throw new NodeError('TOO_LARGE', `a batch holds at most ${MAX_BATCH_CALLS} calls`, {
      data: { count: items.length },
      hint: 'send several batches',
    });
  }
}

/** @throws NodeError INVALID_REQUEST */
function readRequest(item: unknown): Request {
  const invalid = (what: string): NodeError => new NodeError('INVALID_REQUEST', what);
  if (typeof item !== 'object' || item === null || Array.isArray(item)) throw invalid('a call is an object');
  const { jsonrpc, id, method, params } = item as Record<string, unknown>;
  if (jsonrpc !== '2.0') throw invalid('"jsonrpc" must be "2.0"');
  if (typeof method !== 'string') throw invalid('"method" must be a string');
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') {
    throw invalid('"id" must be a string, a number or null');
  }
  if (params !== undefined && (typeof params !== 'object' || params === null)) {
    throw invalid('"params" must be an object or a list');
  }
  return { id, method, params };
}
