/** Failures as RFC 9457 problem documents, from the one error table. */
import type { ErrorCode, ErrorData } from '../errors.ts';
import { ERRORS, NodeError, toNodeError } from '../errors.ts';
import type { Fault } from './check.ts';
import { Faults } from './check.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly hint?: string;
  readonly data?: ErrorData;
  readonly errors?: readonly Fault[];
}

/** What fastify and its parsers throw. */
interface FrameworkError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: unknown;
}

export function toProblem(thrown: unknown, requestId: string): Problem {
  const error = fromFramework(thrown);
  const { title, http, retryable } = ERRORS[error.code];
  const errors = error.cause instanceof Faults ? error.cause.list : [];
  return {
    type: `urn:aitbc:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status: http,
    // What failed inside is for the log: it may hold anything.
    detail: error.code === 'INTERNAL' ? 'unexpected failure; the log has it under this request id' : error.message,
    instance: `urn:request:${requestId}`,
    code: error.code,
    retryable,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(Object.keys(error.data).length > 0 && { data: error.data }),
    ...(errors.length > 0 && { errors }),
  };
}

/** Coded errors pass; those of the framework get the code that says the same. */
export function fromFramework(thrown: unknown): NodeError {
  if (thrown instanceof NodeError) return thrown;
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as FrameworkError;
  const wrap = (code: ErrorCode, message: string, hint?: string): NodeError =>
    new NodeError(code, message, { cause: thrown, ...(hint !== undefined && { hint }) });
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return wrap('TOO_LARGE', 'the body is too large', 'send less at once');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return wrap(
        'INVALID_REQUEST',
        'the content type is not supported',
        'use application/json or application/octet-stream',
      );
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return wrap('PARSE_ERROR', 'the body is not JSON');
    default:
  }
  const status = error.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return wrap('INVALID_REQUEST', typeof error.message === 'string' ? error.message : 'the request is not valid');
  }
  return toNodeError(thrown);
}
