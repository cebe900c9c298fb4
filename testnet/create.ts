/** Makes a cluster's folder: keys, genesis, one home a node. What exists already is never overwritten. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../src/bytes.ts';
import { publicKeyOf } from '../src/chain/crypto/pure.ts';
import type { ConfigValues } from '../src/config.ts';
import { isDevnet } from '../src/chain/genesis.ts';
import type { JsonObject } from '../src/chain/modules/types.ts';
import { homeLayout } from '../src/config/home.ts';
import { NodeError } from '../src/errors.ts';
import {
  FAUCET_NAME,
  GATEWAY_NAME,
  LOAD_BALANCE_UAIT,
  addressOfSeed,
  checkLoadAccounts,
  loadAccountSeed,
  minerName,
  namedAccounts,
  operatorName,
} from './accounts.ts';
import { buildGenesis, templateOf } from '../src/cli/network/genesis-template.ts';
import { genesisPath } from './genesis.ts';
import { accountKeyPath, DEFAULT_CHAIN, ensureSeed, nodeLayout, loadSeedPath, writePrivate } from './layout.ts';
import type { Manifest, ManifestChain, ManifestMiner, ManifestNode } from './manifest.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { peerIdOfSeed, renderMinerConfig, renderNodeConfig } from './node-config.ts';
import type { NodePorts } from './ports.ts';
import { freePorts, HOST, portsFromBase } from './ports.ts';
import { readSettings, writeSettings } from './settings.ts';
import { quorumOf } from '../src/cli/network/survival.ts';

export const MAX_NODES = 32;
export const MAX_MINERS = 16;

export interface ClusterOptions {
  /** Absolute. */
  readonly dataDir: string;
  /** The default chain of the nodes. */
  readonly chainId: string;
  /** Chains that the nodes run besides, with the same validators. */
  readonly furtherChains?: readonly string[];
  readonly validators: number;
  readonly basePort?: number;
  /** Nodes that follow the chain and work for others. */
  readonly miners?: number;
  /** Further funded accounts on the default chain, derived from one seed. Devnets only. */
  readonly loadAccounts?: number;
  /** Genesis parameters of the default chain that replace the template's. */
  readonly params?: JsonObject;
  /** Genesis time; now when absent. */
  readonly timeMs?: number;
  /** Options of every node, those added later too, besides those that make the cluster. */
  readonly config?: ConfigValues;
}

/** @throws NodeError USAGE | DATA_FOLDER | DEV_KEY | PORT_IN_USE */
export async function createCluster(options: ClusterOptions): Promise<Manifest> {
  const { dataDir, chainId, furtherChains = [], validators, miners = 0, loadAccounts = 0 } = options;
  if (!Number.isInteger(validators) || validators < 1 || validators > MAX_NODES) {
    throw new NodeError('USAGE', `--nodes takes 1 to ${MAX_NODES}`);
  }
  if (!Number.isInteger(miners) || miners < 0 || miners > MAX_MINERS) {
    throw new NodeError('USAGE', `--miners takes 0 to ${MAX_MINERS}`);
  }
  if (readManifest(dataDir)) throw new NodeError('DATA_FOLDER', `${dataDir} holds a cluster already`);
  checkLoadAccounts(chainId, loadAccounts);
  const chainIds = [chainId, ...furtherChains];
  chainIds.forEach(templateOf);

  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const nodes = await prepareNodes(options);
  const [first, ...others] = chainIds.map((id) => makeChain(options, id, nodes));
  if (!first) throw new NodeError('INTERNAL', 'a cluster without a chain');
  const giving = isDevnet(chainId) && {
    'faucet.key_file': accountKeyPath(dataDir, FAUCET_NAME),
    ...(miners > 0 && { 'market.key_file': accountKeyPath(dataDir, GATEWAY_NAME) }),
  };
  nodes.forEach((node, i) => {
    writeHome(dataDir, node, chainIds, nodes, { ...options.config, ...(i === 0 && giving) });
  });
  const { basePort = null, config } = options;
  const ports = await portsOfMiners(options, nodes);
  const mining = ports.map((each, i) => makeMiner(options, i + 1, each, nodes));
  writeSettings(dataDir, { validators, basePort, ...(config && { config }), ...(miners > 0 && { miners: ports }) });
  const manifest: Manifest = {
    version: 1,
    ...first,
    nodes,
    accounts: namedAccounts(dataDir, chainId, validators, miners),
    ...(miners > 0 && { miners: mining }),
    ...(others.length > 0 && { further_chains: others }),
  };
  writeManifest(dataDir, manifest);
  return manifest;
}

/** Ids of the chains of a cluster, the default one first. */
export function chainIdsOf({ chain_id, further_chains = [] }: Manifest): string[] {
  return [chain_id, ...further_chains.map((chain) => chain.chain_id)];
}

function makeChain(options: ClusterOptions, chainId: string, nodes: readonly ManifestNode[]): ManifestChain {
  const { dataDir, validators, loadAccounts = 0 } = options;
  const isDefault = chainId === options.chainId;
  const accounts = namedAccounts(dataDir, chainId, validators, isDefault ? (options.miners ?? 0) : 0);
  const { json, genesis } = buildGenesis(
    chainId,
    options.timeMs ?? Date.now(),
    [
      ...accounts.map(({ address, balance_uait }) => ({ address, balanceUait: balance_uait })),
      ...loadGenesisAccounts(dataDir, isDefault ? loadAccounts : 0),
    ],
    nodes.map(({ name, validator }, i) => ({
      name,
      publicKey: publicKeyOf(ensureSeed(nodeLayout(join(dataDir, name), chainId).validatorKey)),
      operator: operatorAddress(accounts, i + 1, validator),
    })),
    isDefault ? options.params : {},
  );
  writeFileSync(genesisPath(dataDir, isDefault ? undefined : chainId), `${JSON.stringify(json)}\n`);
  return { chain_id: chainId, genesis_hash: toHex(genesis.chain.genesisHash), quorum: quorumOf(validators) };
}

/** A further node that follows the chain and can be voted in. The manifest with it is returned, not yet written. */
export async function addNode(dataDir: string, manifest: Manifest): Promise<Manifest> {
  const { basePort, config, miners = [] } = readSettings(dataDir);
  const index = manifest.nodes.length + 1;
  if (index > MAX_NODES) throw new NodeError('USAGE', `a cluster has at most ${MAX_NODES} nodes`);
  const ports = basePort === null ? await freePorts(taken(manifest.nodes, miners)) : portsFromBase(basePort, index);
  const chainIds = chainIdsOf(manifest);
  const node = prepareNode(dataDir, chainIds, index, ports);
  const nodes = [...manifest.nodes, node];
  writeHome(dataDir, node, chainIds, nodes, config);
  return { ...manifest, nodes };
}

export function portsOf(nodes: readonly ManifestNode[]): Set<number> {
  return new Set(nodes.flatMap(nodePorts));
}

export function nodePorts({ p2p, rpc, metrics }: ManifestNode): number[] {
  return [Number(p2p.split('/')[4]), Number(new URL(rpc).port), Number(new URL(metrics).port)];
}

async function prepareNodes(options: ClusterOptions): Promise<ManifestNode[]> {
  const { dataDir, chainId, furtherChains = [], validators, basePort } = options;
  const nodes: ManifestNode[] = [];
  for (let index = 1; index <= validators; index++) {
    const ports = basePort === undefined ? await freePorts(portsOf(nodes)) : portsFromBase(basePort, index);
    nodes.push(prepareNode(dataDir, [chainId, ...furtherChains], index, ports));
  }
  return nodes;
}

/** Behind those of all validators that there may be. */
async function portsOfMiners(options: ClusterOptions, nodes: readonly ManifestNode[]): Promise<NodePorts[]> {
  const ports: NodePorts[] = [];
  for (let index = 1; index <= (options.miners ?? 0); index++) {
    const { basePort } = options;
    ports.push(
      basePort === undefined ? await freePorts(taken(nodes, ports)) : portsFromBase(basePort, MAX_NODES + index),
    );
  }
  return ports;
}

function taken(nodes: readonly ManifestNode[], miners: readonly NodePorts[]): Set<number> {
  return new Set([...portsOf(nodes), ...miners.flatMap(({ p2p, rpc, metrics }) => [p2p, rpc, metrics])]);
}

/** A home that follows the default chain and mines on it. */
function makeMiner(
  { dataDir, chainId, config }: ClusterOptions,
  index: number,
  ports: NodePorts,
  nodes: readonly ManifestNode[],
): ManifestMiner {
  const name = minerName(index);
  const home = join(dataDir, name);
  const layout = nodeLayout(home, chainId);
  ensureSeed(layout.nodeKey);
  writePrivate(layout.genesis, readFileSync(genesisPath(dataDir), 'utf8'));
  const keyPath = accountKeyPath(dataDir, name);
  const peers = nodes.map(({ p2p }) => p2p);
  writePrivate(homeLayout(home, chainId).config, renderMinerConfig({ name, chainId, ports, peers, keyPath, config }));
  return { index, name, pid: null, state: 'stopped', home, address: addressOfSeed(ensureSeed(keyPath)), models: [] };
}

/** Makes the node's keys and describes it. */
function prepareNode(dataDir: string, chainIds: readonly string[], index: number, ports: NodePorts): ManifestNode {
  const name = `n${index}`;
  const home = join(dataDir, name);
  const [layout, ...others] = chainIds.map((chainId) => nodeLayout(home, chainId));
  if (!layout) throw new NodeError('INTERNAL', 'a node without a chain');
  const peerId = peerIdOfSeed(ensureSeed(layout.nodeKey));
  for (const { validatorKey } of others) ensureSeed(validatorKey);
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

function writeHome(
  dataDir: string,
  node: ManifestNode,
  chainIds: readonly string[],
  all: readonly ManifestNode[],
  config: ConfigValues | undefined,
): void {
  chainIds.forEach((chainId, i) => {
    const text = readFileSync(genesisPath(dataDir, i === 0 ? undefined : chainId), 'utf8');
    writePrivate(nodeLayout(node.home, chainId).genesis, text);
  });
  const peers = all.filter(({ index }) => index !== node.index).map(({ p2p }) => p2p);
  writePeers(node, chainIds, peers, [], config);
}

/** Replaces what a node was told about its peers; it hears of it when it starts. */
export function writePeers(
  node: ManifestNode,
  chainIds: readonly string[],
  peers: readonly string[],
  announce: readonly string[] = [],
  config: ConfigValues = {},
): void {
  const text = renderNodeConfig(node, chainIds, peers, announce, config);
  writePrivate(homeLayout(node.home, DEFAULT_CHAIN).config, text);
}

/** Where a node stands, when that is not the loopback. */
export interface Placement {
  readonly site: string;
  readonly netns: string | undefined;
  readonly host: string;
  /** Where other nodes reach it, when that is not this host and the port it has. */
  readonly p2p?: { readonly host: string; readonly port: number };
}

/** The node at another address. Its config.toml is for `writePeers`. */
export function placed(node: ManifestNode, { site, netns, host, p2p }: Placement): ManifestNode {
  const at = (url: string): string => {
    const moved = new URL(url);
    moved.hostname = host;
    return moved.toString().replace(/\/$/, '');
  };
  const { netns: _before, ...rest } = node;
  return {
    ...rest,
    site,
    ...(netns !== undefined && { netns }),
    rpc: at(node.rpc),
    metrics: at(node.metrics),
    p2p: `/ip4/${p2p?.host ?? host}/tcp/${p2p?.port ?? nodePorts(node)[0] ?? 0}/p2p/${node.peer_id}`,
  };
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
