/**
 * A miner's way to the input that a job names: from the node where its work stream comes from, every leaf checked. What has
 * come stays on the shelf, so that neither another stream nor another start asks for it again.
 */
import type { Hash } from '../../bytes.ts';
import { equalBytes, toHex } from '../../bytes.ts';
import type { BlobRef, LeafList } from '../../chain/market/blob.ts';
import { blobRoot, decodeLeafList, sealedBytesOf } from '../../chain/market/blob.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { Clock } from '../../clock.ts';
import { delay } from '../../clock.ts';
import type { ErrorCode } from '../../errors.ts';
import { isNodeError, NodeError, toNodeError } from '../../errors.ts';
import type { BlobRequest } from '../../../protocols/messages.ts';
import type { BlobShelf } from '../blobs/shelf.ts';

/** Leaves asked for at once. */
const WINDOW = 4;
const RETRY_MS = 500;
/** A node that has not got a part so often has not got it at all. */
const MAX_ABSENT = 10;
/** Another stream, or a moment later, may do. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['UNREACHABLE', 'TIMEOUT', 'RATE_LIMITED', 'PEER_QUOTA', 'NOT_FOUND']);

export interface BlobSource {
  /** Null while there is no stream. */
  peer(): string | null;
  /** @throws NodeError of the peer or of the way to it */
  ask(peer: string, request: BlobRequest, signal: AbortSignal): Promise<Uint8Array>;
  /** It gave what is not that part: no honest node does. */
  onLie(peer: string, reason: string): void;
}

export interface FetchModules {
  readonly shelf: BlobShelf;
  readonly source: BlobSource;
  readonly hasher: Hasher;
  readonly clock: Clock;
}

/**
 * Resolves when all of it is on the shelf, where it stays until it is let go.
 *
 * @param owner whose part of the shelf it takes
 * @returns lets it go
 * @throws NodeError BAD_PROOF naming who lied | NOT_FOUND | BAD_JOB | BUSY no room | CANCELED | STORAGE
 */
export async function fetchBlob(
  { shelf, source, hasher, clock }: FetchModules,
  { root, bytes }: BlobRef,
  owner: string,
  signal: AbortSignal,
): Promise<() => void> {
  const failed = new AbortController();
  const over = AbortSignal.any([signal, failed.signal]);
  const part = (number: number): ReturnType<typeof askPart> => askPart(source, clock, { root, part: number }, over);
  const list = shelf.list(root) ?? (await fetchList(hasher, source, root, part));
  if (list.sealedBytes !== sealedBytesOf(bytes))
    throw new NodeError('BAD_JOB', 'a blob has another size than the job says');
  await shelf.begin(list, owner);
  const release = shelf.hold(root);
  try {
    const wanted = (shelf.missing(root) ?? []).values();
    const pull = async (): Promise<void> => {
      for (const leaf of wanted) {
        const { peer, answer } = await part(leaf + 1);
        await putLeaf(shelf, source, { root, leaf, peer, answer });
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, pull));
  } catch (error) {
    failed.abort();
    release();
    throw error;
  }
  return release;
}

async function fetchList(
  hasher: Hasher,
  source: BlobSource,
  root: Hash,
  part: (number: number) => ReturnType<typeof askPart>,
): Promise<LeafList> {
  const { peer, answer } = await part(0);
  const list = listOf(answer);
  if (list && equalBytes(blobRoot(hasher, list), root)) return list;
  throw lie(source, peer, 'a list of leaves that is not of the blob asked for');
}

function listOf(answer: Uint8Array): LeafList | null {
  try {
    return decodeLeafList(answer);
  } catch (error) {
    if (isNodeError(error)) return null;
    throw error;
  }
}

async function putLeaf(
  shelf: BlobShelf,
  source: BlobSource,
  {
    root,
    leaf,
    peer,
    answer,
  }: { readonly root: Hash; readonly leaf: number; readonly peer: string; readonly answer: Uint8Array },
): Promise<void> {
  try {
    await shelf.put(root, leaf, answer);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'BAD_PROOF') throw error;
    throw lie(source, peer, `a leaf ${leaf} that is not of the blob asked for`);
  }
}

function lie(source: BlobSource, peer: string, what: string): NodeError {
  source.onLie(peer, `it gave ${what}`);
  return new NodeError('BAD_PROOF', `the node ${peer}, where the work stream comes from, gave ${what}`, {
    data: { peer },
  });
}

async function askPart(
  source: BlobSource,
  clock: Clock,
  request: BlobRequest,
  signal: AbortSignal,
): Promise<{ readonly peer: string; readonly answer: Uint8Array }> {
  for (let absent = 0; ; ) {
    if (signal.aborted) throw new NodeError('CANCELED', 'the attempt is over');
    const peer = source.peer();
    try {
      if (peer !== null) return { peer, answer: await source.ask(peer, request, signal) };
    } catch (error) {
      const { code } = toNodeError(error);
      if (code === 'NOT_FOUND') absent++;
      if (!PASSING.has(code) || absent >= MAX_ABSENT) throw error;
    }
    await delay(clock, RETRY_MS);
  }
}

/** Whose part of a miner's shelf the inputs of a client take. */
export function ownerOfClient(client: Uint8Array): string {
  return `client ${toHex(client)}`;
}
