/** The blobs of a coordinator's jobs: there before a job is taken, kept until it has ended, and where miners ask for them. */
import type { BlobRef } from '../../chain/market/blob.ts';
import { sealedBytesOf } from '../../chain/market/blob.ts';
import type { JobPart } from '../../chain/market/content.ts';
import { blobsOf } from '../../chain/market/content.ts';
import { NodeError } from '../../errors.ts';
import { openBlob } from '../blobs/cipher.ts';
import type { Blobs } from './ports.ts';

export class Inputs {
  readonly #blobs: Blobs | null;

  constructor(blobs: Blobs | null) {
    this.#blobs = blobs;
  }

  /** @throws NodeError BAD_JOB */
  check(parts: readonly JobPart[]): void {
    for (const { root, bytes } of blobsOf(parts)) {
      const list = this.#blobs?.shelf.list(root);
      if (!list || this.#blobs?.shelf.isWhole(root) !== true) {
        throw new NodeError('BAD_JOB', 'a blob that the job names is not here, or not all of it', {
          hint: 'upload its list and its leaves, then submit the job',
        });
      }
      if (list.sealedBytes !== sealedBytesOf(bytes)) {
        throw new NodeError('BAD_JOB', 'a blob that the job names has another size', { hint: 'name its size, opened' });
      }
    }
  }

  /** @returns lets them go */
  hold(refs: readonly BlobRef[]): () => void {
    const releases = refs.map(({ root }) => this.#blobs?.shelf.hold(root));
    return () => {
      for (const release of releases) release?.();
    };
  }

  /** @throws NodeError see `Blobs.offer` */
  async offer(refs: readonly BlobRef[], signal: AbortSignal): Promise<void> {
    for (const { root } of refs) await this.#shelved().offer(root, signal);
  }

  /** What a blob holds. @throws NodeError NOT_FOUND | BAD_JOB | STORAGE */
  async read(ref: BlobRef): Promise<Uint8Array> {
    const { shelf } = this.#shelved();
    return openBlob(ref, (leaf) => shelf.leaf(ref.root, leaf));
  }

  #shelved(): Blobs {
    if (this.#blobs) return this.#blobs;
    throw new NodeError('NOT_FOUND', 'this client keeps no blobs');
  }
}
