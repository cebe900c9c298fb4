/**
 * What a node does in the market for those whom it lets in: a coordinator of its own for each chain for which it has a
 * wallet. It starts after the chain and stops before it; a chain without one runs as well.
 */
import type { OpenChain } from '../chains/chain-set.ts';
import type { RunningChain } from '../chains.ts';
import { randomBytes } from 'node:crypto';
import { formatAddress } from '../chain/address.ts';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import { systemClock } from '../clock.ts';
import { MAX_OPENINGS } from '../compute/coordinator/placing.ts';
import type { BlobShelf } from '../compute/blobs/shelf.ts';
import type { Blobs } from '../compute/coordinator/ports.ts';
import { createCoordinator } from '../compute/coordinator/create-coordinator.ts';
import type { NodeConfig } from '../config.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { MetricsRegister } from '../metrics.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { nativeSealing } from '../native/sealing.ts';
import type { JobsApi } from '../rpc/api.ts';
import type { ChainFolder } from '../store/data-folder.ts';
import { openRows } from '../store/rows.ts';
import { createNodeMoney } from './client-money.ts';
import { readMarketKey } from './client-wallet.ts';
import { storeKeyOf } from './open-chain.ts';
import { createNodeReplayer } from './replay.ts';

export interface ClientMarketParts {
  readonly config: NodeConfig;
  readonly folder: ChainFolder;
  readonly verifier: BatchVerifier;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
}

export class ClientMarkets {
  readonly #jobs = new WeakMap<RunningChain, JobsApi>();

  /** Null where the node has no work done. */
  of(chain: RunningChain): JobsApi | null {
    return this.#jobs.get(chain) ?? null;
  }

  /** Never fails: what is wrong is in the log, and the chain runs without. @returns ends it */
  async start({ chain }: OpenChain, parts: ClientMarketParts): Promise<() => Promise<void>> {
    const { log } = parts;
    try {
      const started = await startCoordinator(chain, parts);
      if (!started) return () => Promise.resolve();
      this.#jobs.set(chain, started.jobs);
      return async () => {
        this.#jobs.delete(chain);
        await started.close();
      };
    } catch (error) {
      log.error('this node has no work done for others', { error: toNodeError(error) });
      return () => Promise.resolve();
    }
  }
}

/** @returns null without a wallet @throws NodeError */
async function startCoordinator(
  chain: RunningChain,
  { config, folder, verifier, log, metrics }: ClientMarketParts,
): Promise<{ readonly jobs: JobsApi; readonly close: () => Promise<void> } | null> {
  const { chainId, genesisHash } = chain.genesis.chain;
  const signer = await readMarketKey(config.market, chainId);
  if (!signer) return null;
  const storeKey = await storeKeyOf({ chainId, config, folder });
  const rows = await openRows({
    folder: folder.market.coordinator,
    chainId,
    genesisHash,
    ...(storeKey && { storeKey }),
  });
  storeKey?.fill(0);
  try {
    const money = createNodeMoney({ chain, crypto: nativeCrypto, signer, clock: systemClock });
    const maxFeesUait = MAX_OPENINGS * (await money.terms()).openFeeUait;
    const { maxPriceUait, startMs, executionMs, replayPercent } = config.market;
    const replay = replayPercent > 0 && { replayer: createNodeReplayer(log), sharePercent: replayPercent };
    const coordinator = await createCoordinator({
      ...{ chain: chain.genesis.chain, crypto: nativeCrypto, createSigner: createNativeSigner, verifier },
      ...{ sealing: nativeSealing, miners: chain.market, money, rows, blobs: ownBlobs(chain.market.blobs) },
      ...{ clock: systemClock, random: (count) => new Uint8Array(randomBytes(count)), log, metrics },
      ...(replay && { replay }),
    });
    log.info('this node pays for jobs', { account: formatAddress(money.client) });
    return {
      jobs: { coordinator, options: { maxPriceUait, maxFeesUait, startMs, executionMs } },
      close: async () => {
        await coordinator.close();
        await rows.close();
      },
    };
  } catch (error) {
    await rows.close();
    throw error;
  }
}

/** Miners ask this node itself. */
function ownBlobs(shelf: BlobShelf): Blobs {
  return {
    shelf,
    offer: (root) => {
      if (shelf.isWhole(root)) return Promise.resolve();
      return Promise.reject(new NodeError('NOT_FOUND', 'the input of the job is not all here any more'));
    },
  };
}
