/** Operations as routes of the server. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { RpcApp } from './app.ts';
import { IMMUTABLE, NO_STORE } from './app.ts';
import { check, checkBody } from './check.ts';
import { deprecation } from './deprecation.ts';
import type { Answer, Operation } from './operation.ts';
import { Pieces } from './operation.ts';
import { asRead } from './pieces.ts';
import { loadOf } from './rate-guard.ts';
import type { RateLimits } from './rate-limits.ts';

export interface HttpModules {
  readonly limits: RateLimits;
  readonly clock: Clock;
}

export function registerOperations(app: RpcApp, operations: readonly Operation[], modules: HttpModules): void {
  for (const operation of operations) registerOperation(app, operation, modules);
}

function registerOperation(app: RpcApp, operation: Operation, modules: HttpModules): void {
  if (operation.body?.isRaw !== true) {
    addRoute(app, operation, modules);
    return;
  }
  // In a scope of its own, because parsers are of a scope, not of a route.
  void app.register((scope: RpcApp, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, parsed) => {
      parsed(null, text);
    });
    addRoute(scope, operation, modules);
    done();
  });
}

function addRoute(app: RpcApp, operation: Operation, { limits, clock }: HttpModules): void {
  const { verb, path, params, query, body, load, scope, countOf, successor, failures, isLong = false } = operation;
  app.route({
    method: verb,
    url: path,
    ...(body && { bodyLimit: body.maxBytes }),
    ...(isLong && { exposeHeadRoute: false }),
    config: { scope, ...(load && { load }), ...(failures && { failures }) },
    // Before the body is read.
    onRequest: (request, reply, done) => {
      if (successor !== undefined) reply.headers(deprecation(filled(successor, request.params as Params)));
      done();
    },
    handler: async (request, reply) => {
      check(params, request.params, 'path');
      check(query, request.query, 'query');
      if (body && body.isRaw !== true) checkBody(body, request.body);
      if (countOf) limits.spend(request.client, loadOf(load, request.query), countOf(request.body) - 1);
      // The server's own bound is for connections on which nothing is worked on.
      if (isLong) request.raw.socket.setTimeout(0);
      // What asks several things has paid for the first.
      let isPaid = load === 'calls';
      const answer = await operation.handle({
        params: request.params as Params,
        query: request.query as Record<string, string>,
        body: request.body,
        requestId: request.id,
        principal: request.principal,
        client: request.client,
        headers: request.headers,
        host: request.headers.host?.toLowerCase() ?? '',
        gone: () => goneSignal(reply),
        take: (kind) => {
          if (!isPaid || kind !== 'read') limits.take(request.client, kind);
          else isPaid = false;
        },
      });
      return send(request, reply, answer, clock);
    },
  });
}

type Params = Readonly<Record<string, string>>;

/** The path that replaces a deprecated one, with the parameters of the request. */
function filled(successor: string | null, params: Params): string | null {
  return successor && successor.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}

function send(request: FastifyRequest, reply: FastifyReply, answer: Answer, clock: Clock): FastifyReply {
  reply.header('cache-control', answer.etag === null ? NO_STORE : IMMUTABLE).headers(answer.headers);
  if (answer.etag !== null) {
    reply.header('etag', answer.etag);
    if (isHeld(request.headers['if-none-match'], answer.etag)) return reply.code(304).send();
  }
  if (answer.type !== null) reply.type(answer.type);
  const body = answer.body();
  return reply.code(answer.status).send(body instanceof Pieces ? asRead(body.pieces, request, clock) : body);
}

/** RFC 9110 13.1.2: a list of tags, weak ones compared by their value. */
function isHeld(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || ifNoneMatch.trim() === '*';
}

function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (reply.raw.destroyed) gone.abort();
  reply.raw.once('close', () => {
    gone.abort();
  });
  return gone.signal;
}
