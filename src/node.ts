/**
 * The composition root: what a node is made of, started in this order and stopped in reverse. Nothing else in the
 * program builds these parts.
 */
import { systemClock } from './clock.ts';
import type { NodeConfig } from './config.ts';
import type { NodeError } from './errors.ts';
import { toNodeError } from './errors.ts';
import type { Logger } from './log.ts';
import type { ExposedRegister } from './metrics.ts';
import { createRegister } from './metrics.ts';
import { nativeCrypto } from './native/crypto.ts';
import { createVerifyPool } from './native/verify-pool.ts';
import type { Host } from './net/host.ts';
import { createHost } from './net/host.ts';
import { createNetMetrics } from './net/metrics.ts';
import { createNodeApi } from './node/api.ts';
import { openNodeChain } from './node/open-chain.ts';
import { VERSION } from './version.ts';
import { startMetricsServer } from './rpc/metrics-server.ts';
import { startRpcServer } from './rpc/server.ts';
import type { DataFolder } from './store/data-folder.ts';
import { openDataFolder } from './store/data-folder.ts';
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
  const host = await openHost(folder, config, log, metrics);
  ends.push({ name: 'network', end: () => host.stop() });
  const { chain, genesisJson } = await openNodeChain({
    folder: chainFolder,
    chainId: config.chain,
    config,
    log,
    metrics,
    verifier,
    onFatal: stopping.fail,
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

  await chain.start(await host.addChain({ chain: chain.genesis.chain, handlers: chain.handlers }));
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
