/**
 * Which transactions of a block concern which accounts: one pass over a block for all accounts that anyone subscribes to,
 * however many they are.
 */
import type { Address } from '../../bytes.ts';
import { bytesKey } from '../../bytes.ts';
import type { Block } from '../../chain/block.ts';
import { formatAddress } from '../../chain/address.ts';
import type { Json } from '../../chain/modules/types.ts';
import { transactionToJson } from '../../chain/tx-json.ts';
import type { Transaction } from '../../chain/tx.ts';
import type { BlockFacts } from './topics.ts';

/** Indexes of transactions, ascending, by the key of the account. */
type Found = ReadonlyMap<string, readonly number[]>;

export class WatchedAccounts {
  /** By the key of the address: how often it is subscribed to. */
  readonly #counts = new Map<string, { readonly address: Address; count: number }>();
  /** First four bytes of each as a number: at most places of a payload none of them can begin. */
  #prefixes: ReadonlySet<number> = new Set();
  #found = new WeakMap<Block, Found>();

  add(address: Address): void {
    const key = bytesKey(address);
    const entry = this.#counts.get(key) ?? { address, count: 0 };
    entry.count++;
    this.#counts.set(key, entry);
    if (entry.count === 1) this.#changed();
  }

  remove(address: Address): void {
    const key = bytesKey(address);
    const entry = this.#counts.get(key);
    if (entry && --entry.count === 0 && this.#counts.delete(key)) this.#changed();
  }

  /** The account sent them, or is named in their payload or in an event of their receipt. It must be watched. */
  transactionsOf(address: Address, facts: BlockFacts): readonly number[] {
    let found = this.#found.get(facts.block);
    if (!found) {
      found = this.#search(facts);
      this.#found.set(facts.block, found);
    }
    return found.get(bytesKey(address)) ?? [];
  }

  #changed(): void {
    this.#prefixes = new Set([...this.#counts.values()].map(({ address }) => prefixAt(address, 0)));
    this.#found = new WeakMap();
  }

  #search({ block, receipts }: BlockFacts): Found {
    const found = new Map<string, number[]>();
    for (const [index, tx] of block.txs.entries()) {
      const keys = new Set<string>();
      const sender = bytesKey(tx.senderAddress);
      if (this.#counts.has(sender)) keys.add(sender);
      // The bytes may stand there by chance, or in a memo; the module's own form tells.
      for (const { key, address } of this.#within(tx.payload)) if (names(tx, address)) keys.add(key);
      for (const { data } of receipts[index]?.events ?? []) for (const { key } of this.#within(data)) keys.add(key);
      for (const key of keys) {
        const indexes = found.get(key) ?? [];
        indexes.push(index);
        found.set(key, indexes);
      }
    }
    return found;
  }

  #within(bytes: Uint8Array): { key: string; address: Address }[] {
    const hits: { key: string; address: Address }[] = [];
    for (let at = 0; at + 20 <= bytes.length; at++) {
      if (!this.#prefixes.has(prefixAt(bytes, at))) continue;
      const key = bytesKey(bytes.subarray(at, at + 20));
      const entry = this.#counts.get(key);
      if (entry) hits.push({ key, address: entry.address });
    }
    return hits;
  }
}

function prefixAt(bytes: Uint8Array, at: number): number {
  const byte = (i: number): number => bytes[at + i] ?? 0;
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}

function names(tx: Transaction, address: Address): boolean {
  const text = formatAddress(address);
  const within = (json: Json | undefined): boolean => {
    if (typeof json !== 'object' || json === null) return json === text;
    return Object.values(json).some(within);
  };
  return within(transactionToJson(tx)['payload']);
}
