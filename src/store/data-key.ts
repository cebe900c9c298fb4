/**
 * The key that a database's values are encrypted with. It is drawn when the database is made and never changes; the
 * database holds it wrapped by the operator's store key, so that the store key can be changed without writing the values
 * anew.
 *
 * The record: version u8 (1), key id (8 bytes), nonce (12), wrapped data key (32), tag (16). Key id and wrapping key are
 * HKDF-SHA-256 of the store key; chain id and genesis hash are authenticated, so that a record fits one chain alone.
 */
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { Hash } from '../bytes.ts';
import { equalBytes, toHex, utf8 } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import { NodeError } from '../errors.ts';
import { corruptDatabase } from './db.ts';

/** Which database a data key is of; `folder` for messages. */
export interface KeyOwner {
  readonly folder: string;
  readonly chainId: string;
  readonly genesisHash: Hash;
}

const VERSION = 1;
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @returns the record that holds a new data key. @param storeKey 32 bytes */
export function newDataKey(storeKey: Uint8Array, owner: KeyOwner): Uint8Array {
  const dataKey = randomBytes(KEY_BYTES);
  try {
    return wrap(dataKey, storeKey, owner);
  } finally {
    dataKey.fill(0);
  }
}

/** @throws NodeError KEY_FILE when it is another store key, CORRUPT when the record is damaged, DATA_TOO_NEW */
export function openDataKey(record: Uint8Array, storeKey: Uint8Array, owner: KeyOwner): KeyObject {
  const dataKey = unwrap(record, storeKey, owner);
  try {
    return createSecretKey(dataKey);
  } finally {
    dataKey.fill(0);
  }
}

/** The same data key, wrapped by another store key. @throws like openDataKey */
export function rewrapDataKey(record: Uint8Array, from: Uint8Array, to: Uint8Array, owner: KeyOwner): Uint8Array {
  const dataKey = unwrap(record, from, owner);
  try {
    return wrap(dataKey, to, owner);
  } finally {
    dataKey.fill(0);
  }
}

/** Whether a record was made with this store key. */
export function isWrappedBy(record: Uint8Array, storeKey: Uint8Array): boolean {
  return equalBytes(record.subarray(1, 1 + KEY_ID_BYTES), keyIdOf(storeKey));
}

function wrap(dataKey: Uint8Array, storeKey: Uint8Array, owner: KeyOwner): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const wrapping = derive(storeKey, 'AIT/store-key/wrap/1', KEY_BYTES);
  const cipher = createCipheriv(CIPHER, wrapping, nonce, { authTagLength: TAG_BYTES });
  wrapping.fill(0);
  cipher.setAAD(labelOf(owner));
  const wrapped = cipher.update(dataKey);
  cipher.final();
  return new Writer(80)
    .u8(VERSION)
    .fixed(keyIdOf(storeKey), KEY_ID_BYTES)
    .raw(nonce)
    .raw(wrapped)
    .raw(cipher.getAuthTag())
    .finish();
}

function unwrap(record: Uint8Array, storeKey: Uint8Array, owner: KeyOwner): Uint8Array {
  const reader = new Reader(record, 'data key');
  const version = reader.u8();
  if (version > VERSION) {
    throw new NodeError('DATA_TOO_NEW', `the data key has version ${version}, this program knows ${VERSION}`, {
      data: { path: owner.folder, version, known: VERSION },
      hint: 'start the newer program',
    });
  }
  const keyId = reader.fixed(KEY_ID_BYTES);
  const nonce = reader.fixed(NONCE_BYTES);
  const wrapped = reader.fixed(KEY_BYTES);
  const tag = reader.fixed(TAG_BYTES);
  reader.end();
  if (!equalBytes(keyId, keyIdOf(storeKey))) {
    throw new NodeError('KEY_FILE', 'the block database is encrypted with another store key', {
      data: { path: owner.folder, expected: toHex(keyId), found: toHex(keyIdOf(storeKey)) },
      hint: 'give the key it was encrypted with in store.encryption_key_file; if that is lost, move the database folder away and start again: the chain is synced anew',
    });
  }
  const wrapping = derive(storeKey, 'AIT/store-key/wrap/1', KEY_BYTES);
  const decipher = createDecipheriv(CIPHER, wrapping, nonce, { authTagLength: TAG_BYTES });
  wrapping.fill(0);
  decipher.setAAD(labelOf(owner));
  decipher.setAuthTag(tag);
  const dataKey = decipher.update(wrapped);
  try {
    decipher.final();
  } catch (error) {
    dataKey.fill(0);
    throw corruptDatabase(owner.folder, 'its data key was changed, or belongs to another chain', error);
  }
  return dataKey;
}

/** Names a store key without telling it. */
function keyIdOf(storeKey: Uint8Array): Uint8Array {
  return derive(storeKey, 'AIT/store-key/id/1', KEY_ID_BYTES);
}

function derive(storeKey: Uint8Array, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', storeKey, new Uint8Array(), utf8(info), length));
}

function labelOf({ chainId, genesisHash }: KeyOwner): Uint8Array {
  return new Writer(80).ascii8(chainId).fixed(genesisHash, 32).finish();
}
