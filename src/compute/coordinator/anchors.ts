/**
 * Receipts of each agreement in the order in which its miner lists them, which is the order of their making, for one attempt
 * runs under an agreement at a time. From it follows where a receipt stands under the root that the miner brought to the chain.
 */
import type { Hash } from '../../bytes.ts';
import { bytesKey, equalBytes, keyBytes } from '../../bytes.ts';
import { Reader, Writer } from '../../chain/codec.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { ListProof } from '../../chain/list-root.ts';
import { listProof, listRoots } from '../../chain/list-root.ts';
import type { Row } from './ports.ts';
import { drop, put, TABLE } from './rows.ts';

export class Anchors {
  readonly #hasher: Hasher;
  readonly #max: number;
  /** By agreement; those first used come first. */
  readonly #lists = new Map<string, Hash[]>();
  /** Of the last root that was looked for: how many receipts it is of. */
  readonly #found = new Map<string, { readonly root: Hash; readonly count: number }>();
  #size = 0;

  constructor(hasher: Hasher, max: number) {
    this.#hasher = hasher;
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** In the order of their keys. @throws NodeError CODEC */
  restore(key: Uint8Array, receipt: Hash): void {
    const reader = new Reader(key, 'place of a receipt');
    const list = this.#listOf(bytesKey(reader.fixed(32)));
    reader.u32();
    reader.end();
    list.push(receipt);
    this.#size++;
  }

  /** @returns rows to keep with the receipt */
  add(agreement: Hash, receipt: Hash): Row[] {
    const list = this.#listOf(bytesKey(agreement));
    const rows = [put(TABLE.receiptPlace, placeKey(agreement, list.length), receipt)];
    list.push(receipt);
    this.#size++;
    while (this.#size > this.#max && this.#lists.size > 1) rows.push(...this.#dropOldest());
    return rows;
  }

  /** @param root that the chain has @returns null when it is of other receipts than those known here, or of earlier ones */
  placeOf(agreement: Hash, receipt: Hash, root: Hash): ListProof | null {
    const key = bytesKey(agreement);
    const list = this.#lists.get(key) ?? [];
    const index = list.findIndex((each) => equalBytes(each, receipt));
    const count = this.#countOf(key, list, root);
    return index < 0 || index >= count ? null : (listProof(this.#hasher, list.slice(0, count), index) ?? null);
  }

  /** 0: none. */
  #countOf(key: string, list: readonly Hash[], root: Hash): number {
    const known = this.#found.get(key);
    if (known && equalBytes(known.root, root)) return known.count;
    let count = 0;
    for (const each of listRoots(this.#hasher, list)) {
      count++;
      if (!equalBytes(each, root)) continue;
      this.#found.set(key, { root, count });
      return count;
    }
    return 0;
  }

  #listOf(key: string): Hash[] {
    const list = this.#lists.get(key) ?? [];
    this.#lists.set(key, list);
    return list;
  }

  #dropOldest(): Row[] {
    const [oldest] = this.#lists;
    if (!oldest) return [];
    const [key, list] = oldest;
    this.#lists.delete(key);
    this.#found.delete(key);
    this.#size -= list.length;
    return list.map((_, index) => drop(TABLE.receiptPlace, placeKey(keyBytes(key), index)));
  }
}

function placeKey(agreement: Hash, index: number): Uint8Array {
  return new Writer(36).fixed(agreement, 32).u32(index).finish();
}
