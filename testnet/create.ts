/** Makes a cluster's folder: keys, genesis, one home a node. What exists already is never overwritten. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../src/bytes.ts';
import { publicKeyOf } from '../src/chain/crypto/pure.ts';
import type { JsonObject } from '../src/chain/modules/types.ts';
import { NodeError } from '../src/errors.ts';
import {
  LOAD_BALANCE_UAIT,
  addressOfSeed,
  checkLoadAccounts,
  loadAccountSeed,
  namedAccounts,
  operatorName,
} from './accounts.ts';
import { buildGenesis, templateOf } from './genesis.ts';
import { ensureSeed, nodeLayout, loadSeedPath, writePrivate } from './layout.ts';
import type { Manifest, ManifestNode } from './manifest.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { peerIdOfSeed, renderNodeConfig } from './node-config.ts';
import type { NodePorts } from './ports.ts';
import { freePorts, HOST, portsFromBase } from './ports.ts';
import { readSettings, writeSettings } from './settings.ts';
import { quorumOf } from './survival.ts';

export const MAX_NODES = 32;

export interface ClusterOptions {
  /** Absolute. */
  readonly dataDir: string;
  readonly chainId: string;
  readonly validators: number;
  readonly basePort?: number;
  /** Further funded accounts, derived from one seed. Devnets only. */
  readonly loadAccounts?: number;
  /** Genesis parameters that replace the template's. */
  readonly params?: JsonObject;
  /** Genesis time; now when absent. */
  readonly timeMs?: number;
}

/** @throws NodeError USAGE | DATA_FOLDER | DEV_KEY | PORT_IN_USE */
export async function createCluster(options: ClusterOptions): Promise<Manifest> {
  const { dataDir, chainId, validators, loadAccounts = 0 } = options;
  if (!Number.isInteger(validators) || validators < 1 || validators > MAX_NODES) {
    throw new NodeError('USAGE', `--nodes takes 1 to ${MAX_NODES}`);
  }
  if (readManifest(dataDir)) throw new NodeError('DATA_FOLDER', `${dataDir} holds a cluster already`);
  checkLoadAccounts(chainId, loadAccounts);
  templateOf(chainId);

  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const accounts = namedAccounts(dataDir, chainId, validators);
  const nodes = await prepareNodes(options);
  const { json, genesis } = buildGenesis(
    chainId,
    options.timeMs ?? Date.now(),
    [
      ...accounts.map(({ address, balance_uait }) => ({ address, balanceUait: balance_uait })),
      ...loadGenesisAccounts(dataDir, loadAccounts),
    ],
    nodes.map(({ name, validator }, i) => ({
      name,
      publicKey: publicKeyOf(ensureSeed(nodeLayout(join(dataDir, name), chainId).validatorKey)),
      operator: operatorAddress(accounts, i + 1, validator),
    })),
    options.params,
  );
  const text = `${JSON.stringify(json)}\n`;
  writeFileSync(join(dataDir, 'genesis.json'), text);
  nodes.forEach((node) => {
    writeHome(node, chainId, text, nodes);
  });
  writeSettings(dataDir, { validators, basePort: options.basePort ?? null });
  const manifest: Manifest = {
    version: 1,
    chain_id: chainId,
    genesis_hash: toHex(genesis.chain.genesisHash),
    quorum: quorumOf(validators),
    nodes,
    accounts,
  };
  writeManifest(dataDir, manifest);
  return manifest;
}

/** A further node that follows the chain and can be voted in. The manifest with it is returned, not yet written. */
export async function addNode(dataDir: string, manifest: Manifest): Promise<Manifest> {
  const { basePort } = readSettings(dataDir);
  const genesisText = readFileSync(join(dataDir, 'genesis.json'), 'utf8');
  const index = manifest.nodes.length + 1;
  if (index > MAX_NODES) throw new NodeError('USAGE', `a cluster has at most ${MAX_NODES} nodes`);
  const ports = basePort === null ? await freePorts(portsOf(manifest.nodes)) : portsFromBase(basePort, index);
  const node = prepareNode(dataDir, manifest.chain_id, index, ports);
  const nodes = [...manifest.nodes, node];
  writeHome(node, manifest.chain_id, genesisText, nodes);
  return { ...manifest, nodes };
}

export function portsOf(nodes: readonly ManifestNode[]): Set<number> {
  return new Set(nodes.flatMap(nodePorts));
}

export function nodePorts({ p2p, rpc, metrics }: ManifestNode): number[] {
  return [Number(p2p.split('/')[4]), Number(new URL(rpc).port), Number(new URL(metrics).port)];
}

async function prepareNodes({ dataDir, chainId, validators, basePort }: ClusterOptions): Promise<ManifestNode[]> {
  const nodes: ManifestNode[] = [];
  for (let index = 1; index <= validators; index++) {
    const ports = basePort === undefined ? await freePorts(portsOf(nodes)) : portsFromBase(basePort, index);
    nodes.push(prepareNode(dataDir, chainId, index, ports));
  }
  return nodes;
}

/** Makes the node's keys and describes it. */
function prepareNode(dataDir: string, chainId: string, index: number, ports: NodePorts): ManifestNode {
  const name = `n${index}`;
  const home = join(dataDir, name);
  const layout = nodeLayout(home, chainId);
  const peerId = peerIdOfSeed(ensureSeed(layout.nodeKey));
  return {
    index,
    name,
    pid: null,
    state: 'stopped',
    rpc: `http://${HOST}:${ports.rpc}`,
    p2p: `/ip4/${HOST}/tcp/${ports.p2p}/p2p/${peerId}`,
    metrics: `http://${HOST}:${ports.metrics}/metrics`,
    home,
    peer_id: peerId,
    validator: toHex(publicKeyOf(ensureSeed(layout.validatorKey))),
  };
}

function writeHome(node: ManifestNode, chainId: string, genesisText: string, all: readonly ManifestNode[]): void {
  const layout = nodeLayout(node.home, chainId);
  writePrivate(layout.genesis, genesisText);
  const peers = all.filter(({ index }) => index !== node.index).map(({ p2p }) => p2p);
  writePrivate(layout.config, renderNodeConfig(node, [chainId], peers));
}

/** Replaces what a node was told about its peers; it hears of it when it starts. */
export function writePeers(
  node: ManifestNode,
  chainId: string,
  peers: readonly string[],
  announce: readonly string[],
): void {
  writePrivate(nodeLayout(node.home, chainId).config, renderNodeConfig(node, [chainId], peers, announce));
}

function operatorAddress(accounts: Manifest['accounts'], index: number, validator: string): string {
  const account = accounts.find(({ name }) => name === operatorName(index));
  if (!account) throw new NodeError('INTERNAL', `no operator account for validator ${validator}`);
  return account.address;
}

function loadGenesisAccounts(dataDir: string, count: number): { address: string; balanceUait: string }[] {
  if (count === 0) return [];
  const seed = ensureSeed(loadSeedPath(dataDir));
  const balanceUait = String(LOAD_BALANCE_UAIT);
  return Array.from({ length: count }, (_, i) => ({ address: addressOfSeed(loadAccountSeed(seed, i)), balanceUait }));
}
