/** Keys as every request meets them: recognised before it is counted, and asked about once it is. */
import type { FastifyRequest } from 'fastify';
import type { NodeError } from '../../errors.ts';
import { toNodeError } from '../../errors.ts';
import type { MetricsRegister } from '../../metrics.ts';
import type { Scope } from '../../store/api-keys.ts';
import type { RpcApp } from '../app.ts';
import type { Access } from './access.ts';
import { presentedKey } from './presented.ts';
import type { Principal } from './principal.ts';

/** What a path needs; null: nothing, whoever asks. `calls`: each call within it has a scope of its own. */
export type ScopeRule = Scope | 'calls' | null;

declare module 'fastify' {
  interface FastifyRequest {
    /** In whose name it comes. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    scope?: ScopeRule;
  }
}

/** Must come after the hook that recognises clients, and before the rate limits: a key has one of its own. */
export function recogniseKeys(app: RpcApp, access: Access): (request: FastifyRequest) => NodeError | undefined {
  const faults = new WeakMap<FastifyRequest, NodeError>();
  app.decorateRequest('principal');
  app.addHook('onRequest', (request, _reply, done) => {
    request.principal = { kind: 'anonymous', isLocal: request.client.isLocal };
    try {
      const text = presentedKey(request.headers);
      if (text !== null) request.principal = access.authenticate(text);
    } catch (error) {
      faults.set(request, toNodeError(error));
    }
    const { principal } = request;
    if (principal.kind === 'key' && principal.requestsPerMinute !== null) {
      request.client = { ...request.client, quota: { id: principal.id, perMinute: principal.requestsPerMinute } };
    }
    done();
  });
  return (request) => faults.get(request);
}

/** Must come after the rate limits, so that those who guess are counted too. */
export function guardAccess(
  app: RpcApp,
  access: Access,
  faultOf: (request: FastifyRequest) => NodeError | undefined,
  metrics: MetricsRegister,
): void {
  const refused = metrics.counter({
    name: 'aitbc_rpc_access_refused_total',
    help: 'Requests refused for want of an API key that may do this',
    labelNames: ['code'],
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { scope = null } = request.routeOptions.config;
    try {
      if (scope !== null) {
        const fault = faultOf(request);
        if (fault) throw fault;
        if (scope === 'calls') access.admit(request.principal);
        else access.allow(request.principal, scope);
      }
      done();
    } catch (error) {
      const refusal = toNodeError(error);
      refused.inc({ code: refusal.code });
      done(refusal);
    }
  });
}
