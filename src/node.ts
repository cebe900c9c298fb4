/**
 * The composition root: what a node is made of, started in this order and stopped in reverse. Nothing else in the
 * program builds these parts.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Json } from './chain/modules/types.ts';
import type { Genesis } from './chain/genesis.ts';
import { parseGenesis } from './chain/genesis.ts';
import type { BatchVerifier } from './chain/crypto/types.ts';
import type { RunningChain } from './chains.ts';
import { openChain } from './chains.ts';
import { systemClock } from './clock.ts';
import type { NodeConfig } from './config.ts';
import { NodeError, toNodeError } from './errors.ts';
import type { Logger } from './log.ts';
import { DEFAULT_MEMPOOL_LIMITS } from './mempool.ts';
import type { ExposedRegister } from './metrics.ts';
import { createRegister } from './metrics.ts';
import { createNativeSigner, nativeCrypto } from './native/crypto.ts';
import { createVerifyPool } from './native/verify-pool.ts';
import type { Host } from './net/host.ts';
import { createHost } from './net/host.ts';
import { createNetMetrics } from './net/metrics.ts';
import { createNodeApi } from './node/api.ts';
import { VERSION } from './version.ts';
import { startMetricsServer } from './rpc/metrics-server.ts';
import { startRpcServer } from './rpc/server.ts';
import { openChainStore } from './store/chain-store.ts';
import type { ChainFolder, DataFolder } from './store/data-folder.ts';
import { openDataFolder } from './store/data-folder.ts';
import type { SignGuard } from './store/guard.ts';
import { openSignGuard } from './store/guard.ts';
import { readKeyFile } from './store/key-file.ts';

export interface NodeOptions {
  readonly home: string;
  readonly config: NodeConfig;
  readonly log: Logger;
}

/** Why a node ended by itself or was told to. */
export interface NodeEnd {
  readonly reason: 'stopped' | 'failed';
  readonly error?: NodeError;
}

export interface RunningNode {
  readonly peerId: string;
  readonly multiaddrs: readonly string[];
  readonly rpcUrl: string;
  readonly chainId: string;
  /** Drains and stops; safe to call again. */
  stop(): Promise<void>;
  /** Resolves when the node has ended, whoever ended it. */
  readonly stopped: Promise<NodeEnd>;
}

/** Parts that must end, newest last. */
type Ends = { readonly name: string; readonly end: () => Promise<void> }[];

/** @throws NodeError with the code that says what is wrong with folder, keys, ports or genesis; then nothing runs */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const ends: Ends = [];
  const { log } = options;
  try {
    return await start(options, ends);
  } catch (error) {
    await endAll(ends, log);
    throw toNodeError(error);
  }
}

async function start({ home, config, log }: NodeOptions, ends: Ends): Promise<RunningNode> {
  const stopping = createStop(ends, log);
  const folder = await openDataFolder(home, { log });
  ends.push({ name: 'data folder', end: () => folder.close() });
  const metrics = await createRegister({ processMetrics: true });
  const verifier = createVerifyPool({ workers: 1, metrics });
  ends.push({ name: 'verification threads', end: () => verifier.close() });

  const chainFolder = await folder.chain(config.chain);
  const { genesis, genesisJson } = await readGenesis(chainFolder, config.chain);
  const host = await openHost(folder, config, log, metrics);
  ends.push({ name: 'network', end: () => host.stop() });
  const chain = await openNodeChain({ chainFolder, genesis, config, log, metrics, verifier }, (error) => {
    stopping.fail(error);
  });
  ends.push({ name: 'chain', end: () => chain.stop() });

  const api = createNodeApi({
    name: config.name,
    version: VERSION,
    chain,
    genesisJson,
    crypto: nativeCrypto,
    host,
    clock: systemClock,
  });
  const rpc = await startRpcServer(config.rpc, { api, log: log.child('rpc') });
  ends.push({ name: 'rpc', end: () => rpc.close() });
  if (config.metrics.listen) {
    const server = await startMetricsServer(config.metrics.listen, metrics, config.rpc.hosts);
    ends.push({ name: 'metrics', end: () => server.close() });
  }

  await chain.start(await host.addChain({ chain: genesis.chain, handlers: chain.handlers }));
  log.info('node is running', {
    chain: config.chain,
    height: chain.ledger.tip.height,
    rpc: rpc.url,
    peer: host.peerId,
  });
  return {
    peerId: host.peerId,
    multiaddrs: host.multiaddrs(),
    rpcUrl: rpc.url,
    chainId: config.chain,
    stop: stopping.stop,
    stopped: stopping.stopped,
  };
}

interface Stopping {
  readonly stop: () => Promise<void>;
  readonly fail: (error: NodeError) => void;
  readonly stopped: Promise<NodeEnd>;
}

function createStop(ends: Ends, log: Logger): Stopping {
  let running: Promise<void> | null = null;
  let resolveStopped: (end: NodeEnd) => void = () => undefined;
  const stopped = new Promise<NodeEnd>((resolve) => {
    resolveStopped = resolve;
  });
  const stop = (end: NodeEnd): Promise<void> => {
    running ??= endAll(ends, log).then(() => {
      resolveStopped(end);
    });
    return running;
  };
  return {
    stop: () => stop({ reason: 'stopped' }),
    fail: (error) => {
      // Not from within the part that fails: it is about to be stopped itself.
      setImmediate(() => {
        stop({ reason: 'failed', error }).catch((failure: unknown) => {
          log.error('stopping failed', { error: toNodeError(failure) });
        });
      });
    },
    stopped,
  };
}

async function endAll(ends: Ends, log: Logger): Promise<void> {
  for (let part = ends.pop(); part; part = ends.pop()) {
    try {
      await part.end();
    } catch (error) {
      log.warn('a part did not stop cleanly', { part: part.name, error: toNodeError(error) });
    }
  }
}

async function readGenesis(folder: ChainFolder, chainId: string): Promise<{ genesis: Genesis; genesisJson: Json }> {
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
  let genesisJson: Json;
  try {
    genesisJson = JSON.parse(text) as Json;
  } catch (error) {
    throw new NodeError('BAD_GENESIS', 'the genesis file is not JSON', {
      data: { path: folder.genesisFile },
      cause: error,
    });
  }
  const genesis = parseGenesis(nativeCrypto, genesisJson);
  if (genesis.chain.chainId !== chainId) {
    throw new NodeError('BAD_GENESIS', `the genesis file is of chain ${genesis.chain.chainId}, not ${chainId}`, {
      data: { path: folder.genesisFile },
    });
  }
  return { genesis, genesisJson };
}

async function openHost(folder: DataFolder, config: NodeConfig, log: Logger, metrics: ExposedRegister): Promise<Host> {
  return createHost({
    privateKeySeed: await readKeyFile(folder.nodeKeyFile),
    listen: config.p2p.listen,
    announce: config.p2p.announce,
    persistentPeers: config.p2p.peers,
    clock: systemClock,
    hasher: nativeCrypto,
    agent: `aitbc/${VERSION}`,
    log: log.child('net'),
    metrics: createNetMetrics(metrics),
  });
}

interface ChainParts {
  readonly chainFolder: ChainFolder;
  readonly genesis: Genesis;
  readonly config: NodeConfig;
  readonly log: Logger;
  readonly metrics: ExposedRegister;
  readonly verifier: BatchVerifier;
}

async function openNodeChain(parts: ChainParts, onFatal: (error: NodeError) => void): Promise<RunningChain> {
  const { chainFolder, genesis, config, log, metrics, verifier } = parts;
  const store = await openChainStore({
    folder: chainFolder.dbFolder,
    chainId: genesis.chain.chainId,
    genesisHash: genesis.chain.genesisHash,
    hasher: nativeCrypto,
    stateCacheEntries: config.store.stateCacheEntries,
    journal: { memory: !config.mempool.journal },
    log: log.child('store'),
    metrics,
  });
  try {
    const signing = await openSigning(parts, store);
    const { consensus, mempool } = config;
    return await openChain(
      {
        timeouts: consensus,
        mempool: { ...DEFAULT_MEMPOOL_LIMITS, maxTxs: mempool.maxTxs, maxBytes: mempool.maxBytes },
      },
      { genesis, crypto: nativeCrypto, verifier, store, signing, clock: systemClock, log, metrics, onFatal },
    );
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openSigning(
  { chainFolder, genesis, config, log }: ChainParts,
  store: Awaited<ReturnType<typeof openChainStore>>,
): Promise<{ signer: ReturnType<typeof createNativeSigner>; guard: SignGuard } | null> {
  if (!config.consensus.sign) return null;
  if (!existsSync(chainFolder.validatorKeyFile)) return null;
  const signer = createNativeSigner(await readKeyFile(chainFolder.validatorKeyFile));
  const { publicKey } = signer;
  const guard = await openSignGuard({
    folder: chainFolder.folder,
    chainId: genesis.chain.chainId,
    genesisHash: genesis.chain.genesisHash,
    publicKey,
    store: { sequence: store.guardSequence(publicKey), height: store.head()?.height ?? 0 },
  });
  const { signAbove } = config.consensus;
  // A flag left in place must not undo what was signed since.
  if (
    signAbove !== null &&
    (guard.signAbove < signAbove || guard.status.kind === 'stale' || guard.status.kind === 'corrupt')
  ) {
    await guard.reset(signAbove);
    log.warn('sign guard reset by the operator', { signAbove });
  }
  return { signer, guard };
}
