/** Rate limits as every request meets them: before it is read, by what its answer costs, and in headers. */
import type { FastifyRequest } from 'fastify';
import type { MetricsRegister } from '../metrics.ts';
import type { RpcApp } from './app.ts';
import { isNodeError } from '../errors.ts';
import type { Load, RateLimits } from './rate-limits.ts';
import { BYTES_PER_READ } from './rate-limits.ts';

/** What a path costs, perhaps by its query. `calls`: a read, and each further call within it by its own kind. */
export type LoadRule = Load | 'calls' | ((query: Readonly<Record<string, string>>) => Load);

declare module 'fastify' {
  interface FastifyContextConfig {
    load?: LoadRule;
  }
}

export function loadOf(rule: LoadRule | undefined, query: unknown): Load {
  if (typeof rule === 'function') return rule(query as Readonly<Record<string, string>>);
  return rule === undefined || rule === 'calls' ? 'read' : rule;
}

/** Must come after the hook that recognises clients. */
export function guardRates(app: RpcApp, limits: RateLimits, metrics: MetricsRegister): void {
  const refused = metrics.counter({
    name: 'aitbc_rpc_rate_limited_total',
    help: 'Requests refused because their client sends too many, by path',
    labelNames: ['route'],
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { load } = request.routeOptions.config;
    try {
      limits.take(request.client, loadOf(load, request.query));
      limits.spend(request.client, 'read', Math.floor(bytesToRead(request) / BYTES_PER_READ));
      done();
    } catch (error) {
      refused.inc({ route: request.routeOptions.url ?? 'none' });
      done(isNodeError(error) ? error : new Error('the limits failed', { cause: error }));
    }
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    limits.spend(request.client, 'read', Math.floor(sizeOf(request, payload) / BYTES_PER_READ));
    const standing = limits.standing(request.client, loadOf(request.routeOptions.config.load, request.query));
    if (standing) {
      reply.header('ratelimit-limit', String(standing.limit));
      reply.header('ratelimit-remaining', String(standing.remaining));
      reply.header('ratelimit-reset', String(standing.resetS));
    }
    done(null, payload);
  });
}

/** Bytes of a body, of which no more is read than allowed. One that does not say its length counts as the longest. */
export function bytesToRead({ headers, routeOptions }: FastifyRequest): number {
  const { bodyLimit = 0 } = routeOptions;
  if (headers['transfer-encoding'] !== undefined) return bodyLimit;
  return Math.min(bodyLimit, Number(headers['content-length'] ?? 0));
}

/** Bytes of an answer that travel. */
export function sizeOf({ method }: FastifyRequest, payload: unknown): number {
  if (method === 'HEAD') return 0;
  if (typeof payload === 'string') return Buffer.byteLength(payload);
  return payload instanceof Uint8Array ? payload.length : 0;
}
