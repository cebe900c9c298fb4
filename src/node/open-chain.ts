/** A chain opened from its folder: genesis, database, key and sign guard. It runs when it is started. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import type { Genesis } from '../chain/genesis.ts';
import { parseGenesis } from '../chain/genesis.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { ChainModules } from '../chains.ts';
import { openChain } from '../chains.ts';
import type { OpenedChain } from '../chains/chain-set.ts';
import type { Way } from '../engine/right-of-way.ts';
import { systemClock } from '../clock.ts';
import type { NodeConfig } from '../config.ts';
import { openShelf } from '../compute/blobs/shelf.ts';
import { retainedBlocks } from '../engine/pruner.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { DEFAULT_MEMPOOL_LIMITS } from '../mempool.ts';
import type { MetricsRegister } from '../metrics.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { blobFiles } from '../store/blob-files.ts';
import { openChainStore } from '../store/chain-store.ts';
import type { ChainFolder } from '../store/data-folder.ts';
import type { SignGuard } from '../store/guard.ts';
import { openSignGuard } from '../store/guard.ts';
import { settleDatabase } from '../store/rebuild-folder.ts';
import { applySignAbove } from '../store/guard-advice.ts';
import { JoinFolder } from '../store/join-folder.ts';
import { readKeyFile } from '../store/key-file.ts';
import { isEncrypted, readStoreKey, storeKeySource } from '../store/store-key.ts';
import type { ChainStore } from '../store/types.ts';
import { Snapshots } from '../store/snapshots.ts';
import { JoinDocumentFile } from './join-document-file.ts';

/** Sixteen of the largest inputs; none longer than a client may take to upload it, or to come back for its job. */
const BLOB_LIMITS = { maxBytes: 1024 * 1024 * 1024, idleMs: 10 * 60_000 };

export interface ChainParts {
  readonly folder: ChainFolder;
  readonly chainId: string;
  readonly config: NodeConfig;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  readonly verifier: BatchVerifier;
  /** How many chains run on this node. */
  readonly chains: () => number;
  /** Of this chain, among them. */
  readonly way: Way;
  /** The chain cannot go on. */
  readonly onFatal: (error: NodeError) => void;
}

/** @throws NodeError that says what is wrong with genesis, database, key or guard; then nothing stays open */
export async function openNodeChain(parts: ChainParts): Promise<OpenedChain> {
  const { folder, chainId, config, log, metrics, verifier, chains, way, onFatal } = parts;
  const { genesis, genesisJson } = await readGenesis(folder, chainId);
  const store = await openStore(parts, genesis);
  try {
    const signing = await openSigning(parts, genesis, store);
    const joinFolder = new JoinFolder(folder.joinFolder, nativeCrypto, log.child('join'));
    // A crash after a state was in place leaves its chunks.
    if (store.head()) await joinFolder.clear();
    const snapshots = await Snapshots.open({
      folder: folder.snapshotsFolder,
      interval: config.snapshot.interval,
      keep: config.snapshot.keep,
      ...{ hasher: nativeCrypto, clock: systemClock, metrics },
      log: log.child('snapshot'),
    });
    const { joinDocumentFile: path } = folder;
    const joinFile = new JoinDocumentFile({ path, crypto: nativeCrypto, genesis, genesisJson });
    const joinDocument = (): Promise<JsonObject> => joinFile.read(systemClock.now());
    const { consensus, mempool } = config;
    const blobs = await openShelf({
      ...{ bytes: blobFiles(folder.market.blobs, nativeCrypto), hasher: nativeCrypto, clock: systemClock },
      limits: BLOB_LIMITS,
    });
    const chain = await openChain(
      {
        timeouts: consensus,
        retainedBlocks: retainedBlocks(config.store.retainBlocks, genesis.params),
        mempool: { ...DEFAULT_MEMPOOL_LIMITS, maxTxs: mempool.maxTxs, maxBytes: mempool.maxBytes },
      },
      {
        genesis,
        crypto: nativeCrypto,
        verifier,
        store,
        signing,
        snapshots,
        joining: joining(parts, joinFolder),
        joinDocument,
        blobs,
        chains,
        way,
        clock: systemClock,
        log,
        metrics,
        onFatal,
      },
    );
    return { chain, genesisJson, joinDocument };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openStore(parts: ChainParts, genesis: Genesis): Promise<ChainStore> {
  const { folder, config, log, metrics, onFatal } = parts;
  await settleDatabase(folder.dbFolder);
  const storeKey = await storeKeyOf(parts);
  return openChainStore({
    folder: folder.dbFolder,
    chainId: genesis.chain.chainId,
    genesisHash: genesis.chain.genesisHash,
    hasher: nativeCrypto,
    stateCacheEntries: config.store.stateCacheEntries,
    journal: { memory: !config.mempool.journal },
    log: log.child('store'),
    metrics,
    onDamage: onFatal,
    ...(storeKey && { storeKey }),
  }).finally(() => storeKey?.fill(0));
}

/** To be zeroed after use. @returns undefined where nothing is encrypted */
export async function storeKeyOf({
  chainId,
  config,
  folder,
}: Pick<ChainParts, 'chainId' | 'config' | 'folder'>): Promise<Uint8Array | undefined> {
  if (!isEncrypted(config.store, chainId)) return undefined;
  return readStoreKey(storeKeySource(config.store, folder.storeKeyFile, process.env));
}

/** In mode `auto` for nodes that make no snapshots themselves. */
const JOIN_LEAST_BLOCKS = 2_000;

function joining({ chainId, config }: ChainParts, folder: JoinFolder): ChainModules['joining'] {
  const { sync, interval, trusted } = config.snapshot;
  if (sync === 'off') return null;
  return {
    mode: sync,
    leastBlocks: interval > 0 ? 2 * interval : JOIN_LEAST_BLOCKS,
    // One block is of one chain.
    trusted: chainId === config.chains[0] ? trusted : null,
    folder,
  };
}

export async function readGenesis(
  folder: ChainFolder,
  chainId: string,
): Promise<{ genesis: Genesis; genesisJson: Json }> {
  let text: string;
  try {
    text = await readFile(folder.genesisFile, 'utf8');
  } catch (error) {
    throw new NodeError('BAD_GENESIS', `no genesis for chain ${chainId}`, {
      data: { path: folder.genesisFile },
      hint: `run: aitbc init --chain ${chainId} --genesis FILE`,
      cause: error,
    });
  }
  const broken = (message: string, cause?: unknown): NodeError =>
    new NodeError('BAD_GENESIS', message, {
      data: { path: folder.genesisFile },
      hint: `remove that file and run: aitbc init --chain ${chainId} --genesis FILE, with the genesis of the network`,
      cause,
    });
  let genesisJson: Json;
  let genesis: Genesis;
  try {
    genesisJson = JSON.parse(text) as Json;
    genesis = parseGenesis(nativeCrypto, genesisJson);
  } catch (error) {
    throw broken(isNodeError(error) ? error.message : 'the genesis file is not JSON', error);
  }
  if (genesis.chain.chainId !== chainId) {
    throw broken(`the genesis file is of chain ${genesis.chain.chainId}, not ${chainId}`);
  }
  return { genesis, genesisJson };
}

async function openSigning(
  { folder, config, log }: ChainParts,
  genesis: Genesis,
  store: ChainStore,
): Promise<{ signer: ReturnType<typeof createNativeSigner>; guard: SignGuard } | null> {
  if (!config.consensus.sign) return null;
  if (!existsSync(folder.validatorKeyFile)) return null;
  const signer = createNativeSigner(await readKeyFile(folder.validatorKeyFile));
  const { publicKey } = signer;
  const guard = await openSignGuard({
    folder: folder.folder,
    chainId: genesis.chain.chainId,
    genesisHash: genesis.chain.genesisHash,
    publicKey,
    store: { sequence: store.guardSequence(publicKey), height: store.head()?.height ?? 0 },
  });
  const { signAbove } = config.consensus;
  if (signAbove !== null && (await applySignAbove(guard, signAbove))) {
    log.warn('sign guard reset by the operator', { signAbove });
  }
  return { signer, guard };
}
