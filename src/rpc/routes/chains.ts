/** The chains of this node: a list for everyone; starting and stopping one, for its operator. */
import Type from 'typebox';
import { toHex } from '../../bytes.ts';
import type { ErrorCode, NodeError } from '../../errors.ts';
import { toNodeError } from '../../errors.ts';
import type { ChainApi, ChainSummary, NodeApi } from '../api.ts';
import { noQuery, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { storedBlock } from '../proofs.ts';
import { Chains, ChainSummary as ChainSummarySchema } from '../schemas.ts';

const ChainParams = strict({ id: Type.String({ pattern: '^[a-z0-9._-]{1,32}$' }) });
/** A body is not needed, and not looked at. */
const MAX_BODY_BYTES = 1024;

/** What opening or closing a chain can fail with: its genesis, folder, keys and disk. */
const OF_OPENING: readonly ErrorCode[] = [
  ...(['BAD_GENESIS', 'CONFIG', 'CORRUPT', 'DATA_FOLDER', 'DATA_LOCKED', 'DATA_TOO_NEW', 'GUARD'] as const),
  ...(['KEY_FILE', 'STORAGE', 'UPGRADE_NEEDED', 'WRONG_GENESIS'] as const),
];

export function chainsOperation(node: NodeApi): Operation {
  return operation({
    methods: ['list_chains'],
    verb: 'GET',
    path: '/api/chains',
    summary: 'All chains of the node, whatever their state',
    params: strict({}),
    query: noQuery,
    answers: { 200: { description: 'The chains, the default one first', schema: Chains } },
    errors: ['INTERNAL'],
    handle: () => fresh({ chains: node.chains().map(summaryView) }),
  });
}

/** For the admin socket alone. */
export function chainActOperations(node: NodeApi): Operation[] {
  const acts = {
    start: (chainId: string) => node.startChain(chainId),
    stop: (chainId: string) => node.stopChain(chainId),
  };
  return Object.entries(acts).map(([verb, act]) =>
    operation({
      methods: [],
      verb: 'POST',
      path: `/api/chains/:id/${verb}`,
      scope: null,
      summary: `${verb === 'start' ? 'Starts' : 'Stops'} a chain; answers when it is done`,
      params: ChainParams,
      query: noQuery,
      body: { forms: [], maxBytes: MAX_BODY_BYTES },
      answers: { 200: { description: 'The chain as the list shows it', schema: ChainSummarySchema } },
      errors: ['INTERNAL', 'UNKNOWN_CHAIN', 'CONFLICT', ...OF_OPENING],
      handle: async ({ params: { id } }) => {
        await act(id);
        const held = node.chains().find(({ chainId }) => chainId === id);
        return fresh(held && summaryView(held));
      },
    }),
  );
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
