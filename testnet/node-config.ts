/** config.toml of a cluster's node, and the peer id of its key. */
import { base58 } from '@scure/base';
import { concatBytes } from '../src/bytes.ts';
import { publicKeyOf } from '../src/chain/crypto/pure.ts';
import type { ConfigValues } from '../src/config.ts';
import { renderConfigToml } from '../src/config.ts';
import type { ManifestNode } from './manifest.ts';
import type { NodePorts } from './ports.ts';
import { HOST } from './ports.ts';

/**
 * Identity multihash (0x00, length) of the protobuf form of an Ed25519 key (type 1, 32 bytes), in base58btc, as the
 * libp2p peer-id specification has it.
 */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

export function peerIdOfSeed(seed: Uint8Array): string {
  return base58.encode(concatBytes([PEER_ID_PREFIX, publicKeyOf(seed)]));
}

/**
 * @param peers multiaddrs with peer id, to which the node keeps connections
 * @param announce multiaddrs told to other nodes; those listened on when empty
 */
export function renderNodeConfig(
  node: ManifestNode,
  chainIds: readonly string[],
  peers: readonly string[],
  announce: readonly string[] = [],
  config: ConfigValues = {},
): string {
  return renderConfigToml({
    name: node.name,
    chains: chainIds,
    'p2p.listen': [node.p2p.split('/').slice(0, 5).join('/')],
    'p2p.peers': peers,
    ...(announce.length > 0 && { 'p2p.announce': announce }),
    'rpc.listen': new URL(node.rpc).host,
    'metrics.listen': new URL(node.metrics).host,
    'log.format': 'json',
    // The kill test and the benchmarks read the databases themselves.
    'store.encrypt': 'off',
    ...config,
  });
}

export interface MinerConfig {
  readonly name: string;
  readonly chainId: string;
  readonly ports: NodePorts;
  readonly peers: readonly string[];
  /** Seed of the account that has the stake. */
  readonly keyPath: string;
  readonly config: ConfigValues | undefined;
}

/** A node that follows the chain and works for others. */
export function renderMinerConfig({ name, chainId, ports, peers, keyPath, config = {} }: MinerConfig): string {
  return renderConfigToml({
    name,
    chains: [chainId],
    'p2p.listen': [`/ip4/${HOST}/tcp/${ports.p2p}`],
    'p2p.peers': peers,
    'rpc.listen': `${HOST}:${ports.rpc}`,
    'metrics.listen': `${HOST}:${ports.metrics}`,
    'log.format': 'json',
    'store.encrypt': 'off',
    'consensus.sign': false,
    'miner.enabled': true,
    'miner.key_file': keyPath,
    ...config,
  });
}
