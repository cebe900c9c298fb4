/**
 * The one table of keys in a chain's database: a prefix byte, then the key. Integers are big-endian, so that ranges sort
 * by them. A number is never reused: a record that is given up keeps its line here, marked as such. Values lie on disk
 * in the form of src/store/sealer.ts; those of META are never encrypted.
 *
 * | number | key                | value                                                        |
 * | ------ | ------------------ | ------------------------------------------------------------ |
 * | 1      | name u8 (META)     | schema u32, chain id ASCII, genesis hash, wrapped data key   |
 * | 2      | none               | head: height u64, block id                                   |
 * | 3      | height u64         | encoded block                                                |
 * | 4      | height u64         | encoded certificate of that block                            |
 * | 5      | height u64         | count u32, encoded receipts                                  |
 * | 6      | block id           | height u64                                                   |
 * | 7      | transaction id     | height u64, index u32                                        |
 * | 8      | state key          | state value at the head                                      |
 * | 9      | transaction id     | bytes of a pending transaction                               |
 * | 10     | public key         | sequence u64 of that key's sign guard at the last commit     |
 * | 11     | hash in headers    | encoded validator set                                        |
 * | 12     | none               | base: height u64 of the lowest block held; absent: 1         |
 * | 13     | key of a row       | its value; in the market's databases (rows.ts), with META    |
 */
import { Reader, Writer } from '../chain/codec.ts';
import type { StateKey } from '../chain/state.ts';

export const KEY = {
  META: 1,
  HEAD: 2,
  BLOCK: 3,
  CERTIFICATE: 4,
  RECEIPTS: 5,
  HEIGHT_BY_BLOCK_ID: 6,
  TRANSACTION: 7,
  STATE: 8,
  PENDING: 9,
  GUARD: 10,
  VALIDATOR_SET: 11,
  BASE: 12,
  ROW: 13,
} as const;

export type KeyPrefix = (typeof KEY)[keyof typeof KEY];

export const META = { SCHEMA: 1, CHAIN_ID: 2, GENESIS_HASH: 3, DATA_KEY: 4 } as const;

export type MetaName = (typeof META)[keyof typeof META];

/** Half-open range of database keys. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

export const HEAD_KEY: Uint8Array = Uint8Array.of(KEY.HEAD);

export const BASE_KEY: Uint8Array = Uint8Array.of(KEY.BASE);

export function metaKey(name: MetaName): Uint8Array {
  return Uint8Array.of(KEY.META, name);
}

export function heightKey(prefix: KeyPrefix, height: number): Uint8Array {
  return new Writer(9).u8(prefix).u64(height).finish();
}

/** @param bytes an id or a public key */
export function bytesKeyOf(prefix: KeyPrefix, bytes: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + bytes.length);
  key[0] = prefix;
  key.set(bytes, 1);
  return key;
}

export function stateDbKey(key: StateKey): Uint8Array {
  return textKeyOf(KEY.STATE, key);
}

/** @param key a character a byte, as `bytesKey` makes it */
export function textKeyOf(prefix: KeyPrefix, key: string): Uint8Array {
  const bytes = new Uint8Array(1 + key.length);
  bytes[0] = prefix;
  for (let i = 0; i < key.length; i++) bytes[i + 1] = key.charCodeAt(i);
  return bytes;
}

export function prefixRange(prefix: KeyPrefix): KeyRange {
  return { gte: Uint8Array.of(prefix), lt: Uint8Array.of(prefix + 1) };
}

export function encodeU64(value: number): Uint8Array {
  return new Writer(8).u64(value).finish();
}

/** @throws NodeError CODEC */
export function decodeU64(bytes: Uint8Array): number {
  const reader = new Reader(bytes, 'stored number');
  const value = reader.u64();
  reader.end();
  return value;
}
