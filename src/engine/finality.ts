/** Waiting for transactions to become final, and the last commit's time. Bounded; everyone is answered at close. */
import type { Hash } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import type { AppliedBlock } from '../chain/execute.ts';
import type { Receipt } from '../chain/receipt.ts';
import { NodeError } from '../errors.ts';

export const MAX_WAITERS = 4_096;

export interface Finalised {
  readonly height: number;
  readonly index: number;
  readonly receipt: Receipt;
}

type Waiter = (result: Finalised | null) => void;

export class Finality {
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #listeners = new Set<(applied: readonly AppliedBlock[]) => void>();
  #count = 0;

  /**
   * @returns null when `signal` aborts or the node stops first
   * @throws NodeError RATE_LIMITED when too many wait
   */
  async wait(id: Hash, signal: AbortSignal): Promise<Finalised | null> {
    if (this.#count >= MAX_WAITERS) {
      throw new NodeError('RATE_LIMITED', 'too many requests wait for finality', { hint: 'send with mode=async and poll' });
    }
    if (signal.aborted) return null;
    const key = bytesKey(id);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(key) ?? new Set<Waiter>();
      this.#waiters.set(key, waiters);
      const settle: Waiter = (result) => {
        if (!waiters.delete(settle)) return;
        this.#count--;
        if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
        resolve(result);
      };
      waiters.add(settle);
      this.#count++;
      signal.addEventListener('abort', () => { settle(null); }, { once: true });
    });
  }

  /** Called with every commit, until the returned function is called. */
  subscribe(listener: (applied: readonly AppliedBlock[]) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  onCommit(applied: readonly AppliedBlock[]): void {
    if (this.#count > 0) for (const block of applied) this.#settle(block);
    for (const listener of this.#listeners) listener(applied);
  }

  close(): void {
    for (const waiters of [...this.#waiters.values()]) for (const settle of [...waiters]) settle(null);
  }

  #settle({ block, receipts }: AppliedBlock): void {
    block.txs.forEach((tx, index) => {
      const receipt = receipts[index];
      const waiters = this.#waiters.get(bytesKey(tx.id));
      if (receipt && waiters) for (const settle of [...waiters]) settle({ height: block.header.height, index, receipt });
    });
  }
}
