/** Is the process alive, and is it fit to serve? */
import { NodeError } from '../../errors.ts';
import type { ChainSummary, NodeApi, ReadinessCheck } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, flag, NO_STORE, noQuery } from '../app.ts';
import { PROBLEM_TYPE, toProblem } from '../problem.ts';

const ReadyQuery = chainQuery({ verbose: flag });

interface ChainCheck extends ReadinessCheck {
  readonly chain_id: string;
}

export function healthRoutes(app: RpcApp, node: NodeApi): void {
  app.get('/livez', { schema: { querystring: noQuery } }, (_request, reply) => {
    reply.header('cache-control', NO_STORE);
    return reply.send({ status: 'ok' });
  });

  app.get('/health', { schema: { querystring: noQuery } }, (_request, reply) => {
    reply.header('cache-control', NO_STORE);
    const chains = node.chains().map(healthView);
    const { chain_id, state, height } = chains[0] ?? { chain_id: null, state: null, height: null };
    return reply.send({ status: 'ok', state, chain_id, height, version: node.version, chains });
  });

  app.get('/readyz', { schema: { querystring: ReadyQuery } }, (request, reply) => {
    reply.header('cache-control', NO_STORE);
    const wanted = request.query.chain_id;
    if (wanted !== undefined) node.chain(wanted);
    const checks = node
      .chains()
      .filter(({ chainId }) => wanted === undefined || chainId === wanted)
      .flatMap(checksOf);
    const failed = checks.filter(({ ok }) => !ok);
    const verbose = request.query.verbose === '1' && { checks };
    if (failed.length === 0) return reply.send({ status: 'ok', ...verbose });
    const detail = failed.map((check) => `${check.chain_id}: ${check.detail}`).join('; ');
    const error = new NodeError(codeOf(failed), detail, { hint: 'GET /readyz?verbose=1 lists every check' });
    return reply
      .code(503)
      .header('retry-after', '1')
      .type(PROBLEM_TYPE)
      .send({
        ...toProblem(error, request.id),
        status: 503,
        errors: failed.map(({ chain_id, name, detail: what }) => ({ pointer: `/${chain_id}/${name}`, detail: what })),
        ...verbose,
      });
  });
}

/** `state` is what the chain does, or why it does nothing. */
function healthView({ chainId, state, api }: ChainSummary) {
  return { chain_id: chainId, state: api ? api.status().state : state, height: api ? api.chain.tip().height : null };
}

/** A chain that an operator stopped is as it shall be; one that failed keeps the node from being ready. */
function checksOf({ chainId, state, error, api }: ChainSummary): ChainCheck[] {
  const runs: ReadinessCheck = {
    name: 'runs',
    ok: state === 'running' || state === 'stopped',
    detail: error ? `failed with ${error.code}: ${error.message}` : `the chain is ${state}`,
  };
  return [runs, ...(api?.readiness() ?? [])].map((check) => ({ chain_id: chainId, ...check }));
}

function codeOf(failed: readonly ChainCheck[]): 'CHAIN_STOPPED' | 'NO_QUORUM' | 'SYNCING' {
  if (failed.some(({ name }) => name === 'runs')) return 'CHAIN_STOPPED';
  return failed.some(({ name }) => name === 'quorum') ? 'NO_QUORUM' : 'SYNCING';
}
