/**
 * Inputs too large to travel with a job: sealed here, uploaded to a node that cannot read them, and asked for there by the
 * miner that gets the job. An upload that broke off goes on with what is missing.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, keyBytes, toHex } from '../bytes.ts';
import { pureCrypto } from '../chain/crypto/pure.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import { encodeLeafList } from '../chain/market/blob.ts';
import type { LeafList } from '../chain/market/blob.ts';
import { sealBlob } from '../compute/blobs/cipher.ts';
import type { BlobShelf } from '../compute/blobs/shelf.ts';
import type { Blobs } from '../compute/coordinator/ports.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import { pause } from './pause.ts';

/** Leaves under way at once. */
const WINDOW = 4;
/** A node removes what is idle for ten minutes. */
const REFRESH_MS = 4 * 60_000;
const LONGEST_PAUSE_S = 30;

type Uploader = Pick<Client, 'beginBlob' | 'putLeaf'>;

/** As a part of `POST /v1/jobs` names it. */
export interface UploadedBlob {
  readonly root: string;
  readonly bytes: number;
  readonly key: string;
  readonly sha256: string;
}

export interface RelayBlobs extends Blobs {
  close(): void;
}

/**
 * An input for a job that the node pays for: its part is `{"blob": …}` with what this resolves to. The node keeps what no
 * job names for ten minutes.
 *
 * @throws NodeError TOO_LARGE | BUSY when the node has no room
 */
export async function uploadInput(
  client: Uploader,
  input: Uint8Array,
  { hasher = pureCrypto, signal }: { readonly hasher?: Hasher; readonly signal?: AbortSignal } = {},
): Promise<UploadedBlob> {
  const { ref, list, leaf } = await sealBlob(hasher, input, crypto.getRandomValues(new Uint8Array(32)));
  await upload(client, ref.root, list, leaf, signal ?? new AbortController().signal);
  return { root: toHex(ref.root), bytes: ref.bytes, key: toHex(ref.key), sha256: toHex(ref.textHash) };
}

/** Those of the coordinator of a client that is no peer, at the node that relays its work streams. */
export function createRelayBlobs(client: Uploader, shelf: BlobShelf): RelayBlobs {
  const offered = new Set<string>();
  const closing = new AbortController();
  const bring = async (root: Hash, signal: AbortSignal): Promise<void> => {
    const list = shelf.list(root);
    if (!list) throw new NodeError('NOT_FOUND', 'the input of the job is not here any more');
    await upload(client, root, list, (leaf) => shelf.leaf(root, leaf), signal);
  };
  const timer = setInterval(() => {
    for (const key of offered) {
      const root = keyBytes(key);
      if (!shelf.isHeld(root)) offered.delete(key);
      // The next turn does it; and the job waits until it is asked for.
      else bring(root, closing.signal).catch(() => undefined);
    }
  }, REFRESH_MS);
  return {
    shelf,
    offer: async (root, signal) => {
      await bring(root, AbortSignal.any([signal, closing.signal]));
      offered.add(bytesKey(root));
    },
    close: () => {
      clearInterval(timer);
      closing.abort(new NodeError('CANCELED', 'the client stops'));
    },
  };
}

async function upload(
  client: Uploader,
  root: Hash,
  list: LeafList,
  leaf: (index: number) => Promise<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const { missing } = await paced(() => client.beginBlob(encodeLeafList(list), signal), signal);
  const left = new Set(missing.filter((at) => at < list.leaves.length)).values();
  const put = async (): Promise<void> => {
    for (const at of left) {
      const bytes = await leaf(at);
      await paced(() => client.putLeaf(toHex(root), at, bytes, signal), signal);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, put));
}

/** At the pace that the node allows. */
async function paced<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!isNodeError(error)) throw error;
      if (error.code === 'NOT_FOUND' || error.code === 'METHOD_NOT_FOUND') throw notTaken(error);
      if (error.code !== 'RATE_LIMITED') throw error;
      const pauseS = Number(error.data['retry_after_s'] ?? 1);
      await pause(1000 * Math.min(LONGEST_PAUSE_S, Number.isFinite(pauseS) ? pauseS : 1), signal);
    }
  }
}

/** It was idle there for too long, or the node is of an earlier version. */
function notTaken(cause: NodeError): NodeError {
  return new NodeError('UNREACHABLE', 'the node does not take the input of the job', {
    hint: 'try again, or use another node',
    cause,
  });
}
