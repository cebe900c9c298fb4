/**
 * The state as the chain's rules see it: a flat map from keys to bytes, read synchronously, changed through an overlay
 * that can undo the effects of one failed transaction. The tree of src/chain/tree.ts commits to the same map.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, keyBytes } from '../bytes.ts';
import type { Hasher } from './crypto/types.ts';

/** Module number as first character, then the module's own key, one character a byte. */
export type StateKey = string;

export interface StateReader {
  get(key: StateKey): Uint8Array | undefined;
}

export interface StateAccess extends StateReader {
  /** `undefined` deletes. */
  set(key: StateKey, value: Uint8Array | undefined): void;
}

/** What a block changes; `undefined` deletes. */
export type StateChanges = ReadonlyMap<StateKey, Uint8Array | undefined>;

export function stateKey(module: number, key: Uint8Array): StateKey {
  return String.fromCharCode(module) + bytesKey(key);
}

/** Position in the state tree: SHA-256(module u8 ‖ key). */
export function statePath(hasher: Hasher, key: StateKey): Hash {
  return hasher.hash(keyBytes(key));
}

/** Reads through to a base and keeps all writes; `checkpoint` and `rollback` bracket one transaction. */
export class StateOverlay implements StateAccess {
  readonly #base: StateReader;
  readonly #changes = new Map<StateKey, Uint8Array | undefined>();
  #undo: { key: StateKey; had: boolean; value: Uint8Array | undefined }[] = [];

  constructor(base: StateReader) {
    this.#base = base;
  }

  get changes(): StateChanges {
    return this.#changes;
  }

  get(key: StateKey): Uint8Array | undefined {
    const value = this.#changes.get(key);
    if (value !== undefined || this.#changes.has(key)) return value;
    return this.#base.get(key);
  }

  set(key: StateKey, value: Uint8Array | undefined): void {
    const old = this.#changes.get(key);
    this.#undo.push({ key, had: old !== undefined || this.#changes.has(key), value: old });
    this.#changes.set(key, value);
  }

  /** Forgets how to undo what was written so far. */
  checkpoint(): void {
    this.#undo = [];
  }

  /** Undoes every write since the last checkpoint. */
  rollback(): void {
    for (const { key, had, value } of this.#undo.reverse()) {
      if (had) this.#changes.set(key, value);
      else this.#changes.delete(key);
    }
    this.#undo = [];
  }
}

/** A map as a state, for genesis, tests and light checks. */
export function memoryState(entries: ReadonlyMap<StateKey, Uint8Array | undefined> = new Map()): StateReader {
  return { get: (key) => entries.get(key) };
}
