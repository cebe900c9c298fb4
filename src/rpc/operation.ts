/**
 * What can be asked of a node: one operation is one path over HTTP and, where it has method names, JSON-RPC methods too.
 * Its schemas validate what comes in, and are what OpenAPI and OpenRPC show.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Static, TObject, TSchema } from 'typebox';
import type { ErrorCode } from '../errors.ts';
import type { ScopeRule } from './access/guard.ts';
import type { Principal } from './access/principal.ts';
import type { Client } from './clients.ts';
import type { LoadRule } from './rate-guard.ts';
import type { Load } from './rate-limits.ts';

/** What is asked. Everything but the body is text, as in a URL. */
export interface Input<Params, Query> {
  readonly params: Params;
  readonly query: Query;
  /** Checked against one of the forms; bytes where `binary` is taken. */
  readonly body: unknown;
  readonly requestId: string;
  readonly principal: Principal;
  readonly client: Client;
  readonly headers: IncomingHttpHeaders;
  /** Under which the node was asked, with the port; one of its own names. */
  readonly host: string;
  /** Aborts when the client has gone. */
  readonly gone: () => AbortSignal;
  /** For what asks several things at once: each of them. @throws NodeError RATE_LIMITED */
  readonly take: (load: Load) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Content type when it is not JSON by the application. */
  readonly type: string | null;
  /** Of what never changes; null: not to be stored. */
  readonly etag: string | null;
  /** Called once, and not at all when the client has the answer already. What is `Pieces` is sent as it comes. */
  body(): unknown;
}

/** An answer that comes in pieces, each made when the client has read what was before. It tells its failures itself. */
export class Pieces {
  readonly pieces: AsyncIterable<string>;

  constructor(pieces: AsyncIterable<string>) {
    this.pieces = pieces;
  }
}

/** One form of a body: the one meant by a body that has `key`; the last form of a list has none. */
export interface BodyForm {
  readonly key: string | null;
  readonly schema: TSchema;
}

export interface Body {
  readonly forms: readonly BodyForm[];
  /** Also taken as application/octet-stream; what the bytes are. */
  readonly binary?: string;
  /** Handed on as text, unread: failures to read it are the operation's own to tell. */
  readonly isRaw?: boolean;
  readonly maxBytes: number;
}

export interface BodyParam {
  readonly name: string;
  readonly schema: TSchema;
  toBody(value: unknown): unknown;
}

export interface AnswerDoc {
  readonly description: string;
  /** null: without content. */
  readonly schema: TSchema | null;
  /** application/json when absent. */
  readonly type?: string;
  /** Content type of the same in pieces, where it can be had so. */
  readonly inPieces?: string;
}

/** What failures look like: problem documents, or what clients of other servers read. */
export type FailureForm = 'problem' | 'openai' | 'ollama';

interface OperationBase {
  /** JSON-RPC methods of the same content, the first one its own name; none: over HTTP alone. */
  readonly methods: readonly string[];
  readonly verb: 'GET' | 'POST' | 'DELETE';
  /** Parameters as in `/rpc/blocks/:height`. */
  readonly path: string;
  readonly summary: string;
  readonly body?: Body;
  /** What stands for the body among the params of JSON-RPC. */
  readonly bodyParam?: BodyParam;
  /** By status. */
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** All codes it can fail with. */
  readonly errors: readonly ErrorCode[];
  /** Deprecated when there: the path to use in its place; null: there is none. */
  readonly successor?: string | null;
  /** What it costs the node; a plain read when absent. */
  readonly load?: LoadRule;
  /** What an API key must be for; null: none is asked for. */
  readonly scope: ScopeRule;
  /** The answer may take as long as a job does, or come in pieces: silence does not end the connection, and there is no HEAD. */
  readonly isLong?: boolean;
  /** What its failures look like; problem documents when absent. */
  readonly failures?: FailureForm;
  /** How many things of its kind a body asks for; one when absent. */
  readonly countOf?: (body: unknown) => number;
}

/** What a document says of a path; those that are no operations, such as WebSockets, are described alone. */
export interface Described extends OperationBase {
  readonly params: TObject;
  readonly query: TObject;
}

export interface Operation extends Described {
  handle(input: Input<Readonly<Record<string, string>>, Readonly<Record<string, string>>>): Answer | Promise<Answer>;
}

interface OperationSpec<P extends TObject, Q extends TObject> extends Omit<OperationBase, 'scope'> {
  /** `read` for GET and `submit` for POST when absent. */
  readonly scope?: ScopeRule;
  readonly params: P;
  readonly query: Q;
  handle(input: Input<Static<P>, Static<Q>>): Answer | Promise<Answer>;
}

/** Of every operation: a foreign Host, parameters that are not as they should be, too many requests. */
const ALWAYS: readonly ErrorCode[] = ['FORBIDDEN', 'INVALID_PARAMS', 'RATE_LIMITED'];
/** Of every operation whose request has a body: content type, size. */
const OF_BODY: readonly ErrorCode[] = ['INVALID_REQUEST', 'TOO_LARGE'];
/** Of what asks one chain. */
export const OF_CHAIN: readonly ErrorCode[] = ['UNKNOWN_CHAIN', 'CHAIN_STOPPED', 'INTERNAL'];
/** Of what reads blocks or state. */
export const OF_STORE: readonly ErrorCode[] = ['STORAGE', 'CORRUPT'];

/** Checks nothing: it lets the schemas give `handle` its types. */
export function operation<P extends TObject, Q extends TObject>(spec: OperationSpec<P, Q>): Operation {
  return { ...(spec as unknown as Operation), ...describe(spec) };
}

type Description = Omit<Described, 'scope'> & { readonly scope?: ScopeRule };

/** With the failures and the scope that it has without saying so. */
export function describe(spec: Description): Described {
  const errors = new Set([...ALWAYS, ...(spec.verb === 'GET' ? [] : OF_BODY), ...spec.errors]);
  if (spec.verb !== 'GET' && spec.body?.isRaw !== true) errors.add('PARSE_ERROR');
  const scope = spec.scope === undefined ? (spec.verb === 'GET' ? 'read' : 'submit') : spec.scope;
  if (scope !== null) errors.add('UNAUTHENTICATED');
  return { ...spec, scope, errors: [...errors].sort() };
}

/** What may be different the next time. */
export function fresh(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, type: null, etag: null, body: () => body };
}

/** What is final. @param tag of exactly this content, without quotes @param body made only when it must be sent */
export function final(tag: string, body: () => unknown): Answer {
  return { status: 200, headers: {}, type: null, etag: `"${tag}"`, body };
}
