/** Looking at the folder of a node, and into its database while the node does not run. */
import { open, readdir, stat, statfs, unlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../bytes.ts';
import type { NodeConfig } from '../../config.ts';
import { homeLayout } from '../../config/home.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import { nopLogger } from '../../log.ts';
import { StoppedChain } from '../../node/stopped-chain.ts';
import { chainFolderOf } from '../../store/data-folder.ts';
import { readKeyFile } from '../../store/key-file.ts';
import { storageError } from '../../store/storage-error.ts';
import { isEncrypted, readStoreKey, storeKeySource } from '../../store/store-key.ts';
import { readGenesisFile } from '../genesis-file.ts';
import type { DiskFacts, ExposedFile, Fault, HomeFacts, StoppedFacts } from './facts.ts';
import { isTaken, probePeers, tcpTarget } from './probe-network.ts';
import { faultOf } from './probe-node.ts';

const SYNC_TRIES = 5;
const SYNC_BYTES = 4096;
const OPEN_TO_OTHERS = 0o077;
/** Files of one folder looked at. */
const MAX_FILES = 1_024;

export interface HomeProbe {
  readonly path: string;
  readonly chainId: string;
  readonly config: NodeConfig;
  /** Whether the node of this home answers: then its database is left alone. */
  readonly isRunning: boolean;
}

/** Nothing is thrown: what cannot be looked at is a fault among the others. */
export async function probeHome({ path, chainId, config, isRunning }: HomeProbe): Promise<HomeFacts> {
  const { genesis } = homeLayout(path, chainId);
  const chain = await readGenesisFile(genesis, chainId).catch(faultOf);
  const isGenesis = chain !== null && 'chain' in chain;
  const missing: Fault = {
    code: 'CONFIG',
    message: `the genesis of ${chainId} is missing: ${genesis}`,
    hint: `aitbc init --home ${path} --genesis FILE`,
  };
  return {
    path,
    keys: await probeKeys(path, chainId, config),
    exposed: await exposedFiles(path, config.chains),
    disk: await probeDisk(path, config.store.minFreeBytes),
    genesisHash: isGenesis ? toHex(chain.chain.genesisHash) : null,
    genesis: isGenesis ? null : (chain ?? missing),
    namedPeers: await probePeers(config.p2p.peers),
    stopped: isRunning ? null : await probeStopped(path, chainId, config),
  };
}

async function probeKeys(path: string, chainId: string, config: NodeConfig): Promise<Fault[]> {
  const { nodeKey, validatorKey, storeKey } = homeLayout(path, chainId);
  const tries: Promise<Uint8Array>[] = [readKeyFile(nodeKey)];
  if (existsSync(validatorKey)) tries.push(readKeyFile(validatorKey));
  if (isEncrypted(config.store, chainId)) {
    tries.push(readStoreKey(storeKeySource(config.store, storeKey, process.env)));
  }
  const results = await Promise.allSettled(tries);
  return results.flatMap((result) => {
    if (result.status === 'rejected') {
      // Those that others may read are told apart.
      const { reason } = result as { readonly reason: unknown };
      return isNodeError(reason) && reason.data['mode'] !== undefined ? [] : [faultOf(reason)];
    }
    result.value.fill(0);
    return [];
  });
}

async function exposedFiles(home: string, chainIds: readonly string[]): Promise<ExposedFile[]> {
  const { keystore } = homeLayout(home, '');
  const identity = await filesOf(join(home, 'identity'));
  const keys = chainIds.map((chainId) => homeLayout(home, chainId).validatorKey);
  const wallets = await filesOf(keystore);
  const looks = [
    ...[...identity, ...keys].map((path) => ({ path, isWallet: false })),
    ...wallets.map((path) => ({ path, isWallet: true })),
  ];
  const found = await Promise.all(
    looks.map(async ({ path, isWallet }) => {
      const mode = await stat(path).then(
        (stats) => stats.mode & 0o777,
        () => 0,
      );
      return { path, mode, isWallet };
    }),
  );
  return found.filter(({ mode }) => (mode & OPEN_TO_OTHERS) !== 0);
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .slice(0, MAX_FILES)
    .map(({ name }) => join(folder, name));
}

async function probeDisk(path: string, minFreeBytes: number): Promise<DiskFacts> {
  let freeBytes = 0;
  try {
    const { bavail, bsize } = await statfs(path);
    freeBytes = bavail * bsize;
    return { freeBytes, minFreeBytes, syncMs: await syncTime(path), write: null };
  } catch (error) {
    return { freeBytes, minFreeBytes, syncMs: null, write: faultOf(storageError(error, 'write into the home', path)) };
  }
}

/** Median over a few writes to a file of its own. */
async function syncTime(folder: string): Promise<number> {
  const path = join(folder, `doctor-${process.pid}.tmp`);
  const file = await open(path, 'w', 0o600);
  const times: number[] = [];
  try {
    for (let i = 0; i < SYNC_TRIES; i++) {
      const startMs = performance.now();
      await file.write(new Uint8Array(SYNC_BYTES), 0, SYNC_BYTES, i * SYNC_BYTES);
      await file.datasync();
      times.push(performance.now() - startMs);
    }
  } finally {
    await file.close();
    await unlink(path);
  }
  return times.sort((a, b) => a - b)[Math.floor(SYNC_TRIES / 2)] ?? 0;
}

async function probeStopped(path: string, chainId: string, config: NodeConfig): Promise<StoppedFacts> {
  const data = await probeDatabase(path, chainId, config);
  return { ...data, takenPorts: data.isLocked ? [] : await takenPorts(config) };
}

async function probeDatabase(
  home: string,
  chainId: string,
  config: NodeConfig,
): Promise<Omit<StoppedFacts, 'takenPorts'>> {
  const nothing = { isLocked: false, isForeign: false, data: null, head: null, guard: null };
  if (!existsSync(chainFolderOf(home, chainId).dbFolder)) return nothing;
  if ((await stat(home)).uid !== process.getuid?.()) return { ...nothing, isForeign: true };
  try {
    const chain = await StoppedChain.open({ home, chainId, config, log: nopLogger });
    try {
      const head = chain.store.head();
      return {
        ...nothing,
        head: head && { height: head.height, timeMs: head.header.timeMs },
        guard: (await chain.signingAdvice()) ?? null,
      };
    } finally {
      await chain.close();
    }
  } catch (error) {
    if (isNodeError(error) && error.code === 'DATA_LOCKED') return { ...nothing, isLocked: true };
    return { ...nothing, data: faultOf(error instanceof NodeError ? error : storageError(error, 'open', home)) };
  }
}

async function takenPorts({ rpc, metrics, p2p }: NodeConfig): Promise<{ option: string; port: number }[]> {
  const listens = [
    { option: 'rpc.listen', target: rpc.listen },
    { option: 'metrics.listen', target: metrics.listen },
    ...p2p.listen.map((address) => ({ option: 'p2p.listen', target: tcpTarget(address) })),
  ];
  const taken: { option: string; port: number }[] = [];
  for (const { option, target } of listens) {
    if (target && (await isTaken(target))) taken.push({ option, port: target.port });
  }
  return taken;
}
