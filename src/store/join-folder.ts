/**
 * What a node that joins by a snapshot has got so far, in files that survive its death: the target once it is proven,
 * then each chunk as it comes, verified. Nothing is trusted that another process may have half written: the target bears
 * its own hash, and the chunks prove themselves together by the state root.
 *
 *     joining/target        manifest, block and certificate of the snapshot's height
 *     joining/chunk-<n>     one chunk
 */
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import { decodeBlock, encodeBlock, MAX_BLOCK_BYTES } from '../chain/block.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { StateManifest } from '../chain/state-chunks.ts';
import { decodeManifest, encodeManifest, MAX_MANIFEST_BYTES } from '../chain/state-chunks.ts';
import type { Certificate } from '../chain/votes.ts';
import { decodeCertificate, encodeCertificate } from '../chain/votes.ts';
import { ensurePrivateFolder, readBytes, replaceFile } from './files.ts';

const VERSION = 1;
const MAX_CERTIFICATE_BYTES = 16 * 1024;

/** A snapshot whose block and state root are proven. */
export interface JoinTarget {
  readonly manifest: StateManifest;
  readonly block: Block;
  readonly certificate: Certificate;
}

export class JoinFolder {
  readonly #folder: string;
  readonly #hasher: Hasher;

  constructor(folder: string, hasher: Hasher) {
    this.#folder = folder;
    this.#hasher = hasher;
  }

  /** What was begun and not finished; null when there is nothing, or nothing that can be used. */
  async target(): Promise<JoinTarget | null> {
    try {
      return decodeTarget(this.#hasher, await readBytes(join(this.#folder, 'target')));
    } catch {
      return null;
    }
  }

  /** Forgets what there was. */
  async begin(target: JoinTarget): Promise<void> {
    await this.clear();
    await ensurePrivateFolder(this.#folder);
    await replaceFile(join(this.#folder, 'target'), encodeTarget(this.#hasher, target));
  }

  /** Indexes of the chunks that are here. */
  async chunks(): Promise<Set<number>> {
    const names = await readdir(this.#folder).catch((): string[] => []);
    return new Set(names.flatMap((name) => /^chunk-(\d{1,6})$/.exec(name)?.[1] ?? []).map(Number));
  }

  /** Whole or not at all after a crash of the process; not synced, for the state root tells what a power cut took. */
  async put(index: number, bytes: Uint8Array): Promise<void> {
    const path = this.#path(index);
    await writeFile(`${path}.part`, bytes, { mode: 0o600 });
    await rename(`${path}.part`, path);
  }

  async read(index: number): Promise<Uint8Array> {
    return readBytes(this.#path(index));
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
  return new Writer(body.length + 32).raw(body).raw(hasher.hash(body)).finish();
}

/** @throws NodeError CODEC */
function decodeTarget(hasher: Hasher, bytes: Uint8Array): JoinTarget {
  const reader = new Reader(bytes, 'target of joining');
  if (bytes.length < 32 || !equalBytes(hasher.hash(bytes.subarray(0, -32)), bytes.subarray(-32))) {
    throw reader.reject('non-canonical');
  }
  if (reader.u16() !== VERSION) throw reader.reject('out-of-range');
  const target = {
    manifest: decodeManifest(hasher, reader.bytes32(MAX_MANIFEST_BYTES)),
    block: decodeBlock(hasher, reader.bytes32(2 * MAX_BLOCK_BYTES)),
    certificate: decodeCertificate(reader.bytes32(MAX_CERTIFICATE_BYTES)),
  };
  reader.fixed(32);
  reader.end();
  return target;
}
