/** The ledgers of all agreements that are not closed, and sums over those that are. */
import type { Hash } from '../../bytes.ts';
import { bytesKey } from '../../bytes.ts';
import type { Row } from '../coordinator/ports.ts';
import type { Ledger } from './ledger.ts';
import { owedUait, withChain } from './ledger.ts';
import type { MinerChain } from './ports.ts';
import type { Sums } from './rows.ts';
import { gone, ledgerRow, receiptKey, sumsRow, TABLE } from './rows.ts';

/** Agreements at once. */
export const MAX_LEDGERS = 4_096;

export class Books {
  readonly #ledgers = new Map<string, Ledger>();
  #sums: Sums = { agreements: 0, receipts: 0, earnedUait: 0 };

  get sums(): Sums {
    return this.#sums;
  }

  get size(): number {
    return this.#ledgers.size;
  }

  get isFull(): boolean {
    return this.#ledgers.size >= MAX_LEDGERS;
  }

  restore(ledgers: readonly Ledger[], sums: Sums | null): void {
    for (const ledger of ledgers) this.set(ledger);
    if (sums) this.#sums = sums;
  }

  get(agreement: Hash): Ledger | undefined {
    return this.#ledgers.get(bytesKey(agreement));
  }

  set(ledger: Ledger): void {
    this.#ledgers.set(bytesKey(ledger.agreement), ledger);
  }

  all(): IterableIterator<Ledger> {
    return this.#ledgers.values();
  }

  /** Nothing for one that is closed. */
  row(agreement: Hash): Row[] {
    const ledger = this.get(agreement);
    return ledger ? [ledgerRow(ledger)] : [];
  }

  unsettledUait(): number {
    let sum = 0;
    for (const ledger of this.all()) sum += Math.max(0, owedUait(ledger) - ledger.paidUait);
    return sum;
  }

  /** Looks at the chain. @returns agreements that began to close, and rows to keep for those that are closed */
  refresh(chain: MinerChain): { readonly closing: readonly Ledger[]; readonly rows: readonly Row[] } {
    const closing: Ledger[] = [];
    const rows: Row[] = [];
    for (const [key, before] of this.#ledgers) {
      const found = chain.agreement(before.agreement);
      const ledger = withChain(before, found);
      if (ledger.chainState === 'closed' && !ledger.active) {
        this.#ledgers.delete(key);
        this.#sums = {
          agreements: this.#sums.agreements + 1,
          receipts: this.#sums.receipts + ledger.receipts.length,
          earnedUait: this.#sums.earnedUait + ledger.paidUait,
        };
        rows.push(...closedRows(ledger));
        continue;
      }
      this.#ledgers.set(key, ledger);
      if (ledger.chainState !== 'open') closing.push(ledger);
    }
    if (rows.length > 0) rows.push(sumsRow(this.#sums));
    return { closing, rows };
  }
}

/** Its root is anchored: who wants to prove a receipt holds it. */
function closedRows({ agreement, receipts }: Ledger): Row[] {
  const removed = receipts.map((_, number) => ({ key: receiptKey(agreement, number), value: null }));
  return [gone(TABLE.LEDGER, agreement), ...removed];
}
