/**
 * The composition root: what a node is made of, started in this order and stopped in reverse. Nothing else in the
 * program builds these parts.
 */
import { existsSync } from 'node:fs';
import type { OpenChain } from './chains/chain-set.ts';
import type { RunningChain } from './chains.ts';
import { ChainSet } from './chains/chain-set.ts';
import { systemClock } from './clock.ts';
import type { NodeConfig } from './config.ts';
import { RightOfWay } from './engine/right-of-way.ts';
import type { NodeError } from './errors.ts';
import { toNodeError } from './errors.ts';
import type { Logger } from './log.ts';
import { chainLogger } from './log.ts';
import type { ExposedRegister } from './metrics.ts';
import { chainRegister, createRegister } from './metrics.ts';
import { nativeCrypto } from './native/crypto.ts';
import { nativeLinkCrypto } from './native/link-crypto.ts';
import type { VerifyPool } from './native/verify-pool.ts';
import { createVerifyPool } from './native/verify-pool.ts';
import type { Host } from './net/host.ts';
import { createHost } from './net/host.ts';
import { createNetMetrics } from './net/metrics.ts';
import { createNodeApi } from './node/api.ts';
import { ClientMarkets } from './node/client-market.ts';
import { openAccess } from './node/access.ts';
import { warnOfExposure } from './node/exposure.ts';
import type { NodeMiner } from './node/miner.ts';
import { startNodeMiner } from './node/miner.ts';
import { openFaucet } from './node/faucet.ts';
import { METRIC_ALIASES } from './node/metric-aliases.ts';
import { openMinerControl } from './node/miner-control.ts';
import { openNodeChain } from './node/open-chain.ts';
import { startStatusLines } from './node/status-line.ts';
import { VERSION } from './version.ts';
import { startAdminServer } from './rpc/admin-server.ts';
import { startMetricsServer } from './rpc/metrics-server.ts';
import type { FaucetApi } from './rpc/api.ts';
import { startRpcServer } from './rpc/server.ts';
import type { DataFolder } from './store/data-folder.ts';
import { chainFolderOf, openDataFolder } from './store/data-folder.ts';
import { readKeyFile } from './store/key-file.ts';

export interface NodeOptions {
  readonly home: string;
  readonly config: NodeConfig;
  readonly log: Logger;
}

export interface RunningNode {
  readonly peerId: string;
  readonly multiaddrs: readonly string[];
  readonly rpcUrl: string;
  /** Those that run, of the configured ones. */
  readonly chainIds: readonly string[];
  /** Takes over what can change while it runs: see `RELOADED` of src/config/reload.ts. */
  reload(config: NodeConfig): void;
  /** Drains and stops; safe to call again. */
  stop(): Promise<void>;
}

/** Parts that must end, newest last. */
type Ends = { readonly name: string; readonly end: () => Promise<void> }[];

/**
 * A chain that cannot be started is reported and left out: the node runs while one chain could be started.
 *
 * @throws NodeError with the code that says what is wrong with folder, keys or ports, or with the first chain when none
 *   can be started; then nothing runs
 */
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
  const folder = await openDataFolder(home, { log });
  ends.push({ name: 'data folder', end: () => folder.close() });
  const metrics = await createRegister({ processMetrics: true, aliases: config.metrics.compat ? METRIC_ALIASES : [] });
  const verifyPool = createVerifyPool({ workers: 1, metrics });
  ends.push({ name: 'verification threads', end: () => verifyPool.close() });
  const host = await openHost(folder, config, log, metrics);
  ends.push({ name: 'network', end: () => host.stop() });

  const markets = new ClientMarkets();
  const faucets = new WeakMap<RunningChain, FaucetApi>();
  const chains = createChains({ folder, config, log, metrics, verifyPool, host }, markets, faucets);
  ends.push({ name: 'chains', end: () => chains.close() });
  await chains.openAll();
  const api = createNodeApi({
    name: config.name,
    version: VERSION,
    chains,
    crypto: nativeCrypto,
    host,
    clock: systemClock,
    faucetOf: (chain) => faucets.get(chain) ?? null,
    jobsOf: (chain) => markets.of(chain),
  });
  const miner = openMinerControl({
    ...{ config, chains, log },
    start: (chainId, open, onFatal) =>
      startMiner({ folder, config, log, metrics, verifyPool, host }, chainId, open, onFatal),
  });
  warnOfExposure(api, config.rpc.listen, log);
  const { access, keys, ledger } = await openAccess(folder, config, log.child('access'));
  ends.push({ name: 'budgets', end: () => ledger.close() });
  const rpc = await startRpcServer(config.rpc, { api, log: log.child('rpc'), metrics, access });
  ends.push({ name: 'rpc', end: () => rpc.close() });
  if (config.admin.socket !== 'off') {
    const socket = config.admin.socket || folder.adminSocket;
    const admin = await startAdminServer(socket, { api, keys, miner, log: log.child('admin') });
    ends.push({ name: 'admin socket', end: () => admin.close() });
  }
  if (config.metrics.listen) {
    const server = await startMetricsServer(config.metrics.listen, metrics, config.rpc.hosts);
    ends.push({ name: 'metrics', end: () => server.close() });
  }
  await chains.joinAll();
  ends.push({ name: 'miner', end: () => miner.close() });
  await miner.start();
  const endStatusLines = startStatusLines(api, systemClock, log);
  ends.push({ name: 'status lines', end: () => Promise.resolve(endStatusLines()) });

  const chainIds = chains.list().flatMap(({ chainId, state }) => (state === 'running' ? [chainId] : []));
  log.info('node is running', { chains: chainIds, rpc: rpc.url, peer: host.peerId });
  let stopping: Promise<void> | null = null;
  return {
    peerId: host.peerId,
    multiaddrs: host.multiaddrs(),
    rpcUrl: rpc.url,
    chainIds,
    reload: (next) => {
      rpc.setRates(next.rpc.rates);
    },
    stop: () => (stopping ??= endAll(ends, log)),
  };
}

interface ChainsParts {
  readonly folder: DataFolder;
  readonly config: NodeConfig;
  readonly log: Logger;
  readonly metrics: ExposedRegister;
  readonly verifyPool: VerifyPool;
  readonly host: Host;
}

function createChains(
  { folder, config, log, metrics, verifyPool, host }: ChainsParts,
  markets: ClientMarkets,
  faucets: WeakMap<RunningChain, FaucetApi>,
): ChainSet {
  const rightOfWay = new RightOfWay(systemClock);
  const chains: ChainSet = new ChainSet(config.chains, {
    exists: (chainId) => existsSync(chainFolderOf(folder.home, chainId).genesisFile),
    open: async (chainId, onFatal) =>
      openNodeChain({
        folder: await folder.chain(chainId),
        chainId,
        config,
        log: chainLogger(log, chainId),
        metrics: chainRegister(metrics, chainId),
        verifier: verifyPool.share(chainId),
        chains: () => chains.running,
        way: rightOfWay.share(),
        onFatal,
      }),
    join: ({ genesis, handlers }) => host.addChain({ chain: genesis.chain, handlers }),
    beside: async (open) => {
      const { chainId } = open.chain.genesis.chain;
      const faucet = await openFaucet(open.chain, config, systemClock, chainLogger(log, chainId).child('faucet'));
      if (faucet) faucets.set(open.chain, faucet);
      return markets.start(open, {
        config,
        folder: await folder.chain(chainId),
        verifier: verifyPool.share(chainId),
        log: chainLogger(log, chainId).child('market'),
        metrics: chainRegister(metrics, chainId),
      });
    },
    onClosed: (chainId) => metrics.forget('chain', chainId),
    log,
  });
  return chains;
}

async function startMiner(
  { folder, config, log, metrics, verifyPool, host }: ChainsParts,
  chainId: string,
  { chain }: OpenChain,
  onFatal: (error: NodeError) => void,
): Promise<NodeMiner> {
  return startNodeMiner({
    home: folder.home,
    folder: await folder.chain(chainId),
    ...{ chain, config, onFatal },
    verifier: verifyPool.share(chainId),
    place: () => ({ peer: host.peerId, addresses: host.multiaddrs() }),
    log: chainLogger(log, chainId).child('miner'),
    metrics: chainRegister(metrics, chainId),
  });
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

async function openHost(folder: DataFolder, config: NodeConfig, log: Logger, metrics: ExposedRegister): Promise<Host> {
  return createHost({
    privateKeySeed: await readKeyFile(folder.nodeKeyFile),
    listen: config.p2p.listen,
    announce: config.p2p.announce,
    mdns: config.p2p.mdns,
    relay: config.p2p.relay,
    relays: config.p2p.relays,
    relayLimits: { maxStrangers: config.p2p.relayStrangers, strangerCircuit: config.p2p.relayCircuit },
    persistentPeers: config.p2p.peers,
    clock: systemClock,
    hasher: nativeCrypto,
    linkCrypto: nativeLinkCrypto,
    agent: `aitbc/${VERSION}`,
    log: log.child('net'),
    metrics: createNetMetrics(metrics),
  });
}
