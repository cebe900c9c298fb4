/** From the content of a job to what a back end takes: blobs fetched, and opened when all of them are there. */
import type { Address } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { ContentPart, JobPart } from '../../chain/market/content.ts';
import { blobsOf } from '../../chain/market/content.ts';
import type { Clock } from '../../clock.ts';
import { openBlob } from '../blobs/cipher.ts';
import { fetchBlob, ownerOfClient } from './fetch-blob.ts';
import type { MinerBlobs } from './ports.ts';

export interface GatherModules {
  readonly blobs: MinerBlobs;
  readonly hasher: Hasher;
  readonly clock: Clock;
}

export interface GatherFor {
  readonly client: Address;
  /** Where the work stream comes from now; null while there is none. */
  readonly peer: () => string | null;
  readonly signal: AbortSignal;
}

/** What blobs hold is in memory once, from now on. @throws NodeError see `fetchBlob` and `openBlob` */
export async function gatherParts(
  { blobs, hasher, clock }: GatherModules,
  parts: readonly JobPart[],
  { client, peer, signal }: GatherFor,
): Promise<ContentPart[]> {
  const { shelf } = blobs;
  const source = {
    peer,
    ask: (...asked: Parameters<MinerBlobs['ask']>) => blobs.ask(...asked),
    onLie: (...told: Parameters<MinerBlobs['onLie']>) => {
      blobs.onLie(...told);
    },
  };
  const releases: (() => void)[] = [];
  try {
    for (const ref of blobsOf(parts)) {
      releases.push(await fetchBlob({ shelf, source, hasher, clock }, ref, ownerOfClient(client), signal));
    }
    const gathered: ContentPart[] = [];
    for (const part of parts) {
      if ('data' in part) gathered.push(part);
      else {
        const { role, mediaType, blob } = part;
        gathered.push({ role, mediaType, data: await openBlob(blob, (leaf) => shelf.leaf(blob.root, leaf)) });
      }
    }
    return gathered;
  } finally {
    for (const release of releases) release();
  }
}
