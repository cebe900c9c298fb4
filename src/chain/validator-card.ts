/**
 * Validator cards: what a validator brings to a network that is yet to be made, signed by its key. Cards are signed before
 * there is a genesis: its place in the sign bytes is 32 zeros.
 */
import type { Address, PublicKey, Signature } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { formatAddress, parseAddress } from './address.ts';
import type { Crypto, Signer } from './crypto/types.ts';
import { isPeerAddress, isRpcUrl, isSiteName } from './join-document.ts';
import { checkKeys, jsonArray, jsonHex, jsonInteger, jsonObject, jsonString } from './json.ts';
import type { Json, JsonObject } from './modules/types.ts';
import { signBytesWriter } from './signing.ts';
import { MAX_POWER } from './validator-set.ts';

const FORMAT = 'aitbc-validator-card/1';
/** A card has some 600. */
export const MAX_CARD_CHARACTERS = 16 * 1024;
export const MAX_CARD_ADDRESSES = 8;

export interface ValidatorCard {
  readonly chainId: string;
  /** Of the validator, and of the place it stands at: 1 to 32 characters of a-z, 0-9 and "-". */
  readonly name: string;
  readonly site: string;
  readonly power: number;
  /** Account that votes for the key. */
  readonly operator: Address;
  /** Multiaddrs that end in the peer id of its node. */
  readonly peers: readonly string[];
  readonly rpc: readonly string[];
}

export interface SignedCard extends ValidatorCard {
  readonly publicKey: PublicKey;
  readonly signature: Signature;
}

/** @throws NodeError INVALID_PARAMS */
export function signCard(card: ValidatorCard, signer: Signer): SignedCard {
  return { ...card, publicKey: signer.publicKey, signature: signer.sign(cardSignBytes(card)) };
}

export function cardToJson(card: SignedCard): JsonObject {
  return {
    format: FORMAT,
    chain_id: card.chainId,
    name: card.name,
    site: card.site,
    power: card.power,
    public_key: toHex(card.publicKey),
    operator: formatAddress(card.operator),
    peers: [...card.peers],
    rpc: [...card.rpc],
    signature: toHex(card.signature),
  };
}

/** Form and signature are checked. @throws NodeError INVALID_PARAMS | TOO_LARGE | BAD_SIGNATURE */
export function readCard(crypto: Crypto, text: string): SignedCard {
  if (text.length > MAX_CARD_CHARACTERS) {
    throw new NodeError('TOO_LARGE', 'this is too large to be a validator card', {
      data: { limit: MAX_CARD_CHARACTERS },
    });
  }
  const card = parse(text);
  if (crypto.verify(cardSignBytes(card), card.signature, card.publicKey)) return card;
  throw new NodeError('BAD_SIGNATURE', `the card of ${card.name} is not signed by its key`, {
    hint: 'something in it was changed: have its operator make it anew, with aitbc validator show --card',
  });
}

function parse(text: string): SignedCard {
  try {
    const json = jsonObject(JSON.parse(text) as Json, 'card');
    if (json['format'] !== FORMAT) throw notCard(`its "format" is not "${FORMAT}"`);
    checkKeys(json, [
      ...['format', 'chain_id', 'name', 'site', 'power', 'public_key', 'operator', 'peers', 'rpc', 'signature'],
    ]);
    const texts = (key: string): string[] => jsonArray(json[key], key).map((item) => jsonString(item, key));
    return {
      chainId: jsonString(json['chain_id'], 'chain_id'),
      name: jsonString(json['name'], 'name'),
      site: jsonString(json['site'], 'site'),
      power: jsonInteger(json['power'], 'power', MAX_POWER),
      publicKey: jsonHex(json['public_key'], 'public_key', 32),
      operator: parseAddress(jsonString(json['operator'], 'operator')),
      peers: texts('peers'),
      rpc: texts('rpc'),
      signature: jsonHex(json['signature'], 'signature', 64),
    };
  } catch (error) {
    throw isNodeError(error) ? error : notCard('it is not JSON');
  }
}

function cardSignBytes(card: ValidatorCard): Uint8Array {
  checkCard(card);
  const chain = { chainId: card.chainId, genesisHash: new Uint8Array(32) };
  const writer = signBytesWriter('validator-card', chain, 512).ascii8(card.name).ascii8(card.site).u64(card.power);
  writer.fixed(card.operator, 20).u8(card.peers.length);
  for (const peer of card.peers) writer.ascii8(peer);
  writer.u8(card.rpc.length);
  for (const url of card.rpc) writer.ascii8(url);
  return writer.finish();
}

function checkCard({ chainId, name, site, power, peers, rpc }: ValidatorCard): void {
  if (!/^[a-z0-9][a-z0-9-]{2,31}$/.test(chainId)) throw notCard('"chain_id" is not one of a chain');
  if (!isSiteName(name) || !isSiteName(site)) throw notCard('names are 1 to 32 characters of a-z, 0-9 and "-"');
  if (!(Number.isInteger(power) && power > 0 && power <= MAX_POWER)) throw notCard('its power is out of range');
  if (peers.length === 0 || peers.length > MAX_CARD_ADDRESSES || rpc.length > MAX_CARD_ADDRESSES) {
    throw notCard(`it names 1 to ${MAX_CARD_ADDRESSES} addresses of its node`);
  }
  if (!peers.every(isPeerAddress)) throw notCard('an address of its node is no multiaddr that ends in /p2p/<peer id>');
  if (!rpc.every(isRpcUrl)) throw notCard('an RPC address is no plain http or https URL');
}

function notCard(why: string): NodeError {
  return new NodeError('INVALID_PARAMS', `this is not a validator card: ${why}`, {
    hint: 'aitbc validator show --card makes one',
  });
}
