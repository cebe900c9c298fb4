/**
 * What a node that joins by a snapshot has got so far, in files that survive its death: the target once it is proven,
 * then each chunk as it comes, verified. It is a cache of what peers give: every file bears its own hash, and one that is
 * not as it was written is told of, removed and fetched again. At the end the chunks prove themselves together by the
 * state root.
 *
 *     joining/target        manifest, block and certificate of the snapshot's height
 *     joining/chunk-<n>     one chunk
 */
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hash } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import { decodeBlock, encodeBlock, MAX_BLOCK_BYTES } from '../chain/block.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { StateManifest } from '../chain/state-chunks.ts';
import { decodeManifest, encodeManifest, MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES } from '../chain/state-chunks.ts';
import type { Certificate } from '../chain/votes.ts';
import { decodeCertificate, encodeCertificate } from '../chain/votes.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { ensurePrivateFolder, readBytes, replaceFile } from './files.ts';
import { errorCode } from './storage-error.ts';

const VERSION = 1;
const MAX_CERTIFICATE_BYTES = 16 * 1024;
const HASH_BYTES = 32;

/** A snapshot whose block and state root are proven. */
export interface JoinTarget {
  readonly manifest: StateManifest;
  readonly block: Block;
  readonly certificate: Certificate;
}

export class JoinFolder {
  readonly #folder: string;
  readonly #hasher: Hasher;
  readonly #log: Logger;

  constructor(folder: string, hasher: Hasher, log: Logger) {
    this.#folder = folder;
    this.#hasher = hasher;
    this.#log = log;
  }

  /** What was begun and not finished; null when there is nothing, or nothing that can be used. */
  async target(): Promise<JoinTarget | null> {
    try {
      return decodeTarget(this.#hasher, await readBytes(join(this.#folder, 'target')));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        this.#log.warn('what was known of a snapshot is damaged on this disk: joining begins anew', {
          error: toNodeError(error),
        });
      }
      return null;
    }
  }

  /** Forgets what there was. */
  async begin(target: JoinTarget): Promise<void> {
    await this.clear();
    await ensurePrivateFolder(this.#folder);
    await replaceFile(join(this.#folder, 'target'), encodeTarget(this.#hasher, target));
  }

  /**
   * Indexes of the chunks that are here, all of them read: one that is not as it was put is removed. Ends early when the
   * signal says so.
   */
  async chunks(signal?: AbortSignal): Promise<Set<number>> {
    const names = await readdir(this.#folder).catch((): string[] => []);
    const whole = new Set<number>();
    for (const name of names) {
      const number = /^chunk-(0|[1-9]\d{0,5})$/.exec(name)?.[1];
      if (signal?.aborted === true) break;
      if (number === undefined) continue;
      const index = Number(number);
      try {
        await this.read(index);
        whole.add(index);
      } catch (error) {
        this.#log.warn('a fetched chunk is damaged on this disk: it is fetched again', {
          index,
          error: toNodeError(error),
        });
        await rm(this.#path(index), { recursive: true, force: true });
      }
    }
    return whole;
  }

  /** Whole or not at all after a crash of the process; not synced, for its hash tells what a power cut took. */
  async put(index: number, bytes: Uint8Array): Promise<void> {
    const path = this.#path(index);
    await writeFile(`${path}.part`, encodeChunkFile(this.#hasher, index, bytes), { mode: 0o600 });
    await rename(`${path}.part`, path);
  }

  /** @throws NodeError CORRUPT when it is not as it was put */
  async read(index: number): Promise<Uint8Array> {
    try {
      return decodeChunkFile(this.#hasher, index, await readBytes(this.#path(index)));
    } catch (error) {
      throw new NodeError('CORRUPT', 'a fetched chunk of a snapshot is not as it was written', {
        data: { index },
        hint: 'check the disk, and start the node again: what is damaged is fetched anew',
        cause: error,
      });
    }
  }

  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #path(index: number): string {
    return join(this.#folder, `chunk-${index}`);
  }
}

/** u16 version; manifest, block and certificate as bytes32; SHA-256 of all before. */
function encodeTarget(hasher: Hasher, { manifest, block, certificate }: JoinTarget): Uint8Array {
  const body = new Writer(4_096)
    .u16(VERSION)
    .bytes32(encodeManifest(manifest))
    .bytes32(encodeBlock(block))
    .bytes32(encodeCertificate(certificate))
    .finish();
  return sealed(hasher, body);
}

/** @throws NodeError CODEC */
function decodeTarget(hasher: Hasher, bytes: Uint8Array): JoinTarget {
  const reader = new Reader(unsealed(hasher, bytes), 'target of joining');
  if (reader.u16() !== VERSION) throw reader.reject('out-of-range');
  const target = {
    manifest: decodeManifest(hasher, reader.bytes32(MAX_MANIFEST_BYTES)),
    block: decodeBlock(hasher, reader.bytes32(2 * MAX_BLOCK_BYTES)),
    certificate: decodeCertificate(reader.bytes32(MAX_CERTIFICATE_BYTES)),
  };
  reader.end();
  return target;
}

/** u32 index, the chunk as bytes32; SHA-256 of all before. */
function encodeChunkFile(hasher: Hasher, index: number, bytes: Uint8Array): Uint8Array {
  return sealed(hasher, new Writer(8 + bytes.length).u32(index).bytes32(bytes).finish());
}

/** @throws NodeError CODEC, also for a chunk of another index */
function decodeChunkFile(hasher: Hasher, index: number, bytes: Uint8Array): Uint8Array {
  const reader = new Reader(unsealed(hasher, bytes), 'fetched chunk');
  if (reader.u32() !== index) throw reader.reject('out-of-range');
  const chunk = reader.bytes32(MAX_CHUNK_BYTES);
  reader.end();
  return chunk;
}

function sealed(hasher: Hasher, body: Uint8Array): Uint8Array {
  return new Writer(body.length + HASH_BYTES).raw(body).raw(hasher.hash(body)).finish();
}

/** @throws NodeError CODEC */
function unsealed(hasher: Hasher, bytes: Uint8Array): Uint8Array {
  const body = bytes.subarray(0, -HASH_BYTES);
  const hash: Hash = bytes.subarray(-HASH_BYTES);
  if (bytes.length >= HASH_BYTES && equalBytes(hasher.hash(body), hash)) return body;
  throw new NodeError('CODEC', 'a file of joining does not have its hash', { data: { bytes: bytes.length } });
}
