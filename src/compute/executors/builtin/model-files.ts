/** The GGUF files that can be served: the one that comes with the program, and those of a folder of the home. */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../../log.ts';
import { packageRoot } from './package-root.ts';

export interface ModelFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly digest: Uint8Array;
  readonly bundled: boolean;
}

const BUNDLED_MODEL = 'aitbc-tiny-1m';

const MAX_FILES = 64;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/;
const PART_OF_SEVERAL = /-\d{5}-of-\d{5}$/;

/** Digests of files that have not changed since: a large model takes seconds to hash. */
export class ModelFiles {
  readonly #folder: string | null;
  readonly #maxBytes: number;
  readonly #log: Logger;
  readonly #digests = new Map<string, { readonly stamp: string; readonly digest: Uint8Array }>();

  constructor(options: { readonly folder: string | null; readonly maxBytes: number; readonly log: Logger }) {
    this.#folder = options.folder;
    this.#maxBytes = options.maxBytes;
    this.#log = options.log;
  }

  async list(signal: AbortSignal): Promise<ModelFile[]> {
    const files: ModelFile[] = [];
    const bundled = bundledPath();
    if (bundled !== null) files.push(await this.#describe(BUNDLED_MODEL, bundled, await stat(bundled), true, signal));
    for (const name of await this.#namesInFolder()) {
      const path = join(this.#folder ?? '', `${name}.gguf`);
      const stats = await stat(path).catch(() => null);
      if (stats === null || !stats.isFile()) continue;
      if (stats.size > this.#maxBytes) this.#skip(path, `larger than the ${this.#maxBytes} bytes allowed`);
      else files.push(await this.#describe(name, path, stats, false, signal));
    }
    return files;
  }

  async #namesInFolder(): Promise<string[]> {
    const entries = this.#folder === null ? [] : await readdir(this.#folder).catch(() => []);
    const names = entries.filter((entry) => entry.endsWith('.gguf')).map((entry) => entry.slice(0, -'.gguf'.length));
    const usable = names.sort(byCodeUnits).filter((name) => {
      const why = unusable(name);
      if (why !== null) this.#skip(join(this.#folder ?? '', `${name}.gguf`), why);
      return why === null;
    });
    if (usable.length > MAX_FILES) this.#skip(this.#folder ?? '', `more than ${MAX_FILES} models`);
    return usable.slice(0, MAX_FILES);
  }

  async #describe(name: string, path: string, stats: Stats, bundled: boolean, signal: AbortSignal): Promise<ModelFile> {
    const stamp = `${stats.size} ${stats.mtimeMs} ${stats.ino}`;
    let known = this.#digests.get(path);
    if (known?.stamp !== stamp) {
      known = { stamp, digest: await fileDigest(path, signal) };
      this.#digests.set(path, known);
    }
    return { name, path, sizeBytes: stats.size, digest: known.digest, bundled };
  }

  #skip(path: string, reason: string): void {
    this.#log.warn('model file is not offered', { path, reason });
  }
}

function unusable(name: string): string | null {
  if (name === BUNDLED_MODEL) return 'its name is that of the bundled model';
  if (!NAME.test(name)) return 'its name holds other characters than letters, digits and ._:+- or is longer than 64';
  if (PART_OF_SEVERAL.test(name)) return 'a part of several: join them into one file first';
  return null;
}

function bundledPath(): string | null {
  const path = join(packageRoot(), 'models', 'aitbc-tiny.gguf');
  return existsSync(path) ? path : null;
}

async function fileDigest(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { signal, highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer);
  return new Uint8Array(hash.digest());
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
