/**
 * Bundles: all that one node of a new network needs, in one file under a password. Keys, configuration and genesis are
 * encrypted together (scrypt, AES-256-GCM), so that whoever carries the file can neither read the keys nor have the node join
 * another network. Name, chain and genesis hash stand outside too, for people, and are held against the tag.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { fromHex, toHex, utf8 } from '../../bytes.ts';
import type { JoinDocument } from '../../chain/join-document.ts';
import { joinDocumentToJson, parseJoinDocument } from '../../chain/join-document-json.ts';
import { checkKeys, jsonHex, jsonInteger, jsonObject, jsonString } from '../../chain/json.ts';
import type { Json, JsonObject } from '../../chain/modules/types.ts';
import type { ConfigValues } from '../../config.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import { SCRYPT_N } from '../../wallet/keystore.ts';

const FORMAT = 'aitbc-bundle/1';
/** A genesis of 100,000 accounts has 10 MB, and base64 a third more. */
export const MAX_BUNDLE_BYTES = 64 * 1024 * 1024;

const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16;
const SCRYPT_R = 8;
/** Files of others may cost up to this much: 512 MiB. */
const MAX_SCRYPT_N = 2 ** 19;

export interface Bundle {
  /** Of the node. */
  readonly name: string;
  readonly chainId: string;
  /** Hex. */
  readonly genesisHash: string;
  readonly config: ConfigValues;
  readonly genesis: Json;
  /** Without its genesis, which is there already. */
  readonly join: JoinDocument;
  /** Seeds, 32 bytes each. */
  readonly keys: { readonly node: Uint8Array; readonly validator: Uint8Array; readonly operator: Uint8Array };
}

interface Head {
  readonly name: string;
  readonly chainId: string;
  readonly genesisHash: string;
  readonly scryptN: number;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
}

/** @param scryptN a power of two; for tests */
export async function sealBundle(bundle: Bundle, password: string, scryptN = SCRYPT_N): Promise<string> {
  const { name, chainId, genesisHash, config, genesis, join, keys } = bundle;
  const head = { name, chainId, genesisHash, scryptN, salt: randomBytes(32), nonce: randomBytes(12) };
  const inner = {
    ...{ config, genesis, join: joinDocumentToJson({ ...join, genesis: null }) },
    keys: { node: toHex(keys.node), validator: toHex(keys.validator), operator: toHex(keys.operator) },
  };
  const key = await deriveKey(password, head);
  const cipher = createCipheriv(CIPHER, key, head.nonce).setAAD(headBytes(head));
  const sealed = Buffer.concat([cipher.update(utf8(JSON.stringify(inner))), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return `${JSON.stringify({ ...headToJson(head), sealed: sealed.toString('base64') })}\n`;
}

/** @throws NodeError KEY_FILE when it is no bundle, WRONG_PASSWORD also when it was changed, TOO_LARGE */
export async function openBundle(text: string, password: string): Promise<Bundle> {
  if (text.length > MAX_BUNDLE_BYTES) throw new NodeError('TOO_LARGE', 'this is too large to be a bundle');
  const { head, sealed } = asBundle(() => outerFromJson(jsonObject(JSON.parse(text) as Json, 'bundle')));
  const key = await deriveKey(password, head);
  const inner = decrypt(key, head, sealed);
  key.fill(0);
  return asBundle(() => innerFromJson(head, jsonObject(JSON.parse(inner) as Json, 'bundle')));
}

function decrypt(key: Buffer, head: Head, sealed: Uint8Array): string {
  try {
    const decipher = createDecipheriv(CIPHER, key, head.nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(headBytes(head)).setAuthTag(sealed.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    throw new NodeError('WRONG_PASSWORD', 'the password does not open this bundle, or the file was changed', {
      data: { name: head.name },
      hint: 'try again; else ask whoever made the network for the bundle and its password',
    });
  }
}

/** As EIP-2335 has it, the same text typed on another keyboard is the same password. */
function deriveKey(password: string, { scryptN: N, salt }: Head): Promise<Buffer> {
  const limits = { N, r: SCRYPT_R, p: 1, maxmem: 128 * SCRYPT_R * (N + 64) };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKD'), salt, 32, limits, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

function headBytes(head: Head): Uint8Array {
  return utf8(JSON.stringify(headToJson(head)));
}

function headToJson({ name, chainId, genesisHash, scryptN, salt, nonce }: Head): JsonObject {
  return {
    format: FORMAT,
    name,
    chain_id: chainId,
    genesis_hash: genesisHash,
    scrypt_n: scryptN,
    salt: toHex(salt),
    nonce: toHex(nonce),
  };
}

function outerFromJson(json: JsonObject): { head: Head; sealed: Uint8Array } {
  if (json['format'] !== FORMAT) throw notBundle(`its "format" is not "${FORMAT}"`);
  checkKeys(json, ['format', 'name', 'chain_id', 'genesis_hash', 'scrypt_n', 'salt', 'nonce', 'sealed']);
  const scryptN = jsonInteger(json['scrypt_n'], 'scrypt_n', MAX_SCRYPT_N);
  if (scryptN < 2 || (scryptN & (scryptN - 1)) !== 0) throw notBundle('"scrypt_n" is not a power of two');
  const sealed = Buffer.from(jsonString(json['sealed'], 'sealed'), 'base64');
  if (sealed.length < TAG_BYTES) throw notBundle('it is cut off');
  return {
    head: {
      name: jsonString(json['name'], 'name'),
      chainId: jsonString(json['chain_id'], 'chain_id'),
      genesisHash: toHex(jsonHex(json['genesis_hash'], 'genesis_hash', 32)),
      scryptN,
      salt: jsonHex(json['salt'], 'salt', 32),
      nonce: jsonHex(json['nonce'], 'nonce', 12),
    },
    sealed,
  };
}

function innerFromJson(head: Head, json: JsonObject): Bundle {
  checkKeys(json, ['config', 'genesis', 'join', 'keys']);
  const keys = jsonObject(json['keys'], 'keys');
  checkKeys(keys, ['node', 'validator', 'operator']);
  const seed = (name: string): Uint8Array => fromHex(jsonString(keys[name], name), 32);
  return {
    name: head.name,
    chainId: head.chainId,
    genesisHash: head.genesisHash,
    config: jsonObject(json['config'], 'config'),
    genesis: json['genesis'] ?? null,
    join: parseJoinDocument(JSON.stringify(json['join'])),
    keys: { node: seed('node'), validator: seed('validator'), operator: seed('operator') },
  };
}

function asBundle<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isNodeError(error) && error.code === 'KEY_FILE') throw error;
    throw notBundle(isNodeError(error) ? error.message : 'it is not JSON');
  }
}

function notBundle(why: string): NodeError {
  return new NodeError('KEY_FILE', `this is not a bundle: ${why}`, {
    hint: 'aitbc network new makes one for each node',
  });
}
