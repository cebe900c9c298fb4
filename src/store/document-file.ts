/**
 * One small JSON document on disk, with a SHA-256 in front of it: after a crash the old or the new one is there, whole,
 * and damage is told from content. Writes asked for while one is under way are made as one.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Json } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import { ensurePrivateFolder, replaceFile } from './files.ts';
import { errorCode, storageError } from './storage-error.ts';

/** Far above what the bounds of those that keep documents allow. */
const MAX_BYTES = 16 * 1024 * 1024;
const DIGEST_CHARS = 64;
const FORMAT = 1;

export interface DocumentStore {
  /** Null when there is none yet. @throws NodeError CORRUPT | DATA_TOO_NEW | STORAGE */
  read(): Promise<Json | null>;
  /** Resolves when what `content` gives is on the disk; it is asked when its write begins. @throws NodeError STORAGE */
  write(content: () => Json): Promise<void>;
}

export class DocumentFile implements DocumentStore {
  readonly #path: string;
  readonly #what: string;
  #writing: Promise<void> = Promise.resolve();
  /** The write that has not begun. */
  #next: Promise<void> | null = null;

  /** @param what completes "could not write …", e.g. "the API keys" */
  constructor(path: string, what: string) {
    this.#path = path;
    this.#what = what;
  }

  async read(): Promise<Json | null> {
    const text = await this.#text();
    if (text === null) return null;
    const [digest, body] = [text.slice(0, DIGEST_CHARS), text.slice(DIGEST_CHARS + 1)];
    if (text[DIGEST_CHARS] !== '\n' || digestOf(body) !== digest) {
      throw new NodeError('CORRUPT', `the file of ${this.#what} is damaged: its content is not what was written`, {
        data: { path: this.#path },
        hint: 'put back a copy, or move the file away: what it held is then gone',
      });
    }
    const { format, content } = JSON.parse(body) as { readonly format: number; readonly content: Json };
    if (format === FORMAT) return content;
    throw new NodeError(
      'DATA_TOO_NEW',
      `the file of ${this.#what} has format ${format}, this program knows ${FORMAT}`,
      {
        data: { path: this.#path, format, known: FORMAT },
        hint: 'start the newer program',
      },
    );
  }

  write(content: () => Json): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        this.#writing = this.#replace(JSON.stringify({ format: FORMAT, content: content() }));
        return this.#writing;
      });
    return this.#next;
  }

  async #text(): Promise<string | null> {
    try {
      const file = await open(this.#path, 'r');
      try {
        const { size } = await file.stat();
        // Of this program there is no such file: its digest will not hold.
        if (size > MAX_BYTES) return '';
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw storageError(error, `read ${this.#what}`, this.#path);
    }
  }

  async #replace(body: string): Promise<void> {
    try {
      await ensurePrivateFolder(dirname(this.#path));
      await replaceFile(this.#path, Buffer.from(`${digestOf(body)}\n${body}`));
    } catch (error) {
      throw storageError(error, `write ${this.#what}`, this.#path);
    }
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
