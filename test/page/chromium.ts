/** Headless Chromium without a library: it opens a page, which reports by a request of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** Path of a browser on this machine. */
export function findChromium(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const path of NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not this one.
    }
  }
  return null;
}

export class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  /** Rejects when it ends by itself. */
  readonly failure: Promise<never>;
  #stderr = '';

  constructor(path: string, url: string) {
    this.#profile = mkdtempSync(join(tmpdir(), 'aitbc-chromium-'));
    const args = [...FLAGS, `--user-data-dir=${this.#profile}`, '--remote-debugging-port=0', url];
    // A group of its own: its helpers end with it.
    this.#child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-4000);
    });
    this.failure = new Promise((_, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', () => {
        reject(new Error(`the browser ended: ${this.#stderr}`));
      });
    });
    this.failure.catch(() => undefined);
  }

  async close(): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, 'close') : null;
    if (ended && this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
