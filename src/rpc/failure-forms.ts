/** What a failure looks like to clients that were made for other servers: the same code and hint, in their shape. */
import type { FailureForm } from './operation.ts';
import type { Problem } from './problem.ts';
import { PROBLEM_TYPE } from './problem.ts';

const JSON_TYPE = 'application/json';

/** By status; what clients of OpenAI branch on besides. */
const OPENAI_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  429: 'rate_limit_error',
};

export function typeOfFailures(form: FailureForm): string {
  return form === 'problem' ? PROBLEM_TYPE : JSON_TYPE;
}

export function failureBody(form: FailureForm, problem: Problem): object {
  switch (form) {
    case 'problem':
      return problem;
    case 'openai':
      return openAiFailure(problem);
    case 'ollama':
      return ollamaFailure(problem);
  }
}

export function openAiFailure(problem: Problem) {
  const { code, status, retryable, hint, data, instance } = problem;
  return {
    error: {
      message: sentence(problem),
      type: OPENAI_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error'),
      param: paramOf(problem),
      code,
      retryable,
      instance,
      ...(hint !== undefined && { hint }),
      ...(data && { data }),
    },
  };
}

export function ollamaFailure(problem: Problem) {
  const { code, retryable, hint, data, instance } = problem;
  return {
    error: sentence(problem),
    code,
    retryable,
    instance,
    ...(hint !== undefined && { hint }),
    ...(data && { data }),
  };
}

/** Their clients show the message alone. */
function sentence({ detail, hint, errors = [] }: Problem): string {
  const faults = errors.map((fault) => `${fault.pointer || '/'}: ${fault.detail}`).join('; ');
  return [detail, faults === '' ? null : `(${faults})`, hint === undefined ? null : `— ${hint}`]
    .filter((part) => part !== null)
    .join(' ');
}

function paramOf({ errors = [] }: Problem): string | null {
  const pointer = errors[0]?.pointer ?? '';
  return pointer === '' ? null : pointer.slice(1).replaceAll('/', '.');
}
