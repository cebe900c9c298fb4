/** Asking for the parts of a blob: `src/chain/market/blob.ts` says what they are. */
import { Reader, Writer } from '../src/chain/codec.ts';
import { LEAF_BYTES, MAX_LEAVES } from '../src/chain/market/blob.ts';
import type { BlobRequest } from './messages.ts';

export function encodeBlobRequest({ root, part }: BlobRequest): Uint8Array {
  return new Writer(34).fixed(root, 32).u16(part).finish();
}

/** @throws NodeError CODEC */
export function decodeBlobRequest(bytes: Uint8Array): BlobRequest {
  const reader = new Reader(bytes, 'blob request');
  const request = { root: reader.fixed(32), part: reader.u16() };
  if (request.part > MAX_LEAVES) throw reader.reject('out-of-range');
  reader.end();
  return request;
}

/** As it is: who asked checks a list against the root, and a leaf against the list. @throws NodeError CODEC */
export function cappedBlobResponse(bytes: Uint8Array): Uint8Array {
  if (bytes.length > LEAF_BYTES) throw new Reader(bytes, 'blob response').reject('over-cap');
  return bytes;
}
