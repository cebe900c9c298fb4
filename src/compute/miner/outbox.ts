/**
 * Settlements on their way to the chain: signed, kept, sent, and sent again until their nonce is used. Cumulative totals make
 * paying twice impossible; keeping the signed bytes makes sending twice the same transaction.
 */
import type { Address, Hash } from '../../bytes.ts';
import { bytesKey, toHex } from '../../bytes.ts';
import type { Hasher, Signer } from '../../chain/crypto/types.ts';
import { listRoot } from '../../chain/list-root.ts';
import { releaseAgreement, settleAgreement } from '../../chain/modules/compute/agreement-miner.ts';
import type { Clock } from '../../clock.ts';
import { decodeTransaction, MIN_TX_BYTES, signTransaction } from '../../chain/tx.ts';
import type { Logger } from '../../log.ts';
import type { Rows } from '../coordinator/ports.ts';
import type { PendingSettlement } from './bids.ts';
import { bidsFor, moreUrgent } from './bids.ts';
import type { Books } from './books.ts';
import type { Ledger, Taking } from './ledger.ts';
import { deadlineOf, takingOf } from './ledger.ts';
import type { MinerMetrics } from './metrics.ts';
import type { MinerChain } from './ports.ts';
import type { StoredTransaction } from './rows.ts';
import { transactionKey, transactionRow } from './rows.ts';

/** On their way at once, and with those whose time runs out; a sender may have 256 pending. */
export const MAX_ON_THEIR_WAY = 64;
const MAX_WITH_PRESSING = 128;
const VALID_BLOCKS = 200;
const RESEND_MS = 5_000;
/** One may be made already when a transaction comes. */
const PASSING_BLOCKS = 2;
const NO_RECEIPTS: Hash = new Uint8Array(32);

export interface OutboxModules {
  readonly chain: MinerChain;
  readonly books: Books;
  readonly rows: Rows;
  readonly signer: Signer;
  readonly address: Address;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MinerMetrics;
}

interface Due extends Pick<PendingSettlement, 'deadlineMs' | 'worthUait'> {
  readonly ledger: Ledger;
  readonly taking: Taking;
}

interface ToSign {
  readonly taking: Taking;
  readonly nonce: number;
  readonly validUntilHeight: number;
  /** The least when absent. */
  readonly feeUait?: number;
}

export class Outbox {
  readonly #modules: OutboxModules;
  readonly #sent = new Map<number, StoredTransaction>();
  /** Agreements that one is on its way for. */
  readonly #busy = new Set<string>();
  /** By nonce: the height from which on blocks have passed it by, for what it pays now. */
  readonly #passedAt = new Map<number, number>();
  #sentAtMs = -Infinity;
  #turn: Promise<void> = Promise.resolve();

  constructor(modules: OutboxModules) {
    this.#modules = modules;
  }

  get size(): number {
    return this.#sent.size;
  }

  /** Whether the end of the agreement is signed: what is done under it from now on is paid by nobody. */
  isReleasing(agreement: Hash): boolean {
    const key = bytesKey(agreement);
    if (!this.#busy.has(key)) return false;
    return [...this.#sent.values()].some((each) => each.taking.kind === 'release' && bytesKey(each.agreement) === key);
  }

  restore(transactions: readonly StoredTransaction[]): void {
    for (const each of transactions) this.#add(each);
  }

  /** Sends what is due now, and again what no block has taken yet. One at a time. @throws NodeError STORAGE */
  consider(options: { readonly isDraining: boolean }): Promise<void> {
    const turn = this.#turn.then(() => this.#consider(options.isDraining));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when nothing is being decided or sent. */
  idle(): Promise<void> {
    return this.#turn;
  }

  async #consider(isDraining: boolean): Promise<void> {
    const { chain, clock, address } = this.#modules;
    if (chain.unhealthy()) return;
    await this.#sweep(chain.nonces(address).final);
    const nowMs = clock.now();
    const { height, timeMs } = chain.head();
    const fresh: StoredTransaction[] = [];
    let { next } = chain.nonces(address);
    for (const { nonce } of this.#sent.values()) next = Math.max(next, nonce + 1);
    for (const { ledger, taking, deadlineMs } of this.#due(nowMs, timeMs, isDraining)) {
      const most = deadlineMs === null ? MAX_ON_THEIR_WAY : MAX_WITH_PRESSING;
      if (this.#sent.size + fresh.length >= most) break;
      fresh.push(this.#sign(ledger, { taking, nonce: next++, validUntilHeight: height + VALID_BLOCKS }));
    }
    if (fresh.length > 0) {
      for (const each of fresh) this.#add(each);
      await this.#modules.rows.persist(fresh.map(transactionRow));
    }
    const again = clock.monotonic() - this.#sentAtMs >= RESEND_MS;
    if (again) {
      this.#sentAtMs = clock.monotonic();
      await this.#bid(isDraining);
    }
    await this.#send(again ? [...this.#sent.values()] : fresh, fresh);
  }

  /** What is to be taken now and not on its way, the most urgent first. */
  #due(nowMs: number, headTimeMs: number, isDraining: boolean): Due[] {
    const due: Due[] = [];
    for (const ledger of this.#modules.books.all()) {
      if (this.#busy.has(bytesKey(ledger.agreement))) continue;
      const taking = takingOf(ledger, nowMs, headTimeMs, isDraining);
      if (taking) due.push({ ledger, taking, ...this.#urgency(ledger.agreement, taking, headTimeMs) });
    }
    return due.sort(moreUrgent);
  }

  #urgency(agreement: Hash, { totalUait }: Taking, headTimeMs: number) {
    const found = this.#modules.chain.agreement(agreement);
    const worthUait = found ? Math.max(0, totalUait - found.paidUait) : 0;
    return { worthUait, deadlineMs: found && worthUait > 0 ? deadlineOf(found, headTimeMs) : null };
  }

  /** Signs anew, for more, what blocks passed by while its time runs out: kept, then sent with all others. */
  async #bid(isDraining: boolean): Promise<void> {
    const { chain, books, clock, hasher, address, rows } = this.#modules;
    const { height, timeMs } = chain.head();
    const pending = [...this.#sent.values()].map((each): PendingSettlement => {
      const { nonce, agreement, taking, bytes } = each;
      const { feeUait } = decodeTransaction(hasher, bytes);
      const isPassedBy = height >= (this.#passedAt.get(nonce) ?? height + 1);
      return { nonce, feeUait, isPassedBy, ...this.#urgency(agreement, taking, timeMs) };
    });
    const replaced: StoredTransaction[] = [];
    for (const { of, nonce, feeUait } of bidsFor(pending, chain.balanceUait(address))) {
      const sent = this.#sent.get(of);
      const ledger = sent && books.get(sent.agreement);
      if (!ledger) return;
      const taking = takingOf(ledger, clock.now(), timeMs, isDraining) ?? sent.taking;
      replaced.push(this.#sign(ledger, { taking, nonce, validUntilHeight: height + VALID_BLOCKS, feeUait }));
    }
    for (const each of replaced) this.#add(each);
    if (replaced.length === 0) return;
    await rows.persist(replaced.map(transactionRow));
    this.#modules.log.info('settlements pay more: their time runs out', { settlements: replaced.length });
  }

  /** Those whose nonce is used, by them or by another one, are over; what is still due is decided anew. */
  async #sweep(finalNonce: number): Promise<void> {
    const { chain, rows } = this.#modules;
    const { height } = chain.head();
    const over = [...this.#sent.values()].filter(({ nonce }) => nonce < finalNonce);
    const expired = [...this.#sent.values()].filter(
      (each) => each.nonce >= finalNonce && each.validUntilHeight < height,
    );
    // Those behind a nonce that will not be used could never be in a block.
    const firstExpired = Math.min(...expired.map(({ nonce }) => nonce));
    const stuck = [...this.#sent.values()].filter(({ nonce }) => nonce >= firstExpired);
    const done = [...new Set([...over, ...stuck])];
    if (done.length === 0) return;
    await rows.persist(done.map(({ nonce }) => ({ key: transactionKey(nonce), value: null })));
    for (const each of done) {
      this.#sent.delete(each.nonce);
      this.#passedAt.delete(each.nonce);
      this.#busy.delete(bytesKey(each.agreement));
    }
  }

  async #send(transactions: readonly StoredTransaction[], fresh: readonly StoredTransaction[]): Promise<void> {
    const { chain, log, metrics } = this.#modules;
    for (const each of [...transactions].sort((a, b) => a.nonce - b.nonce)) {
      const refused = await chain.submit(each.bytes);
      const { agreement, taking } = each;
      const context = { agreement: toHex(agreement), kind: taking.kind, totalUait: taking.totalUait };
      if (refused) log.warn('a settlement was not taken yet', { ...context, code: refused.code });
      else if (fresh.includes(each)) {
        metrics.settlements.inc({ kind: taking.kind });
        log.info('settlement sent', context);
      }
    }
  }

  #sign(
    { agreement, voucher, receipts }: Ledger,
    { taking, nonce, validUntilHeight, feeUait: bidUait }: ToSign,
  ): StoredTransaction {
    const { chain, hasher, signer } = this.#modules;
    const { totalUait } = taking;
    const receiptsRoot = receipts.length === 0 ? NO_RECEIPTS : listRoot(hasher, receipts);
    const type = taking.kind === 'settle' ? settleAgreement.type : releaseAgreement.type;
    const payload =
      taking.kind === 'settle'
        ? settleAgreement.encode({ agreement, receiptsRoot, totalUait, voucher })
        : releaseAgreement.encode({ agreement, receiptsRoot, taking: { totalUait, voucher } });
    const leastUait = chain.leastFeeUait(MIN_TX_BYTES + payload.length);
    const feeUait = Math.max(leastUait, bidUait ?? 0);
    const fields = { type, nonce, feeUait, validUntilHeight, payload };
    const { bytes } = signTransaction(hasher, chain.context, signer, fields);
    return { nonce, agreement, taking, bytes, validUntilHeight };
  }

  #add(transaction: StoredTransaction): void {
    this.#sent.set(transaction.nonce, transaction);
    this.#passedAt.set(transaction.nonce, this.#modules.chain.head().height + PASSING_BLOCKS);
    this.#busy.add(bytesKey(transaction.agreement));
  }
}
