/** The miner of a node: its account, its rows, its back ends, and its way to the chain and to clients. */
import type { BatchVerifier } from '../chain/crypto/types.ts';
import type { RunningChain } from '../chains.ts';
import { systemClock } from '../clock.ts';
import type { Miner } from '../compute/miner/miner.ts';
import { createMiner } from '../compute/miner/miner.ts';
import { parsePrices } from '../compute/miner/prices.ts';
import type { NodeConfig } from '../config.ts';
import { toNodeError } from '../errors.ts';
import type { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { MetricsRegister } from '../metrics.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { nativeSealing } from '../native/sealing.ts';
import type { ChainFolder } from '../store/data-folder.ts';
import { readKeyFile } from '../store/key-file.ts';
import { openRows } from '../store/rows.ts';
import { openExecutors } from './executors.ts';
import { findGpus } from './gpus.ts';
import { createMinerChain } from './miner-chain.ts';
import { keepStaked } from './miner-stake.ts';
import { storeKeyOf } from './open-chain.ts';

export interface NodeMinerParts {
  readonly home: string;
  readonly folder: ChainFolder;
  readonly chain: RunningChain;
  readonly config: NodeConfig;
  readonly verifier: BatchVerifier;
  /** Where other nodes reach this one. */
  readonly place: () => { readonly peer: string; readonly addresses: readonly string[] };
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  readonly onFatal: (error: NodeError) => void;
}

export interface NodeMiner {
  readonly miner: Miner;
  close(): Promise<void>;
}

/** Parts that must end, newest last. */
type Ends = (() => unknown)[];

/** @throws NodeError KEY_FILE | CONFIG | CORRUPT | STORAGE | …; then nothing stays open */
export async function startNodeMiner(parts: NodeMinerParts): Promise<NodeMiner> {
  const ends: Ends = [];
  try {
    return await start(parts, ends);
  } catch (error) {
    await endAll(ends, parts.log);
    throw toNodeError(error);
  }
}

async function start(parts: NodeMinerParts, ends: Ends): Promise<NodeMiner> {
  const { home, folder, chain, config, verifier, place, log, metrics, onFatal } = parts;
  const { miner: options } = config;
  const prices = parsePrices(options.prices);
  const hint = 'make it with: aitbc miner init';
  const signer = createNativeSigner(await readKeyFile(options.keyFile || folder.minerKeyFile, { hint }));
  const { chainId, genesisHash } = chain.genesis.chain;
  const storeKey = await storeKeyOf({ chainId, config, folder });
  const rows = await openRows({ folder: folder.market.miner, chainId, genesisHash, ...(storeKey && { storeKey }) });
  storeKey?.fill(0);
  ends.push(() => rows.close());
  const executors = await openExecutors(options, home, log.child('executors'));
  ends.push(() => executors.close());
  const minerChain = createMinerChain(chain, nativeCrypto);
  const miner = await createMiner(
    {
      name: options.name,
      slots: options.slots,
      region: options.region,
      gpus: options.gpus.length > 0 ? options.gpus : await findGpus(),
      prices,
    },
    {
      chain: minerChain,
      net: {
        place,
        announce: (offer) => {
          chain.market.announce(offer).then(
            (code) => {
              if (code !== 'OK') log.warn('the own offer is none that others would take', { code });
            },
            (error: unknown) => {
              log.warn('an offer was not told', { error: toNodeError(error) });
            },
          );
        },
      },
      rows,
      blobs: {
        shelf: chain.market.blobs,
        ask: (...asked) => chain.market.blobPart(...asked),
        onLie: (peer, reason) => {
          log.warn('a peer gave what is not the input of a job', { peer, reason });
          chain.market.reportLie(peer, reason);
        },
      },
      executors: {
        prepare: (...asked) => executors.prepare(...asked),
        run: (...asked) => executors.run(...asked),
        probe: async (signal) => {
          const { capabilities, failures } = await executors.probe(signal);
          for (const { executor, error } of failures) log.debug('a back end does not answer', { executor, error });
          return capabilities;
        },
      },
      ...{
        signer,
        hasher: nativeCrypto,
        sealing: nativeSealing,
        verifier,
        clock: systemClock,
        random: Math.random,
        log,
        metrics,
        onFatal,
      },
    },
  );
  ends.push(() => miner.close());
  ends.push(await chain.market.attach(miner));
  const clock = systemClock;
  ends.push(
    keepStaked({ chain: minerChain, miner, signer, hasher: nativeCrypto, clock, log, stakeUait: options.stakeUait }),
  );
  const { models } = miner.status();
  log.info('miner is running', { models: models.map(({ kind, model }) => `${kind} ${model}`), slots: options.slots });
  let closing: Promise<void> | null = null;
  return { miner, close: () => (closing ??= endAll(ends, log)) };
}

async function endAll(ends: Ends, log: Logger): Promise<void> {
  for (let end = ends.pop(); end; end = ends.pop()) {
    try {
      await end();
    } catch (error) {
      log.warn('a part of the miner did not stop cleanly', { error: toNodeError(error) });
    }
  }
}
