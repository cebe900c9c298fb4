/** One machine's disk: what is on it survives the process, what is on its way is settled at the crash. */
import type { DiskPart, GuardDisk } from '../../src/store/guard-disk.ts';
import type { Prng } from './prng.ts';

const SECTOR_BYTES = 512;

/** What happens to a write: each of them at the boundary named. */
export type WriteFate = 'ok' | 'EIO' | 'ENOSPC' | 'crash-before' | 'crash-during' | 'crash-after';

export interface DiskFaults {
  fate(what: 'guard' | 'store'): WriteFate;
  latencyMs(): number;
  after(ms: number, run: () => void): void;
  crash(boundary: string): void;
}

interface Write {
  /** Puts it on the disk. */
  readonly apply: () => void;
  /** What a crash in the middle leaves. */
  readonly tear: () => void;
}

/** The writes of one process. After its end nothing of it reaches the disk, and it never hears of what it waited for. */
export class ProcessDisk {
  readonly #faults: DiskFaults;
  readonly #rng: Prng;
  readonly #inFlight = new Set<Write>();
  #dead = false;

  constructor(faults: DiskFaults, rng: Prng) {
    this.#faults = faults;
    this.#rng = rng;
  }

  /** The process ends now: each write on its way arrives, or does not, or in part. */
  end(): void {
    this.#dead = true;
    for (const write of this.#inFlight) {
      const luck = this.#rng.next();
      if (luck < 0.3) write.apply();
      else if (luck < 0.7) write.tear();
    }
    this.#inFlight.clear();
  }

  /** Resolves when it is on the disk. */
  async write(what: 'guard' | 'store', write: Write): Promise<void> {
    if (this.#dead) return never();
    this.#inFlight.add(write);
    const ms = this.#faults.latencyMs();
    if (ms > 0) {
      await new Promise<void>((resolve) => {
        this.#faults.after(ms, resolve);
      });
    }
    if (this.#isDead()) return never();
    this.#inFlight.delete(write);
    // Decided at the end, so that no fault reaches into a time without faults.
    const fate = this.#faults.fate(what);
    switch (fate) {
      case 'crash-before':
        return this.#crash(`${what} before`);
      case 'ok':
        write.apply();
        return;
      case 'EIO':
      case 'ENOSPC': {
        // Whether a failed sync reached the disk is not known to anyone.
        const luck = this.#rng.next();
        if (luck < 0.33) write.apply();
        else if (luck < 0.66) write.tear();
        const message = fate === 'EIO' ? 'EIO: input/output error' : 'ENOSPC: no space left on device';
        throw Object.assign(new Error(message), { code: fate });
      }
      case 'crash-during':
        write.tear();
        return this.#crash(`${what} during`);
      case 'crash-after':
        write.apply();
        return this.#crash(`${what} after`);
    }
  }

  #crash(boundary: string): Promise<never> {
    this.#faults.crash(boundary);
    return never();
  }

  #isDead(): boolean {
    return this.#dead;
  }
}

/** What a process that is no more waits for. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}

export type Files = Map<string, Uint8Array>;

/**
 * @param sectors a power cut leaves any sectors of the part being written; a killed process leaves a prefix of the parts
 */
export function simGuardDisk(files: Files, disk: ProcessDisk, rng: Prng, sectors: boolean): GuardDisk {
  const put = (name: string, part: DiskPart): void => {
    const old = files.get(name) ?? new Uint8Array();
    const file = new Uint8Array(Math.max(old.length, part.at + part.bytes.length));
    file.set(old);
    file.set(part.bytes, part.at);
    files.set(name, file);
  };
  const tear = (name: string, parts: readonly DiskPart[]): void => {
    const old = files.get(name);
    if (!old) return;
    if (!sectors) {
      for (const part of parts.slice(0, rng.below(parts.length))) put(name, part);
      return;
    }
    const synced = rng.below(parts.length);
    for (const part of parts.slice(0, synced)) put(name, part);
    const before = files.get(name) ?? old;
    const part = parts[synced];
    if (part) put(name, part);
    const torn = (files.get(name) ?? before).slice();
    for (let at = 0; at < before.length; at += SECTOR_BYTES) {
      if (rng.chance(0.5)) torn.set(before.subarray(at, at + SECTOR_BYTES), at);
    }
    files.set(name, torn);
  };
  return {
    read: (name, maxBytes) => Promise.resolve(files.get(name)?.slice(0, maxBytes)),
    writeSynced: (name, parts) =>
      disk.write('guard', {
        apply: () => {
          for (const part of parts) put(name, part);
        },
        tear: () => {
          tear(name, parts);
        },
      }),
    remove: (name) => {
      files.delete(name);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
