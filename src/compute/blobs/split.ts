/** From parts of any size to those that fit into the content of a job: the largest become blobs, until the rest fits. */
import type { Hasher } from '../../chain/crypto/types.ts';
import { BLOB_REF_BYTES, MAX_BLOB_BYTES } from '../../chain/market/blob.ts';
import type { ContentParam, ContentPart, JobPart } from '../../chain/market/content.ts';
import { blobBytesOf, encodeContent, MAX_CONTENT_BYTES } from '../../chain/market/content.ts';
import { sealBlob, tooLarge } from './cipher.ts';
import type { BlobShelf } from './shelf.ts';

export interface SplitModules {
  readonly shelf: BlobShelf;
  readonly hasher: Hasher;
  /** Bytes that nobody can guess. */
  readonly random: (bytes: number) => Uint8Array;
  /** Whose part of the shelf they take. */
  readonly owner: string;
}

const SALT = new Uint8Array(32);

/**
 * Blobs are on the shelf when it resolves.
 *
 * @throws NodeError TOO_LARGE | BUSY no room | STORAGE
 */
export async function sealLargeParts(
  params: readonly ContentParam[],
  parts: readonly ContentPart[],
  { shelf, hasher, random, owner }: SplitModules,
): Promise<JobPart[]> {
  const large = largeOf(params, parts);
  const split: JobPart[] = [];
  for (const part of parts) {
    if (!large.has(part)) {
      split.push(part);
      continue;
    }
    const { role, mediaType, data } = part;
    const { ref, list, leaf } = await sealBlob(hasher, data, random(32));
    await shelf.begin(list, owner);
    for (const at of list.leaves.keys()) await shelf.put(ref.root, at, await leaf(at));
    split.push({ role, mediaType, blob: ref });
  }
  return split;
}

/** What a job of these parts is paid for, blobs or not. @throws NodeError TOO_LARGE */
export function inputBytesOf(params: readonly ContentParam[], parts: readonly JobPart[]): number {
  const inline = parts.filter((part) => 'data' in part);
  const large = largeOf(params, inline);
  const slim = parts.map((part) => ('data' in part && large.has(part) ? { ...part, data: NOTHING } : part));
  const gone = inline.filter((part) => large.has(part)).reduce((sum, { data }) => sum + data.length, 0);
  return (
    encodeContent({ salt: SALT, params, parts: slim }).length + large.size * BLOB_REF_BYTES + gone + blobBytesOf(parts)
  );
}

const NOTHING = new Uint8Array();

/** @throws NodeError TOO_LARGE */
function largeOf(params: readonly ContentParam[], parts: readonly ContentPart[]): Set<ContentPart> {
  const empty = parts.map((part) => ({ ...part, data: NOTHING }));
  let bytes = parts.reduce(
    (sum, { data }) => sum + data.length,
    encodeContent({ salt: SALT, params, parts: empty }).length,
  );
  const large = new Set<ContentPart>();
  let blobBytes = 0;
  for (const part of [...parts].sort((a, b) => b.data.length - a.data.length)) {
    if (bytes <= MAX_CONTENT_BYTES) break;
    if (part.data.length <= BLOB_REF_BYTES) throw tooLarge(bytes);
    large.add(part);
    blobBytes += part.data.length;
    bytes += BLOB_REF_BYTES - part.data.length;
  }
  if (blobBytes > MAX_BLOB_BYTES) throw tooLarge(blobBytes);
  return large;
}
