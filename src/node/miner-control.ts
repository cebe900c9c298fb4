/**
 * The miner of a node, started and stopped with the chain it works for: the default one. A miner that cannot run is reported
 * and left out; the node, and what else it does, goes on.
 */
import type { ChainSet, OpenChain } from '../chains/chain-set.ts';
import type { MinerStatus } from '../compute/miner/status.ts';
import type { NodeConfig } from '../config.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { MinerApi } from '../rpc/api.ts';
import type { NodeMiner } from './miner.ts';

export interface MinerControlModules {
  readonly config: NodeConfig;
  readonly chains: ChainSet;
  readonly log: Logger;
  readonly start: (chainId: string, open: OpenChain, onFatal: (error: NodeError) => void) => Promise<NodeMiner>;
}

export interface MinerControl extends MinerApi {
  /** Does nothing where no miner is wanted. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export function openMinerControl({ config, chains, log, start }: MinerControlModules): MinerControl {
  let running: NodeMiner | null = null;
  let fault: NodeError | null = null;
  const close = async (): Promise<void> => {
    const ended = running;
    running = null;
    await ended?.close();
  };
  const required = (): NodeMiner => {
    if (running) return running;
    throw noMiner(config.miner.enabled, fault);
  };
  return {
    start: async () => {
      const { open, chainId } = chains.get(chains.defaultChainId);
      if (!config.miner.enabled || !open) return;
      try {
        running = await start(chainId, open, (error) => (fault = error));
        open.closed.addEventListener('abort', () => {
          close().catch((error: unknown) => {
            log.warn('the miner did not stop cleanly', { error: toNodeError(error) });
          });
        });
      } catch (error) {
        fault = toNodeError(error);
        log.error('the miner could not be started', { error: fault });
      }
    },
    status: (): MinerStatus => required().miner.status(),
    drain: () => required().miner.drain(),
    close,
  };
}

function noMiner(isEnabled: boolean, fault: NodeError | null): NodeError {
  if (!isEnabled) {
    return new NodeError('NOT_FOUND', 'this node has no miner', { hint: 'aitbc miner init, then aitbc miner start' });
  }
  const why = fault ? `${fault.code}: ${fault.message}` : 'it is starting, or its chain does not run';
  return new NodeError('NOT_FOUND', `the miner of this node does not run: ${why}`, {
    data: { code: fault?.code ?? null },
    hint: fault?.hint ?? 'ask again shortly; aitbc chain list tells whether the chain runs',
  });
}
