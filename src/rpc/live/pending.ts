/**
 * What `txs` tells of transactions that no block holds yet: those there are, then those that come and those that are
 * dropped. Told at once, and after that at intervals, as many by name as fit; whoever could not take a message is told
 * everything anew in place of what it missed.
 */
import type { Hash } from '../../bytes.ts';
import { keyHex, toHex } from '../../bytes.ts';
import { transactionToJson } from '../../chain/tx-json.ts';
import type { Transaction } from '../../chain/tx.ts';
import type { ChainApi } from '../api.ts';
import { MAX_PENDING_TOLD, PENDING_EVERY_MS } from './limits.ts';

export interface PendingHooks {
  /** There is something to take. */
  wake(): void;
  after(ms: number, fn: () => void): () => void;
}

/** All there are, the oldest by name. */
export function pendingView({ pool }: ChainApi) {
  const told = pool.pending(MAX_PENDING_TOLD);
  return { count: pool.size, omitted: pool.size - told.length, transactions: told.map(entryView) };
}

export class PendingChanges {
  readonly #api: ChainApi;
  readonly #hooks: PendingHooks;
  readonly #isWanted: () => boolean;
  readonly #end: () => void;
  #came: Transaction[] = [];
  #left: Hash[] = [];
  #omitted = 0;
  #isDue = false;
  #cancelPause: (() => void) | null = null;

  constructor(api: ChainApi, hooks: PendingHooks, isWanted: () => boolean) {
    this.#api = api;
    this.#hooks = hooks;
    this.#isWanted = isWanted;
    this.#end = api.pool.onChange({
      came: (tx) => {
        this.#note(this.#came, tx);
      },
      left: (txs) => {
        // Those without a reason are final, which their block tells.
        for (const { id } of txs) if (this.#isDropped(id)) this.#note(this.#left, id);
      },
    });
  }

  close(): void {
    this.#end();
    this.#cancelPause?.();
  }

  /** Who subscribes now was told what is pending. */
  clear(): void {
    this.#came = [];
    this.#left = [];
    this.#omitted = 0;
    this.#isDue = false;
  }

  /** What changed since this was last called, as JSON; null before its time, and when nothing did. */
  take(): string | null {
    if (!this.#isDue) return null;
    const { pool } = this.#api;
    // What became final meanwhile is told by its block, and pending no more.
    const came = this.#came.filter(({ id }) => pool.get(id));
    const left = this.#left.filter((id) => this.#isDropped(id));
    const omitted = this.#omitted;
    this.clear();
    if (came.length + left.length + omitted === 0) return null;
    const pending = { reset: false, count: pool.size, omitted };
    return textOf({ ...pending, transactions: came.map(entryView), dropped: left.map((id) => this.#droppedView(id)) });
  }

  /** For those who missed changes. */
  all(): string {
    return textOf({ reset: true, ...pendingView(this.#api), dropped: [] });
  }

  #isDropped(id: Hash): boolean {
    const { pool, chain } = this.#api;
    return pool.rejection(id) !== undefined && !pool.get(id) && !chain.transaction(id);
  }

  #droppedView(id: Hash) {
    const refusal = this.#api.pool.rejection(id);
    return { hash: toHex(id), code: refusal?.code ?? null, reason: refusal?.message ?? null };
  }

  #note<T>(list: T[], item: T): void {
    if (!this.#isWanted()) return;
    if (list.length < MAX_PENDING_TOLD) list.push(item);
    else this.#omitted++;
    if (!this.#cancelPause) this.#tell();
  }

  #tell(): void {
    this.#isDue = true;
    this.#hooks.wake();
    this.#cancelPause = this.#hooks.after(PENDING_EVERY_MS, () => {
      this.#cancelPause = null;
      if (this.#came.length + this.#left.length > 0) this.#tell();
    });
  }
}

function entryView(tx: Transaction) {
  return { hash: keyHex(tx.key), transaction: transactionToJson(tx) };
}

function textOf(pending: object): string {
  return JSON.stringify({ pending });
}
