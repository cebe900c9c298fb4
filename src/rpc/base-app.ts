/** What every server here has: bodies, the guard of Host, request ids, failures as problems. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { ERRORS, NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { RpcApp } from './app.ts';
import { failureBody, typeOfFailures } from './failure-forms.ts';
import { logFailure } from './failure-log.ts';
import { isAllowedHost } from './host-guard.ts';
import { parseJsonBody } from './json-body.ts';
import type { FailureForm } from './operation.ts';
import { fromFramework, toProblem } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    failures?: FailureForm;
  }
}

export const MAX_BODY_BYTES = 1024 * 1024;
export const MAX_HEADER_BYTES = 16 * 1024;

/** @param names Host names answered besides loopback ones and addresses */
export function answerRequests(app: RpcApp, names: ReadonlySet<string>, log: Logger): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseJsonBody(body as string));
    } catch (error) {
      done(fromFramework(error));
    }
  });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, new Uint8Array(body as Buffer));
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    done(isAllowedHost(request.headers.host, names) ? undefined : wrongHost(request.headers.host));
  });
  app.setNotFoundHandler((request) => {
    throw new NodeError('METHOD_NOT_FOUND', `there is no ${request.method} ${request.url.slice(0, 200)}`, {
      hint: 'GET /openapi.json lists all paths',
    });
  });
  app.setErrorHandler((error, request, reply) => {
    sendProblem(error, request, reply, log);
  });
}

/** A client's own id is taken up when it is harmless. */
export function requestId(request: { readonly headers: Record<string, string | string[] | undefined> }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const problem = toProblem(error, request.id);
  const { url, config } = request.routeOptions;
  logFailure(log, problem, { request_id: request.id, method: request.method, route: url, error });
  const isPaidFor = problem.data?.['should_retry'] === false;
  if (isPaidFor) reply.header('x-should-retry', 'false');
  else if (ERRORS[problem.code].retryable && (problem.status === 429 || problem.status === 503)) {
    reply.header('retry-after', String(problem.data?.['retry_after_s'] ?? 1));
  }
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="aitbc"');
  const form = config.failures ?? 'problem';
  reply.code(problem.status).header('cache-control', 'no-store').type(typeOfFailures(form));
  void reply.send(failureBody(form, problem));
}

function wrongHost(host: string | undefined): NodeError {
  return new NodeError('FORBIDDEN', 'this server does not answer under the host name of the request', {
    data: { host: (host ?? '').slice(0, 100) },
    hint: 'use the address or localhost, or add the name to rpc.hosts of config.toml',
  });
}
