/** What became of a transaction, and the wait for it to become final. */
import type { Hash } from '../bytes.ts';
import { bytesKey, keyBytes, toHex } from '../bytes.ts';
import type { JsonObject } from '../chain/modules/types.ts';
import { receiptCodeName } from '../chain/receipt.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { ChainApi } from './api.ts';

/**
 * `code` is the number of the receipt once final (0: success; null when the block is kept no longer) and the name of the
 * error when rejected. `unknown`: never seen here, refused so long ago that it is forgotten, or final below the base.
 */
export interface TransactionStatus {
  readonly hash: string;
  readonly status: 'pending' | 'final' | 'rejected' | 'unknown';
  readonly height: number | null;
  readonly index: number | null;
  readonly code: number | string | null;
  readonly code_name: string | null;
  readonly reason: string | null;
  readonly transaction: JsonObject | null;
}

const NOTHING = { height: null, index: null, code: null, code_name: null, reason: null, transaction: null } as const;

export function transactionStatus(api: ChainApi, id: Hash): TransactionStatus {
  const hash = toHex(id);
  const found = api.chain.transaction(id);
  if (found) return finalStatus(api, hash, found.height, found.index);
  const pending = api.pool.get(id);
  if (pending) return { hash, status: 'pending', ...NOTHING, transaction: transactionToJson(pending) };
  const refusal = api.pool.rejection(id);
  if (refusal) {
    return {
      hash,
      status: 'rejected',
      ...NOTHING,
      code: refusal.code,
      code_name: refusal.code,
      reason: refusal.message,
    };
  }
  const base = api.chain.base();
  return {
    hash,
    status: 'unknown',
    ...NOTHING,
    code: 'NOT_FOUND',
    code_name: 'NOT_FOUND',
    reason: `not seen by this node${base > 1 ? `, which keeps blocks from height ${base} on` : ''}`,
  };
}

/** As of {@link transactionStatus}, for many at once: what the transactions hold is not read. Undefined unless final. */
export function finalOutcome(
  api: ChainApi,
  id: Hash,
): Pick<TransactionStatus, 'hash' | 'status' | 'code' | 'reason'> | undefined {
  const place = api.chain.transaction(id);
  if (!place) return undefined;
  const hash = toHex(id);
  if (place.height < api.chain.base()) return { hash, status: 'final', code: null, reason: GONE };
  const receipt = api.chain.receiptAt(place);
  if (!receipt) throw lost(hash, place.height);
  return { hash, status: 'final', code: receipt.code, reason: reasonOf(receipt.code) };
}

const GONE = 'its block is final and no longer kept here: ask a node that keeps all';

function reasonOf(code: number): string | null {
  return code === 0 ? null : 'it failed: fee and nonce were taken, nothing else changed';
}

function lost(hash: string, height: number): NodeError {
  return new NodeError('CORRUPT', 'the index names a transaction that the store does not hold', {
    data: { hash, height },
  });
}

function finalStatus(api: ChainApi, hash: string, height: number, index: number): TransactionStatus {
  if (height < api.chain.base()) {
    return { hash, status: 'final', ...NOTHING, height, index, reason: GONE };
  }
  const tx = api.chain.transactionAt({ height, index });
  const code = api.chain.receiptAt({ height, index })?.code;
  if (!tx || code === undefined) throw lost(hash, height);
  return {
    hash,
    status: 'final',
    height,
    index,
    code,
    code_name: receiptCodeName(code) ?? null,
    reason: reasonOf(code),
    transaction: transactionToJson(tx),
  };
}

/** Commit waits open at once over all clients of a chain. */
export const MAX_WAITERS = 1000;

/** Resolves waits from the blocks that become final: one look-up a transaction, no polling of the store. */
export class FinalityWaiters {
  readonly #api: ChainApi;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #stop: () => void;
  #count = 0;

  constructor(api: ChainApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
    const ends = (): void => {
      this.close();
    };
    api.closed.addEventListener('abort', ends, { once: true });
    const stop = api.chain.onCommit((blocks) => {
      if (this.#waiting.size === 0) return;
      for (const { block } of blocks) for (const tx of block.txs) this.#wake(tx.key);
      // A wait also ends when the pool dropped its transaction.
      for (const key of this.#waiting.keys()) if (this.#isRejected(key)) this.#wake(key);
    });
    this.#stop = () => {
      api.closed.removeEventListener('abort', ends);
      stop();
    };
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Resolves when the transaction is final or rejected, the time is over, or the signal aborts.
   *
   * @throws NodeError RATE_LIMITED when too many wait, CHAIN_STOPPED when the chain stops meanwhile
   */
  async wait(id: Hash, timeoutMs: number, signal: AbortSignal): Promise<TransactionStatus> {
    const status = transactionStatus(this.#api, id);
    if (status.status !== 'pending' || signal.aborted) return status;
    if (this.#count >= MAX_WAITERS) {
      throw new NodeError('RATE_LIMITED', 'too many clients wait for their transactions to be final', {
        data: { limit: MAX_WAITERS, hash: toHex(id) },
        hint: 'the transaction is pending: ask for its status by its hash',
      });
    }
    await this.#next(bytesKey(id), timeoutMs, signal);
    if (this.#api.closed.aborted) {
      throw new NodeError('CHAIN_STOPPED', 'the chain was stopped before the transaction was final', {
        data: { hash: toHex(id) },
        hint: 'it may still become final: ask for its status by its hash, here later or at another node',
      });
    }
    return transactionStatus(this.#api, id);
  }

  /** Ends all waits. */
  close(): void {
    this.#stop();
    for (const key of [...this.#waiting.keys()]) this.#wake(key);
  }

  #next(key: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wakers = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, wakers);
      const done = (): void => {
        if (!wakers.delete(done)) return;
        if (wakers.size === 0) this.#waiting.delete(key);
        this.#count--;
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      wakers.add(done);
      this.#count++;
      const cancel = this.#clock.after(timeoutMs, done);
      signal.addEventListener('abort', done);
    });
  }

  #wake(key: string): void {
    for (const done of [...(this.#waiting.get(key) ?? [])]) done();
  }

  #isRejected(key: string): boolean {
    return this.#api.pool.rejection(keyBytes(key)) !== undefined;
  }
}
