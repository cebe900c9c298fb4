/** Is the process alive, and is it fit to serve? */
import { NodeError } from '../../errors.ts';
import type { ChainSummary, NodeApi, ReadinessCheck } from '../api.ts';
import { chainQuery, flag, noQuery, strict } from '../app.ts';
import type { Answer, Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { PROBLEM_TYPE, toProblem } from '../problem.ts';
import { Alive, Health, NotReady, Ready } from '../schemas.ts';

interface ChainCheck extends ReadinessCheck {
  readonly chain_id: string;
}

export function healthOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: [],
      verb: 'GET',
      scope: null,
      path: '/livez',
      summary: 'Whether the process answers',
      params: strict({}),
      query: noQuery,
      answers: { 200: { description: 'It does', schema: Alive } },
      errors: [],
      handle: () => fresh({ status: 'ok' }),
    }),
    operation({
      methods: ['health'],
      verb: 'GET',
      scope: null,
      path: '/health',
      summary: 'What each chain does; 200 while the process answers',
      params: strict({}),
      query: noQuery,
      answers: { 200: { description: 'State and height of each chain', schema: Health } },
      errors: ['INTERNAL', 'STORAGE'],
      handle: () => {
        const chains = node.chains().map(healthView);
        const { chain_id, state, height } = chains[0] ?? { chain_id: null, state: null, height: null };
        return fresh({ status: 'ok', state, chain_id, height, version: node.version, chains });
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      scope: null,
      path: '/readyz',
      summary: 'Whether every chain that shall run is fit to serve',
      params: strict({}),
      query: chainQuery({ verbose: flag }),
      answers: {
        200: { description: 'Fit to serve', schema: Ready },
        503: { description: 'Not fit to serve: the failed checks', schema: NotReady, type: PROBLEM_TYPE },
      },
      errors: ['INTERNAL', 'STORAGE', 'UNKNOWN_CHAIN', 'CHAIN_STOPPED', 'NO_QUORUM', 'SYNCING'],
      handle: ({ query, requestId }) => readiness(node, query.chain_id, query.verbose === '1', requestId),
    }),
  ];
}

/** @throws NodeError UNKNOWN_CHAIN | CHAIN_STOPPED for a chain asked for by name */
function readiness(node: NodeApi, wanted: string | undefined, isVerbose: boolean, requestId: string): Answer {
  if (wanted !== undefined) node.chain(wanted);
  const checks = node
    .chains()
    .filter(({ chainId }) => wanted === undefined || chainId === wanted)
    .flatMap(checksOf);
  const failed = checks.filter(({ ok }) => !ok);
  const verbose = isVerbose && { checks };
  if (failed.length === 0) return fresh({ status: 'ok', ...verbose });
  const detail = failed.map((check) => `${check.chain_id}: ${check.detail}`).join('; ');
  const error = new NodeError(codeOf(failed), detail, { hint: 'GET /readyz?verbose=1 lists every check' });
  const body = {
    ...toProblem(error, requestId),
    status: 503,
    errors: failed.map(({ chain_id, name, detail: what }) => ({ pointer: `/${chain_id}/${name}`, detail: what })),
    ...verbose,
  };
  return { ...fresh(body, 503, { 'retry-after': '1' }), type: PROBLEM_TYPE };
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
