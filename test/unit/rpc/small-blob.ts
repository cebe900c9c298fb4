/** The least of blobs: one leaf, of a byte and its tag. */
import { toHex } from '../../../src/bytes.ts';
import type { LeafList } from '../../../src/chain/market/blob.ts';
import { blobRoot, encodeLeafList } from '../../../src/chain/market/blob.ts';
import { systemClock } from '../../../src/clock.ts';
import type { BlobShelf } from '../../../src/compute/blobs/shelf.ts';
import { memoryShelf } from '../../../src/compute/blobs/shelf.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';

export const LEAF = new Uint8Array(17).fill(7);
export const LEAF_BODY = JSON.stringify({ leaf: Buffer.from(LEAF).toString('base64') });
const LIST: LeafList = { sealedBytes: LEAF.length, leaves: [nativeCrypto.hash(LEAF)] };
export const LIST_BYTES = encodeLeafList(LIST);
export const LIST_BODY = JSON.stringify({ list: toHex(LIST_BYTES) });
export const ROOT = blobRoot(nativeCrypto, LIST);

/** With room for so much. */
export function shelfOf(maxBytes?: number): BlobShelf {
  return memoryShelf(nativeCrypto, systemClock, maxBytes);
}

/** Its list is known. @returns the root in hex */
export async function begun(shelf: BlobShelf): Promise<string> {
  return toHex(await shelf.begin(LIST, 'somebody'));
}
