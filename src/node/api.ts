/** The node as its interfaces see it: NodeApi over its chains and the host. */
import type { HeldChain, ChainSet, OpenChain } from '../chains/chain-set.ts';
import { NodeError } from '../errors.ts';
import type { ChainApi, ChainSummary, NodeApi } from '../rpc/api.ts';
import type { ChainApiModules } from './chain-api.ts';
import { createChainApi } from './chain-api.ts';

export interface ApiModules extends ChainApiModules {
  readonly chains: ChainSet;
}

export function createNodeApi({ chains, ...around }: ApiModules): NodeApi {
  const apis = new WeakMap<OpenChain, ChainApi>();
  const apiOf = (open: OpenChain): ChainApi => {
    const api = apis.get(open) ?? createChainApi(around, open);
    apis.set(open, api);
    return api;
  };
  const summary = ({ chainId, state, error, open }: HeldChain): ChainSummary => {
    const isDefault = chainId === chains.defaultChainId;
    return { chainId, isDefault, state, error, api: open && apiOf(open) };
  };
  return {
    name: around.name,
    version: around.version,
    peerId: around.host.peerId,
    chains: () => chains.list().map(summary),
    chain: (chainId = chains.defaultChainId) => {
      const held = chains.get(chainId);
      if (held.open) return apiOf(held.open);
      throw notOpen(held, chains);
    },
    startChain: (chainId) => chains.start(chainId),
    stopChain: (chainId) => chains.stop(chainId),
  };
}

function notOpen({ chainId, state, error }: HeldChain, chains: ChainSet): NodeError {
  const running = chains.list().flatMap((held) => (held.open ? [held.chainId] : []));
  const why = error ? `failed with ${error.code}: ${error.message}` : `is ${state} on this node`;
  return new NodeError('CHAIN_STOPPED', `chain ${chainId} ${why}`, {
    data: { chain_id: chainId, state, code: error?.code ?? null, running: running.join(', ') },
    hint: state === 'starting' ? 'ask again shortly' : `its operator starts it with: aitbc chain start ${chainId}`,
  });
}
