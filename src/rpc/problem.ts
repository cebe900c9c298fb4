/** Failures as RFC 9457 problem documents, from the one error table. */
import type { ErrorCode, ErrorData } from '../errors.ts';
import { ERRORS, NodeError, toNodeError } from '../errors.ts';

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
  readonly errors?: readonly ProblemDetail[];
}

/** One fault of a request: where (a JSON pointer) and what. */
export interface ProblemDetail {
  readonly pointer: string;
  readonly detail: string;
}

/** What fastify and its parsers throw. */
interface FrameworkError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: unknown;
  readonly validation?: readonly {
    readonly instancePath?: string;
    readonly message?: string;
    readonly params?: object;
  }[];
  readonly validationContext?: string;
}

export function toProblem(thrown: unknown, requestId: string): Problem {
  const error = fromFramework(thrown);
  const { title, http, retryable } = ERRORS[error.code];
  const errors = faultsOf(thrown);
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
  if (error.validation) {
    return wrap('INVALID_PARAMS', `${error.validationContext ?? 'request'} is not as expected`);
  }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return wrap('TOO_LARGE', 'the body is too large', 'send fewer transactions at once');
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

function faultsOf(thrown: unknown): ProblemDetail[] {
  const { validation } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as FrameworkError;
  return (validation ?? []).slice(0, 8).map(({ instancePath = '', message = 'not valid', params = {} }) => {
    const extra = 'additionalProperty' in params ? String(params.additionalProperty).slice(0, 80) : null;
    return { pointer: instancePath, detail: extra === null ? message : `unknown name "${extra}"` };
  });
}
