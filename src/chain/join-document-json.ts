/** The JSON form of join documents, for people and for the wire. Times are ms since 1970, UTC. */
import { toHex } from '../bytes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { JoinDocument, Site } from './join-document.ts';
import { checkJoinDocument, MAX_JOIN_PEERS, MAX_JOIN_RPC_URLS, MAX_SITES } from './join-document.ts';
import { checkKeys, jsonArray, jsonHex, jsonInteger, jsonObject, jsonString } from './json.ts';
import type { Json, JsonObject } from './modules/types.ts';
import { MAX_VALIDATORS } from './validator-set.ts';

const FORMAT = 'aitbc-join/1';
/** Of the JSON text of a genesis that a document holds; a larger one is asked from the nodes that it names. */
export const MAX_EMBEDDED_GENESIS_CHARACTERS = 1024 * 1024;
/** Of the whole text: the genesis, indented perhaps, and all lists at their caps. */
export const MAX_JOIN_DOCUMENT_CHARACTERS = 4 * MAX_EMBEDDED_GENESIS_CHARACTERS;

/** `{format,chain_id,genesis_hash,issued_at_ms,valid_until_ms,sites:[{name,peers,rpc}],signatures:[{public_key,signature}],genesis?}` */
export function joinDocumentToJson(document: JoinDocument): JsonObject {
  const { chain, issuedAtMs, validUntilMs, sites, genesis, signatures } = document;
  return {
    format: FORMAT,
    chain_id: chain.chainId,
    genesis_hash: toHex(chain.genesisHash),
    issued_at_ms: issuedAtMs,
    valid_until_ms: validUntilMs,
    sites: sites.map(({ name, peers, rpc }) => ({ name, peers: [...peers], rpc: [...rpc] })),
    signatures: signatures.map(({ publicKey, signature }) => ({
      public_key: toHex(publicKey),
      signature: toHex(signature),
    })),
    ...(genesis !== null && { genesis }),
  };
}

/** Its form alone is checked. @throws NodeError BAD_JOIN_DOCUMENT | TOO_LARGE */
export function parseJoinDocument(text: string): JoinDocument {
  if (text.length > MAX_JOIN_DOCUMENT_CHARACTERS) {
    throw new NodeError('TOO_LARGE', 'this is too large to be a join document', {
      data: { limit: MAX_JOIN_DOCUMENT_CHARACTERS },
    });
  }
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    throw notDocument('it is not JSON');
  }
  try {
    const document = fromJson(jsonObject(json, 'join document'));
    checkJoinDocument(document);
    return document;
  } catch (error) {
    if (!isNodeError(error) || error.code === 'BAD_JOIN_DOCUMENT') throw error;
    throw notDocument(error.message);
  }
}

function fromJson(json: JsonObject): JoinDocument {
  if (json['format'] !== FORMAT) throw notDocument(`its "format" is not "${FORMAT}"`);
  checkKeys(
    json,
    ['format', 'chain_id', 'genesis_hash', 'issued_at_ms', 'valid_until_ms', 'sites', 'signatures'],
    ['genesis'],
  );
  const chainId = jsonString(json['chain_id'], 'chain_id');
  if (!/^[a-z0-9][a-z0-9-]{2,31}$/.test(chainId)) throw notDocument('"chain_id" is not one of a chain');
  return {
    chain: { chainId, genesisHash: jsonHex(json['genesis_hash'], 'genesis_hash', 32) },
    issuedAtMs: jsonInteger(json['issued_at_ms'], 'issued_at_ms'),
    validUntilMs: jsonInteger(json['valid_until_ms'], 'valid_until_ms'),
    sites: list(json['sites'], 'sites', MAX_SITES).map(siteFromJson),
    genesis: json['genesis'] ?? null,
    signatures: list(json['signatures'], 'signatures', MAX_VALIDATORS).map((item, i) => {
      const entry = jsonObject(item, `signatures/${i}`);
      checkKeys(entry, ['public_key', 'signature']);
      return {
        publicKey: jsonHex(entry['public_key'], 'public_key', 32),
        signature: jsonHex(entry['signature'], 'signature', 64),
      };
    }),
  };
}

function siteFromJson(item: Json, i: number): Site {
  const entry = jsonObject(item, `sites/${i}`);
  checkKeys(entry, ['name', 'peers', 'rpc']);
  const texts = (key: string, cap: number): string[] => list(entry[key], key, cap).map((text) => jsonString(text, key));
  return {
    name: jsonString(entry['name'], 'name'),
    peers: texts('peers', MAX_JOIN_PEERS),
    rpc: texts('rpc', MAX_JOIN_RPC_URLS),
  };
}

function list(value: Json | undefined, key: string, cap: number): readonly Json[] {
  const items = jsonArray(value, key);
  if (items.length > cap) throw notDocument(`"${key}" has more than ${cap} items`);
  return items;
}

function notDocument(why: string): NodeError {
  return new NodeError('BAD_JOIN_DOCUMENT', `this is not a join document: ${why}`, {
    data: { reason: 'form' },
    hint: 'aitbc network new makes one, and a node of the network serves it at /rpc/join',
  });
}
