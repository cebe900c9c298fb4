/** A new network: genesis, join document, and what each node needs. */
import { toHex } from '../../bytes.ts';
import { addressOf, formatAddress } from '../../chain/address.ts';
import type { Genesis } from '../../chain/genesis.ts';
import type { JoinDocument, Site } from '../../chain/join-document.ts';
import { checkJoinDocument, signJoinDocument } from '../../chain/join-document.ts';
import { MAX_EMBEDDED_GENESIS_CHARACTERS } from '../../chain/join-document-json.ts';
import type { JsonObject } from '../../chain/modules/types.ts';
import type { ConfigValues } from '../../config.ts';
import { createNativeSigner, nativeCrypto } from '../../native/crypto.ts';
import { peerIdOf } from '../peer-id.ts';
import { sealBundle } from './bundle.ts';
import type { GenesisAccount } from './genesis-template.ts';
import { buildGenesis } from './genesis-template.ts';
import type { NodePlan, SitePlan } from './plan.ts';

export interface NetworkSpec {
  readonly chainId: string;
  readonly sites: readonly SitePlan[];
  readonly nodes: readonly NodePlan[];
  readonly accounts: readonly GenesisAccount[];
  /** What the account of each operator has at first, for the fees of its votes. */
  readonly operatorUait: string;
  readonly nowMs: number;
  readonly validityMs: number;
  readonly password: string;
  /** For tests. */
  readonly scryptN?: number;
}

export interface MadeNetwork {
  readonly genesis: Genesis;
  readonly genesisJson: JsonObject;
  /** Signed by all. */
  readonly join: JoinDocument;
  readonly bundles: readonly { readonly name: string; readonly text: string }[];
}

/** @throws NodeError USAGE | BAD_GENESIS | BAD_JOIN_DOCUMENT | INVALID_PARAMS */
export async function makeNetwork(spec: NetworkSpec): Promise<MadeNetwork> {
  const { chainId, nodes, nowMs, validityMs, password, scryptN } = spec;
  const made = nodes.map((node) => {
    const keys = { node: drawSeed(), validator: drawSeed(), operator: drawSeed() };
    const peerId = peerIdOf(createNativeSigner(keys.node).publicKey);
    const operator = formatAddress(addressOf(nativeCrypto, createNativeSigner(keys.operator).publicKey));
    return {
      ...node,
      keys,
      operator,
      validator: createNativeSigner(keys.validator),
      peer: `${node.address}/p2p/${peerId}`,
    };
  });
  const { json: genesisJson, genesis } = buildGenesis(
    chainId,
    nowMs,
    [...made.map(({ operator }) => ({ address: operator, balanceUait: spec.operatorUait })), ...spec.accounts],
    made.map(({ name, operator, validator }) => ({ name, operator, publicKey: validator.publicKey })),
  );
  const sites = spec.sites.map(({ name, rpc }) => ({
    name,
    peers: made.flatMap(({ site, peer }) => (site === name ? [peer] : [])),
    rpc,
  }));
  let join = draftDocument(genesis, genesisJson, sites, nowMs, validityMs);
  for (const { validator } of made) join = signJoinDocument(join, validator);
  const bundles = [];
  for (const node of made) {
    const { name, keys } = node;
    const peers = made.flatMap(({ peer }) => (peer === node.peer ? [] : [peer]));
    const config = nodeConfig(chainId, node, peers);
    const genesisHash = toHex(genesis.chain.genesisHash);
    const bundle = { name, chainId, genesisHash, config, genesis: genesisJson, join, keys };
    bundles.push({ name, text: await sealBundle(bundle, password, scryptN) });
    for (const seed of Object.values(keys)) seed.fill(0);
  }
  return { genesis, genesisJson, join, bundles };
}

/** A document that nobody has signed yet. @throws NodeError BAD_JOIN_DOCUMENT */
export function draftDocument(
  genesis: Genesis,
  genesisJson: JsonObject,
  sites: readonly Site[],
  nowMs: number,
  validityMs: number,
): JoinDocument {
  const isSmall = JSON.stringify(genesisJson).length <= MAX_EMBEDDED_GENESIS_CHARACTERS;
  const document: JoinDocument = {
    chain: genesis.chain,
    issuedAtMs: nowMs,
    validUntilMs: nowMs + validityMs,
    sites,
    genesis: isSmall ? genesisJson : null,
    signatures: [],
  };
  checkJoinDocument(document);
  return document;
}

/** @param peers the other nodes, as multiaddrs with peer id */
export function nodeConfig(
  chainId: string,
  { name, address, ports }: Omit<NodePlan, 'site'>,
  peers: readonly string[],
): ConfigValues {
  return {
    name,
    chains: [chainId],
    'p2p.listen': [`/ip4/0.0.0.0/tcp/${ports.p2p}`],
    'p2p.peers': peers,
    'p2p.announce': [address],
    'rpc.listen': `127.0.0.1:${ports.rpc}`,
    'metrics.listen': `127.0.0.1:${ports.metrics}`,
  };
}

function drawSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}
