/** The chains of this node: list them; start and stop one, which is for its operator alone. */
import Type from 'typebox';
import { toHex } from '../../bytes.ts';
import type { NodeError } from '../../errors.ts';
import { toNodeError } from '../../errors.ts';
import type { ChainApi, ChainSummary, NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { NO_STORE, noQuery, strict } from '../app.ts';
import type { OperatorGate } from '../operator-gate.ts';
import { storedBlock } from '../proofs.ts';

const ChainParams = strict({ id: Type.String({ pattern: '^[a-z0-9._-]{1,32}$' }) });

export function chainsRoutes(app: RpcApp, node: NodeApi, gate: OperatorGate): void {
  app.get('/api/chains', { schema: { querystring: noQuery } }, (_request, reply) => {
    reply.header('cache-control', NO_STORE);
    return reply.send({ chains: node.chains().map(summaryView) });
  });

  const acts = {
    start: (chainId: string) => node.startChain(chainId),
    stop: (chainId: string) => node.stopChain(chainId),
  };
  for (const [verb, act] of Object.entries(acts)) {
    app.post(
      `/api/chains/:id/${verb}`,
      {
        schema: { params: ChainParams, querystring: noQuery },
        // Before the body is read.
        onRequest: (request, _reply, done) => {
          done(gate.refusal(request.headers.authorization) ?? undefined);
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await act(id);
        const held = node.chains().find(({ chainId }) => chainId === id);
        reply.header('cache-control', NO_STORE);
        return reply.send(held && summaryView(held));
      },
    );
  }
}

/** What cannot be asked has null for all that would be answered. What fails in one chain must not hide the others. */
function summaryView({ chainId, isDefault, state, error, api }: ChainSummary) {
  const head = { chain_id: chainId, default: isDefault, state };
  try {
    return { ...head, error: errorView(error), ...(api ? healthView(api) : NO_HEALTH) };
  } catch (thrown) {
    return { ...head, error: errorView(toNodeError(thrown)), ...NO_HEALTH };
  }
}

function errorView(error: NodeError | null) {
  return error && { code: error.code, message: error.message, hint: error.hint ?? null };
}

const NO_HEALTH = {
  genesis_hash: null,
  height: null,
  hash: null,
  health: null,
  validators_reachable: null,
  validators_total: null,
  quorum: null,
  signing: false,
  not_signing: ['the chain does not run'],
  target_height: null,
  peers: 0,
  pool: { txs: 0, bytes: 0 },
};

function healthView(api: ChainApi) {
  const status = api.status();
  const { height } = api.chain.tip();
  const head = storedBlock(api, height);
  return {
    genesis_hash: toHex(api.genesis.chain.genesisHash),
    height,
    hash: head ? toHex(head.hash) : null,
    health: status.state,
    validators_reachable: status.validatorsReachable,
    validators_total: status.validatorsTotal,
    quorum: status.quorum,
    signing: status.signing,
    not_signing: status.notSigning,
    target_height: status.targetHeight,
    peers: api.peers().length,
    pool: { txs: api.pool.size, bytes: api.pool.bytes },
  };
}
