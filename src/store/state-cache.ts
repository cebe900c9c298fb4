/**
 * A bounded read cache of state values, absent ones included. Two generations instead of a list by age: a hit costs one
 * map lookup, and the older generation is dropped whole when the younger is full.
 */
import type { StateKey } from '../chain/state.ts';

/** What a cached key, its value and the maps around them weigh besides the value's bytes, roughly. */
const ENTRY_BYTES = 160;

export class StateCache {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #young = new Map<StateKey, Uint8Array | undefined>();
  #old = new Map<StateKey, Uint8Array | undefined>();
  #youngBytes = 0;

  /** Holds at most `maxEntries` entries and about `maxBytes` bytes; 0 entries cache nothing. */
  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The value if cached; otherwise what `load` returns, cached from now on. */
  get(key: StateKey, load: (key: StateKey) => Uint8Array | undefined): Uint8Array | undefined {
    let value = this.#young.get(key);
    if (value !== undefined || this.#young.has(key)) return value;
    value = this.#old.get(key);
    if (value === undefined && !this.#old.has(key)) value = load(key);
    this.set(key, value);
    return value;
  }

  set(key: StateKey, value: Uint8Array | undefined): void {
    if (this.#maxEntries === 0) return;
    this.#old.delete(key);
    if (this.#young.has(key)) this.#youngBytes -= weight(key, this.#young.get(key));
    this.#young.set(key, value);
    this.#youngBytes += weight(key, value);
    if (this.#young.size * 2 >= this.#maxEntries || this.#youngBytes * 2 >= this.#maxBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
  }
}

function weight(key: StateKey, value: Uint8Array | undefined): number {
  return ENTRY_BYTES + key.length + (value?.length ?? 0);
}
