/** A network out of cards: genesis and draft of its join document, while every key stays where it was made. */
import { toHex } from '../../bytes.ts';
import { formatAddress } from '../../chain/address.ts';
import type { Genesis } from '../../chain/genesis.ts';
import type { JoinDocument } from '../../chain/join-document.ts';
import type { JsonObject } from '../../chain/modules/types.ts';
import type { SignedCard } from '../../chain/validator-card.ts';
import type { ConfigValues } from '../../config.ts';
import { NodeError } from '../../errors.ts';
import type { GenesisAccount } from './genesis-template.ts';
import { buildGenesis } from './genesis-template.ts';
import { draftDocument, nodeConfig } from './make.ts';

export interface SealSpec {
  readonly chainId: string;
  /** Their signatures were verified. */
  readonly cards: readonly SignedCard[];
  readonly accounts: readonly GenesisAccount[];
  readonly operatorUait: string;
  readonly nowMs: number;
  readonly validityMs: number;
}

export interface SealedNetwork {
  readonly genesis: Genesis;
  readonly genesisJson: JsonObject;
  /** Signed by nobody yet. */
  readonly join: JoinDocument;
  /** Of each node, by its name. */
  readonly configs: readonly { readonly name: string; readonly values: ConfigValues }[];
}

/** @throws NodeError USAGE for cards that do not go together; BAD_GENESIS, BAD_JOIN_DOCUMENT */
export function sealNetwork(spec: SealSpec): SealedNetwork {
  const { chainId, accounts, operatorUait, nowMs, validityMs } = spec;
  const cards = [...spec.cards].sort((a, b) => (a.name < b.name ? -1 : 1));
  checkCards(chainId, cards);
  const operators = [...new Set(cards.map(({ operator }) => formatAddress(operator)))];
  const { json: genesisJson, genesis } = buildGenesis(
    chainId,
    nowMs,
    [...operators.map((address) => ({ address, balanceUait: operatorUait })), ...accounts],
    cards.map(({ name, publicKey, operator, power }) => ({
      name,
      publicKey,
      operator: formatAddress(operator),
      power,
    })),
  );
  const names = [...new Set(cards.map(({ site }) => site))];
  const sites = names.map((name) => {
    const here = cards.filter(({ site }) => site === name);
    return { name, peers: here.flatMap(({ peers }) => peers), rpc: [...new Set(here.flatMap(({ rpc }) => rpc))] };
  });
  const configs = cards.map((card) => {
    const [address = ''] = card.peers.map(withoutPeerId);
    const others = cards.flatMap(({ name, peers }) => (name === card.name ? [] : peers));
    const ports = { p2p: portOf(address), rpc: 8006, metrics: 9464 };
    const values = nodeConfig(chainId, { name: card.name, address, ports }, others);
    return { name: card.name, values: { ...values, 'p2p.announce': card.peers.map(withoutPeerId) } };
  });
  const join = draftDocument(genesis, genesisJson, sites, nowMs, validityMs);
  return { genesis, genesisJson, join, configs };
}

function checkCards(chainId: string, cards: readonly SignedCard[]): void {
  const other = cards.find((card) => card.chainId !== chainId);
  if (other) {
    throw new NodeError('USAGE', `the card of ${other.name} is for ${other.chainId}, not for ${chainId}`, {
      hint: `have it made again with --chain ${chainId}`,
    });
  }
  const once = (what: string, of: (card: SignedCard) => readonly string[]): void => {
    const seen = new Map<string, string>();
    for (const card of cards) {
      for (const value of new Set(of(card))) {
        const before = seen.get(value);
        if (before !== undefined) throw new NodeError('USAGE', `${before} and ${card.name} have the same ${what}`);
        seen.set(value, card.name);
      }
    }
  };
  once('name', ({ name }) => [name]);
  once('key', ({ publicKey }) => [toHex(publicKey)]);
  once('peer id', ({ peers }) => peers.map((peer) => peer.replace(/^.*\/p2p\//, '')));
}

function withoutPeerId(peer: string): string {
  return peer.replace(/\/p2p\/[^/]+$/, '');
}

function portOf(address: string): number {
  return Number(/\/tcp\/(\d{1,5})/.exec(address)?.[1] ?? 8005);
}
