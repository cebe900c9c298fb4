/** The disk as the sign guard needs it. The simulator brings its own, which loses and tears what was not synced. */
import { fdatasyncSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateFolder, replaceFile, syncFolder, writeAll } from './files.ts';
import { errorCode } from './storage-error.ts';

/** Bytes at an offset of a file. */
export interface DiskPart {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface GuardDisk {
  /** Undefined when there is no such file. No more than `maxBytes` bytes are read. */
  read(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /**
   * Overwrites parts of a file, each on the disk before the next is begun, and resolves when all are. A power cut leaves
   * any sectors of the part that was being written. Where no such file was, it appears whole or not at all.
   */
  writeSynced(name: string, parts: readonly DiskPart[]): Promise<void>;
  /** Nothing happens when there is no such file. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Files in a folder of their own, made with the first write. */
export function nodeGuardDisk(folder: string): GuardDisk {
  return new NodeGuardDisk(folder);
}

/** Longer than this nothing else of the node shall wait for a disk. */
const SLOW_MS = 10;
/** Parts that go through Node's threads after a slow one, and twice as many each time that the next one is slow too. */
const PARTS_ASIDE = { least: 1, most: 512 };
/** Nor for more bytes at once: a block of 250 kB takes 1 ms. */
const MAX_BYTES = 512 * 1024;

/**
 * Whether this thread waits for the disk itself. Agreement waits for each signature, and a part takes two turns of the event
 * loop through Node's threads: on four loaded validators that share a disk 7 ms at the median and 30 to 40 at the ninth decile,
 * instead of 1.5 and 6. A disk that is always slow blocks this thread for one part in 500.
 */
export class DiskPace {
  #aside = 0;
  #nextAside = PARTS_ASIDE.least;

  /** Asked once for each part. */
  mayWait(bytes: number): boolean {
    if (bytes > MAX_BYTES) return false;
    if (this.#aside === 0) return true;
    this.#aside--;
    return false;
  }

  /** Of a part that this thread waited for. */
  onWaited(ms: number): void {
    if (ms <= SLOW_MS) {
      this.#nextAside = PARTS_ASIDE.least;
      return;
    }
    this.#aside = this.#nextAside;
    this.#nextAside = Math.min(PARTS_ASIDE.most, 2 * this.#nextAside);
  }
}

class NodeGuardDisk implements GuardDisk {
  readonly #folder: string;
  readonly #pace = new DiskPace();
  readonly #files = new Map<string, FileHandle>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const file = await this.#open(name);
    if (!file) return undefined;
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, maxBytes));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  }

  async writeSynced(name: string, parts: readonly DiskPart[]): Promise<void> {
    const file = await this.#open(name);
    if (!file) {
      await ensurePrivateFolder(this.#folder);
      await replaceFile(join(this.#folder, name), joinParts(parts));
      return;
    }
    for (const part of parts) await this.#writePart(file, part);
  }

  async #writePart(file: FileHandle, { at, bytes }: DiskPart): Promise<void> {
    if (!this.#pace.mayWait(bytes.length)) {
      await writeAll(file, bytes, at);
      await file.datasync();
      return;
    }
    const startedMs = performance.now();
    for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done, bytes.length - done, at + done);
    fdatasyncSync(file.fd);
    this.#pace.onWaited(performance.now() - startedMs);
  }

  async remove(name: string): Promise<void> {
    const file = this.#files.get(name);
    this.#files.delete(name);
    await file?.close();
    try {
      await unlink(join(this.#folder, name));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    await syncFolder(this.#folder);
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await file.close();
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    const known = this.#files.get(name);
    if (known) return known;
    try {
      const file = await open(join(this.#folder, name), 'r+');
      this.#files.set(name, file);
      return file;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function joinParts(parts: readonly DiskPart[]): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, ...parts.map((part) => part.at + part.bytes.length)));
  for (const part of parts) bytes.set(part.bytes, part.at);
  return bytes;
}
