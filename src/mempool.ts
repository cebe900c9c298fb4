/**
 * Pending transactions: bounded, ordered by what they pay, one nonce chain a sender. Pure data: time and accounts are
 * arguments, signatures were verified before `add`.
 */
import type { Address, Hash } from './bytes.ts';
import { bytesKey } from './bytes.ts';
import type { Account } from './chain/accounts.ts';
import { accountKey } from './chain/accounts.ts';
import { INVALID_PAYLOAD, payloadOf } from './chain/execute.ts';
import { isTxType, txTypeByNumber } from './chain/modules/table.ts';
import type { ChainParams } from './chain/params.ts';
import { leastFeeUait } from './chain/params.ts';
import type { StateKey } from './chain/state.ts';
import type { Transaction } from './chain/tx.ts';
import type { ErrorCode, ErrorData } from './errors.ts';
import { Margin } from './mempool/margin.ts';
import { PaymentHeap } from './mempool/payment-heap.ts';
import { SenderQueue } from './mempool/sender-queue.ts';

export interface MempoolLimits {
  readonly maxTxs: number;
  readonly maxBytes: number;
  /** Contiguous nonces one sender may have pending. */
  readonly maxPerSender: number;
  /** Transactions of one sender that wait beyond a missing nonce, and how far beyond. */
  readonly maxBeyondGap: number;
  /** A transaction that found no block for so long is dropped. */
  readonly ttlMs: number;
  /** How many refused ids stay known with their reason. */
  readonly maxRejected: number;
}

export const DEFAULT_MEMPOOL_LIMITS: MempoolLimits = {
  maxTxs: 20_000,
  maxBytes: 64 * 1024 * 1024,
  maxPerSender: 256,
  maxBeyondGap: 16,
  ttlMs: 600_000,
  maxRejected: 20_000,
};

/** A replacement must pay this much more, in per cent. */
const REPLACEMENT_PERCENT = 10;
/** One scan for the cheapest frees this share of the pool, so that scans are rare under overload. */
const EVICTION_SHARE = 1 / 64;
/** What no block can hold takes this share of the pool before more beyond gaps is refused: it must not keep out what fills the gaps. */
const BEYOND_GAPS_SHARE = 1 / 4;

/** Why a transaction was refused; becomes a NodeError at the faces. Not thrown: overload refuses thousands a second. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly data: ErrorData;
}

/** What the pool must know of the chain to judge a transaction. */
export interface PoolView {
  readonly params: ChainParams;
  /** Height of the next block. */
  readonly nextHeight: number;
  readonly nowMs: number;
  /** By its key in the state. */
  account(key: StateKey): Account;
}

interface Entry {
  readonly tx: Transaction;
  /** uait a byte. */
  readonly rate: number;
  /** Fee and what the payload spends. */
  readonly costUait: number;
  readonly order: number;
  readonly addedAtMs: number;
}

type Queue = SenderQueue<Entry>;

export class Mempool {
  readonly #limits: MempoolLimits;
  readonly #entries = new Map<string, Entry>();
  readonly #senders = new Map<string, Queue>();
  readonly #rejected = new Map<string, Refusal>();
  #bytes = 0;
  #order = 0;
  #ready = 0;
  /** While the pool is full: what the cheapest tail paid at the last scan. */
  #floorRate = 0;
  readonly #depthMargin = new Margin(EVICTION_SHARE);
  readonly #blockMargin = new Margin(EVICTION_SHARE);
  /** At most one for each transaction added since it was last taken. */
  #displaced: Transaction[] = [];

  constructor(limits: MempoolLimits = DEFAULT_MEMPOOL_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Pending transactions that wait for none that is missing, and that their senders can pay. */
  get ready(): number {
    return this.#ready;
  }

  get(id: Hash): Transaction | undefined {
    return this.find(bytesKey(id));
  }

  /** By the key of its id. */
  find(key: string): Transaction | undefined {
    return this.#entries.get(key)?.tx;
  }

  rejection(id: Hash): Refusal | undefined {
    return this.#rejected.get(bytesKey(id));
  }

  /** Remembers a refusal found outside, e.g. a bad signature. */
  reject(id: Hash, refusal: Refusal): void {
    const key = bytesKey(id);
    this.#rejected.delete(key);
    this.#rejected.set(key, refusal);
    if (this.#rejected.size > this.#limits.maxRejected) {
      for (const oldest of this.#rejected.keys()) {
        this.#rejected.delete(oldest);
        break;
      }
    }
  }

  /**
   * What can be said of a transaction by itself, before its signature is verified: cheap checks come before dear ones,
   * and a full pool costs none. What depends on others pending is left to `add`, because they may be on their way in the
   * same batch.
   *
   * @param depth how many may be ready before this one; more, if it pays a tenth more than the last of the best so many
   */
  check(tx: Transaction, view: PoolView, depth = Infinity): Refusal | null {
    const account = view.account(tx.senderKey);
    return this.#judgeAlone(tx, view, account) ?? this.#noRoom(tx) ?? this.#beyondDepth(tx, depth);
  }

  /**
   * More wait than a block of so many holds, and this one pays a tenth more than the last that it would hold.
   *
   * @param coming transactions that soon wait, too; what they pay is not known
   */
  outbidsBlock(tx: Transaction, blockTxs: number, coming = 0): boolean {
    if (this.#ready + coming <= blockTxs) return false;
    const rate = this.#blockMargin.rate(blockTxs, this.#ready, () => this.#rates());
    return outbids(tx.feeUait / tx.bytes.length, rate);
  }

  /** @returns null when the transaction is now pending */
  add(tx: Transaction, view: PoolView): Refusal | null {
    const account = view.account(tx.senderKey);
    const { refusal, replaces, costUait } = this.#judge(tx, view, account);
    if (refusal) return refusal;
    const entry: Entry = {
      tx,
      rate: tx.feeUait / tx.bytes.length,
      costUait,
      order: this.#order++,
      addedAtMs: view.nowMs,
    };
    const full = this.#makeRoom(entry, replaces);
    if (full) return full;
    if (replaces) {
      this.#displace(replaces);
      this.reject(replaces.tx.id, refuse('UNDERPRICED', 'replaced by one that pays more', { feeUait: tx.feeUait }));
    }
    let queue = this.#senders.get(tx.senderKey);
    if (!queue) {
      queue = new SenderQueue(tx.senderKey, account);
      this.#senders.set(tx.senderKey, queue);
    }
    this.#change(queue, (of) => {
      of.set(tx.nonce, entry, account);
    });
    this.#entries.set(tx.key, entry);
    this.#bytes += tx.bytes.length;
    this.#rejected.delete(tx.key);
    return null;
  }

  /**
   * Best paying first, each sender's nonces in order, within the limits of a block.
   */
  select(view: PoolView, maxTxs: number, maxBytes: number): Transaction[] {
    const heads = new PaymentHeap<{ readonly entry: Entry; readonly queue: Queue }>();
    for (const queue of this.#senders.values()) {
      const head = executable(queue, view);
      if (head) heads.push({ entry: head, queue });
    }
    const chosen: Transaction[] = [];
    let bytes = 0;
    for (let best = heads.pop(); best && chosen.length < maxTxs; best = heads.pop()) {
      const { entry, queue } = best;
      if (bytes + entry.tx.bytes.length > maxBytes) continue;
      chosen.push(entry.tx);
      bytes += entry.tx.bytes.length;
      const following = queue.entries.get(entry.tx.nonce + 1);
      if (following) heads.push({ entry: following, queue });
    }
    return chosen;
  }

  /** Is there anything the next block could hold? */
  hasExecutable(view: PoolView): boolean {
    for (const queue of this.#senders.values()) {
      if (executable(queue, view)) return true;
    }
    return false;
  }

  /**
   * After a block: drops what it holds and what its senders can no longer send.
   *
   * @returns what left the pool
   */
  onCommitted(txs: readonly Transaction[], view: PoolView): Transaction[] {
    const gone: Transaction[] = [];
    const touched = new Set<StateKey>();
    for (const { key, senderKey } of txs) {
      const entry = this.#entries.get(key);
      if (entry) this.#drop(entry, gone);
      touched.add(senderKey);
    }
    for (const senderKey of touched) {
      const queue = this.#senders.get(senderKey);
      if (!queue) continue;
      const account = view.account(senderKey);
      const { nonce } = account;
      for (const entry of [...queue.entries.values()]) {
        if (entry.tx.nonce >= nonce) continue;
        this.#drop(entry, gone);
        this.reject(entry.tx.id, refuse('BAD_NONCE', 'another transaction with this nonce is final', { nonce }));
      }
      this.#change(queue, (of) => {
        of.update(account);
      });
    }
    this.#floorRate = 0;
    this.#depthMargin.forget();
    this.#blockMargin.forget();
    return gone;
  }

  /** Drops what is too old by height or time. @returns what left the pool */
  expire(view: PoolView): Transaction[] {
    const gone: Transaction[] = [];
    for (const entry of [...this.#entries.values()]) {
      const { tx } = entry;
      if (tx.validUntilHeight >= view.nextHeight && view.nowMs - entry.addedAtMs < this.#limits.ttlMs) continue;
      this.#drop(entry, gone);
      this.reject(tx.id, refuse('EXPIRED', 'the transaction found no block in time', { height: view.nextHeight }));
    }
    return gone;
  }

  /** What left since the last call because others paid more. */
  takeDisplaced(): Transaction[] {
    const displaced = this.#displaced;
    this.#displaced = [];
    return displaced;
  }

  /** Every pending transaction, oldest first. */
  *pending(): IterableIterator<Transaction> {
    for (const entry of this.#entries.values()) yield entry.tx;
  }

  /** The first of them, `limit` at most. */
  oldest(limit: number): Transaction[] {
    const oldest: Transaction[] = [];
    for (const { tx } of this.#entries.values()) {
      if (oldest.length >= limit) break;
      oldest.push(tx);
    }
    return oldest;
  }

  /** Nonce after the sender's contiguous pending ones: what a client should use next. */
  nextNonce(address: Address, accountNonce: number): number {
    return nextNonceOf(this.#senders.get(accountKey(address)), accountNonce);
  }

  #judgeAlone(tx: Transaction, view: PoolView, account: Account): Refusal | null {
    const { params, nextHeight } = view;
    const { nonce, feeUait, validUntilHeight } = tx;
    if (this.#entries.has(tx.key)) return refuse('ALREADY_KNOWN', 'the transaction is pending already', {});
    if (payloadOf(tx) === INVALID_PAYLOAD) return payloadFault(tx);
    if (validUntilHeight < nextHeight) {
      return refuse('EXPIRED', 'valid until a height that has passed', { validUntilHeight, nextHeight });
    }
    if (tx.bytes.length > params.maxBlockBytes) {
      return refuse('TOO_LARGE', 'no block has room for it', { bytes: tx.bytes.length, limit: params.maxBlockBytes });
    }
    const leastFee = leastFeeUait(params, tx.bytes.length);
    if (feeUait < leastFee) return refuse('FEE_TOO_LOW', 'the fee is below the least', { feeUait, leastFee });
    if (nonce < account.nonce) return refuse('BAD_NONCE', 'the nonce is used', { nonce, expected: account.nonce });
    if (nonce >= account.nonce + this.#limits.maxPerSender) {
      const message = `a sender has at most ${this.#limits.maxPerSender} transactions pending`;
      return refuse('NONCE_GAP', message, {
        nonce,
        expected: nextNonceOf(this.#senders.get(tx.senderKey), account.nonce),
      });
    }
    if (feeUait > account.balanceUait) {
      return refuse('INSUFFICIENT_FUNDS', 'the balance does not cover the fee', {
        balanceUait: account.balanceUait,
        neededUait: feeUait,
      });
    }
    return null;
  }

  #judge(
    tx: Transaction,
    view: PoolView,
    account: Account,
  ): { refusal: Refusal | null; replaces?: Entry; costUait: number } {
    const no = (refusal: Refusal): { refusal: Refusal; costUait: number } => ({ refusal, costUait: 0 });
    const fault = this.#judgeAlone(tx, view, account);
    if (fault) return no(fault);
    const queue = this.#senders.get(tx.senderKey);
    const gap = this.#gapFault(tx, queue, nextNonceOf(queue, account.nonce));
    if (gap) return no(gap);
    const replaces = queue?.entries.get(tx.nonce);
    if (replaces && tx.feeUait * 100 < replaces.tx.feeUait * (100 + REPLACEMENT_PERCENT)) {
      const message = `a replacement must pay ${REPLACEMENT_PERCENT} % more`;
      return no(refuse('UNDERPRICED', message, { feeUait: tx.feeUait, pendingFeeUait: replaces.tx.feeUait }));
    }
    const costUait = tx.feeUait + (txTypeByNumber(tx.type).spends?.(payloadOf(tx)) ?? 0);
    let committed = costUait;
    for (const entry of queue?.entries.values() ?? []) {
      if (entry !== replaces && entry.tx.nonce < tx.nonce) committed += entry.costUait;
    }
    if (committed > account.balanceUait) {
      return no(
        refuse('INSUFFICIENT_FUNDS', 'the balance does not cover this and what is pending before it', {
          balanceUait: account.balanceUait,
          neededUait: committed,
        }),
      );
    }
    return { refusal: null, ...(replaces && { replaces }), costUait };
  }

  #gapFault(tx: Transaction, queue: Queue | undefined, contiguousEnd: number): Refusal | null {
    if (tx.nonce <= contiguousEnd) return null;
    if (this.#entries.size - this.#ready >= this.#limits.maxTxs * BEYOND_GAPS_SHARE) {
      return refuse('POOL_FULL', 'too many transactions wait for missing nonces', { expected: contiguousEnd });
    }
    let beyond = 0;
    for (const pending of queue?.entries.keys() ?? []) if (pending > contiguousEnd) beyond++;
    if (tx.nonce - contiguousEnd <= this.#limits.maxBeyondGap && beyond < this.#limits.maxBeyondGap) return null;
    return refuse('NONCE_GAP', 'the nonce is too far ahead: send the missing ones first', {
      nonce: tx.nonce,
      expected: contiguousEnd,
    });
  }

  /**
   * Evicts cheaper tails when full. Tails only, so that no sender's chain gets a hole; and only for one that pays a tenth
   * more than the cheapest, so that a slow auction cannot make every admission a scan.
   */
  #makeRoom(entry: Entry, replaces: Entry | undefined): Refusal | null {
    const size = entry.tx.bytes.length - (replaces?.tx.bytes.length ?? 0);
    const fits = (): boolean =>
      this.#entries.size - (replaces ? 1 : 0) < this.#limits.maxTxs && this.#bytes + size <= this.#limits.maxBytes;
    if (fits()) return null;
    const enough = (rate: number): boolean => outbids(entry.rate, rate);
    if (enough(this.#floorRate)) {
      const tails = [...this.#senders.values()]
        .map((queue) => queue.entries.get(Math.max(...queue.entries.keys())))
        .filter((tail): tail is Entry => tail !== undefined && tail.tx.senderKey !== entry.tx.senderKey)
        .sort((a, b) => a.rate - b.rate || b.order - a.order);
      const quota = Math.max(1, Math.floor(this.#limits.maxTxs * EVICTION_SHARE));
      const evicted = tails.slice(0, quota).filter((tail) => enough(tail.rate));
      for (const tail of evicted) {
        this.#displace(tail);
        this.reject(tail.tx.id, refuse('POOL_FULL', 'others paid more while the pool was full', { rate: tail.rate }));
      }
      this.#floorRate = tails[evicted.length]?.rate ?? 0;
    }
    if (fits()) return null;
    return poolFull(this.#floorRate);
  }

  /** Is the pool full of what is known to pay as much? Without a scan: `add` has the last word. */
  #noRoom(tx: Transaction): Refusal | null {
    const { maxTxs, maxBytes } = this.#limits;
    const { length } = tx.bytes;
    if (this.#entries.size < maxTxs && this.#bytes + length <= maxBytes) return null;
    if (this.#senders.get(tx.senderKey)?.entries.has(tx.nonce)) return null;
    return outbids(tx.feeUait / length, this.#floorRate) ? null : poolFull(this.#floorRate);
  }

  /** Do so many wait already that it is not among the best of them? */
  #beyondDepth(tx: Transaction, depth: number): Refusal | null {
    if (this.#ready < depth) return null;
    if (this.#senders.get(tx.senderKey)?.entries.has(tx.nonce)) return null;
    // With none ready, those that are coming are the depth, and what they pay is not known.
    const rate = this.#depthMargin.rate(depth, this.#ready, () => this.#rates());
    if (outbids(tx.feeUait / tx.bytes.length, rate)) return null;
    const floorRate = Number.isFinite(rate) ? rate : null;
    return refuse('POOL_FULL', 'as many wait as the next blocks will hold, and pay as much', { floorRate });
  }

  /** What each that is ready pays a byte. */
  #rates(): Float64Array {
    const rates = new Float64Array(this.#ready);
    let at = 0;
    for (const { ready } of this.#senders.values()) for (const { rate } of ready) rates[at++] = rate;
    return rates;
  }

  #displace(entry: Entry): void {
    this.#remove(entry);
    this.#displaced.push(entry.tx);
  }

  #drop(entry: Entry, gone: Transaction[]): void {
    this.#remove(entry);
    gone.push(entry.tx);
  }

  #remove({ tx }: Entry): void {
    if (!this.#entries.delete(tx.key)) return;
    this.#bytes -= tx.bytes.length;
    const queue = this.#senders.get(tx.senderKey);
    if (!queue) return;
    this.#change(queue, (of) => {
      of.delete(tx.nonce);
    });
    if (queue.entries.size === 0) this.#senders.delete(tx.senderKey);
  }

  #change(queue: Queue, change: (queue: Queue) => void): void {
    this.#ready -= queue.ready.length;
    change(queue);
    this.#ready += queue.ready.length;
  }
}

/**
 * The transaction of a sender that the next block could hold, whatever else is in it. One whose fee the balance no longer
 * covers waits: taken for a reason to make a block, it would wake the chain for nothing, again and again.
 */
function executable({ senderKey, entries }: Queue, view: PoolView): Entry | undefined {
  const { nonce, balanceUait } = view.account(senderKey);
  const head = entries.get(nonce);
  return head && head.tx.feeUait <= balanceUait ? head : undefined;
}

function nextNonceOf(queue: Queue | undefined, accountNonce: number): number {
  if (!queue) return accountNonce;
  let nonce = Math.max(accountNonce, queue.end);
  while (queue.entries.has(nonce)) nonce++;
  return nonce;
}

/** Does a rate pay enough more than another to take its place? In uait a byte. */
function outbids(rate: number, other: number): boolean {
  return rate * 100 >= other * (100 + REPLACEMENT_PERCENT);
}

function poolFull(floorRate: number): Refusal {
  return refuse('POOL_FULL', 'the pool is full of transactions that pay as much', { floorRate });
}

function refuse(code: ErrorCode, message: string, data: ErrorData): Refusal {
  return { code, message, data };
}

function payloadFault({ type }: Transaction): Refusal {
  return isTxType(type)
    ? refuse('CODEC', 'the payload is not canonical', { type })
    : refuse('UNKNOWN_TX_TYPE', 'no module has this transaction type', { type });
}
