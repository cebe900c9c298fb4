/** Is the process alive, and is it fit to serve? */
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { flag, NO_STORE, noQuery, strict } from '../app.ts';
import { PROBLEM_TYPE, toProblem } from '../problem.ts';

const ReadyQuery = strict({ verbose: flag });

export function healthRoutes(app: RpcApp, api: NodeApi): void {
  app.get('/livez', { schema: { querystring: noQuery } }, (_request, reply) => {
    reply.header('cache-control', NO_STORE);
    return reply.send({ status: 'ok' });
  });

  app.get('/health', { schema: { querystring: noQuery } }, (_request, reply) => {
    reply.header('cache-control', NO_STORE);
    const { state } = api.status();
    return reply.send({
      status: 'ok',
      state,
      chain_id: api.genesis.chain.chainId,
      height: api.chain.tip().height,
      version: api.node.version,
    });
  });

  app.get('/readyz', { schema: { querystring: ReadyQuery } }, (request, reply) => {
    reply.header('cache-control', NO_STORE);
    const checks = api.readiness();
    const failed = checks.filter(({ ok }) => !ok);
    const verbose = request.query.verbose === '1' && { checks };
    if (failed.length === 0) return reply.send({ status: 'ok', ...verbose });
    const quorum = failed.some(({ name }) => name === 'quorum');
    const error = new NodeError(quorum ? 'NO_QUORUM' : 'SYNCING', failed.map(({ detail }) => detail).join('; '), {
      hint: 'GET /readyz?verbose=1 lists every check',
    });
    return reply
      .code(503)
      .header('retry-after', '1')
      .type(PROBLEM_TYPE)
      .send({
        ...toProblem(error, request.id),
        status: 503,
        errors: failed.map(({ name, detail }) => ({ pointer: `/${name}`, detail })),
        ...verbose,
      });
  });
}
