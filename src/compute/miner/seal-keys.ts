/**
 * The keys by which clients know that a stream is with this miner: a quote names the newest. They are random and kept with
 * all else that the miner keeps, so that attempts go on after a restart, and derived from nothing: who gets hold of the
 * account's key, of which wallets and backups have copies, opens no work that was recorded before.
 */
import { randomBytes } from 'node:crypto';
import { equalBytes } from '../../bytes.ts';
import { MAX_JOB_MS } from '../../chain/market/job.ts';
import type { Sealing, SealKeyPair } from '../../../protocols/market/sealing.ts';
import type { Row, Rows } from '../coordinator/ports.ts';
import type { SealSecret } from './rows.ts';
import { sealSecretKey, sealSecretRow } from './rows.ts';

/** The longest that an attempt takes: no work that began on the one before the last goes on when the next one is made. */
export const ROTATE_MS = MAX_JOB_MS;
/** The newest, and the one before. */
const MAX_KEYS = 2;

export interface SealKeysModules {
  readonly rows: Rows;
  readonly sealing: Sealing;
}

interface Held extends SealSecret {
  readonly keys: SealKeyPair;
}

export class SealKeys {
  readonly #modules: SealKeysModules;
  /** Newest first. */
  #held: readonly Held[];
  #isRotating = false;

  private constructor(modules: SealKeysModules, held: readonly Held[]) {
    this.#modules = modules;
    this.#held = held;
  }

  /** @param kept by an earlier start @throws NodeError STORAGE */
  static async open(modules: SealKeysModules, kept: readonly SealSecret[], nowMs: number): Promise<SealKeys> {
    const held = await Promise.all(kept.map((secret) => hold(modules.sealing, secret)));
    const keys = new SealKeys(modules, held.sort((a, b) => b.madeAtMs - a.madeAtMs).slice(0, MAX_KEYS));
    await keys.rotate(nowMs);
    return keys;
  }

  /** For quotes. */
  get publicKey(): Uint8Array {
    return this.#held[0]?.keys.publicKey ?? new Uint8Array();
  }

  find(publicKey: Uint8Array): SealKeyPair | undefined {
    return this.#held.find(({ keys }) => equalBytes(keys.publicKey, publicKey))?.keys;
  }

  /** Makes a new one when the newest is old enough, and lets the oldest go. Safe to call again. @throws NodeError STORAGE */
  async rotate(nowMs: number): Promise<void> {
    const [newest] = this.#held;
    if (this.#isRotating || (newest && nowMs - newest.madeAtMs < ROTATE_MS)) return;
    this.#isRotating = true;
    try {
      const next = await hold(this.#modules.sealing, { madeAtMs: nowMs, secret: new Uint8Array(randomBytes(32)) });
      const held = [next, ...this.#held];
      const gone: Row[] = held.slice(MAX_KEYS).map(({ madeAtMs }) => ({ key: sealSecretKey(madeAtMs), value: null }));
      await this.#modules.rows.persist([sealSecretRow(next), ...gone]);
      this.#held = held.slice(0, MAX_KEYS);
    } finally {
      this.#isRotating = false;
    }
  }
}

async function hold(sealing: Sealing, { madeAtMs, secret }: SealSecret): Promise<Held> {
  return { madeAtMs, secret, keys: await sealing.deriveSealKeys(secret) };
}
