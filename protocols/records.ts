/**
 * Peer records on request: where a peer can be found, signed by itself, from whoever is connected to it. A host asks for
 * those whom its operator named and who do not answer where they used to.
 */
import { Reader, Writer } from '../src/chain/codec.ts';
import { MAX_PEER_ID_BYTES } from './codec.ts';

export const RECORDS_PROTOCOL = '/aitbc/records/1';
/** Peers asked for at once. */
export const MAX_RECORDS = 8;
/** Of a record: libp2p's signed envelope of a peer record. */
export const MAX_RECORD_BYTES = 4_096;

export const MAX_RECORDS_REQUEST_BYTES = 1 + MAX_RECORDS * (1 + MAX_PEER_ID_BYTES);
export const MAX_RECORDS_ANSWER_BYTES = 1 + MAX_RECORDS * (2 + MAX_RECORD_BYTES);

/** @throws NodeError CODEC */
export function encodeRecordsRequest(peers: readonly string[]): Uint8Array {
  const writer = new Writer(256);
  writer.u8(peers.length);
  for (const peer of peers) writer.ascii8(peer);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeRecordsRequest(bytes: Uint8Array): string[] {
  const reader = new Reader(bytes, 'records request');
  const peers = Array.from({ length: readCount(reader) }, () => reader.ascii8(MAX_PEER_ID_BYTES));
  reader.end();
  return peers;
}

/** @throws NodeError CODEC */
export function encodeRecordsAnswer(records: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer(1_024);
  writer.u8(records.length);
  for (const record of records) writer.bytes16(record);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeRecordsAnswer(bytes: Uint8Array): Uint8Array[] {
  const reader = new Reader(bytes, 'records answer');
  const records = Array.from({ length: readCount(reader) }, () => reader.bytes16(MAX_RECORD_BYTES));
  reader.end();
  return records;
}

/** @throws NodeError CODEC */
function readCount(reader: Reader): number {
  const count = reader.u8();
  if (count > MAX_RECORDS) throw reader.reject('over-cap');
  return count;
}
