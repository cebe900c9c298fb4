/**
 * The way of a transaction into the pool, from a client or from a peer: cheap checks, one signature verification a node
 * and transaction, admission, journal; those of clients are gossiped in batches.
 */
import { accountAt } from '../chain/accounts.ts';
import type { BatchVerifier, VerifyBatchOptions } from '../chain/crypto/types.ts';
import { earliestTimeMs } from '../chain/execute.ts';
import type { Transaction } from '../chain/tx.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import type { Mempool, PoolView, Refusal } from '../mempool.ts';
import type { MetricsRegister } from '../metrics.ts';
import type { TxBatch } from '../../protocols/messages.ts';
import { TokenBucket } from '../../protocols/quotas.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { MempoolJournal } from '../store/types.ts';
import { Capacity } from './capacity.ts';
import type { Ledger } from './ledger.ts';
import { verifyTransactions } from './tx-signatures.ts';

/**
 * Gossip waits for company this long, or until a batch is full; after each batch that had company, twice as long, and half
 * as long after one that had not. What a message costs its receivers hardly depends on its size: at 400 transactions a
 * second, four times as long means a fourth of the messages. After as long without any, the next one leaves at once.
 */
const BATCH_MS = 15;
const MAX_BATCH_MS = 250;
/** One batch leaves so long before the next block may be built, so that all have it by then: two for each block at 500 ms. */
const DEPARTURE_MS = 50;
/** Transactions that make a batch worth the wait. */
const COMPANY = 2;
const BATCH_BYTES = 48 * 1024;
const BATCH_TXS = 512;
/** Clients' transactions that still wait are gossiped again: a peer may have been away the first time. */
const REGOSSIP_MS = 5_000;
/** Least time between two of these, whoever asks: peers that come and go must not make this node repeat itself. */
const REGOSSIP_PAUSE_MS = 1_000;
/** Clients' transactions remembered for that. */
const MAX_OWN = 4_096;
/**
 * Transactions that pay more than what fills the next block do not wait behind the others on their way into it: their signatures
 * are looked at first and they leave alone, so many a second at most. With three times what four nodes take, half of them
 * were final after 1.4 s without it.
 */
const EXPRESS_TXS = 4;
const EXPRESS_QUOTA = { capacity: 64, refillPerSecond: 128 };
/**
 * A proposed block waits for transactions that are being verified for the pool while so few are; of more, those that it holds are
 * verified again before the others.
 */
const AWAITED_TXS = 512;
/**
 * And one with room is built only when they are in the pool, unless that takes longer: what left the other nodes just before a
 * block is due is being verified then. With four nodes near what they take, an eighth of all waited for one block more; and where
 * verification lags, more are being verified than wait, so that a block without them leaves the next ones too much.
 */
const SETTLE_MS = 100;
const SETTLE_SHARE = 0.2;
/** Transactions of the last run that are verified at once: far below what the verifier lets wait. */
const RESTORE_BATCH = 1_024;

/** Clients wait for an answer; a peer's transactions are relayed by gossip itself; the journal's are of the last run. */
type Origin = 'client' | 'peer' | 'journal';

interface Checking {
  readonly tx: Transaction;
  readonly done: Promise<unknown>;
}

/** Faults of the bytes, the same on every node. */
const CONDEMNING: ReadonlySet<string> = new Set(['BAD_SIGNATURE', 'CODEC']);

export interface AdmissionModules {
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly journal: MempoolJournal;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly metrics: MetricsRegister;
  /** How many chains run on this node; one where it is not said. */
  readonly chains?: (() => number) | undefined;
  /** Called after transactions became pending. */
  readonly onPending: () => void;
}

export class TxAdmission {
  readonly #modules: AdmissionModules;
  /** Transactions whose signature was found good; shared with whoever executes blocks. */
  readonly verified = new WeakSet<Transaction>();
  readonly capacity: Capacity;
  /** Of clients, while their signatures are checked. */
  #coming = 0;
  /** All that are on their way into the pool, while their signatures are checked; the verifier bounds them. */
  readonly #checking = new Map<string, Checking>();
  /** Until what they bring is pending or refused. */
  readonly #submissions = new Set<Promise<unknown>>();
  #network: ChainNetwork | null = null;
  #batch: Transaction[] = [];
  #batchBytes = 0;
  #batchMs = BATCH_MS;
  #batchAtMs = -Infinity;
  #cancelFlush: (() => void) | null = null;
  #stopRegossip: (() => void) | null = null;
  #cancelRegossip: (() => void) | null = null;
  #regossipAtMs = -Infinity;
  readonly #own = new Map<string, Transaction>();
  readonly #express: TokenBucket;
  #turn = 0;
  #attempt = 0;
  readonly #listeners = new Set<(tx: Transaction) => void>();
  readonly #leftListeners = new Set<(txs: readonly Transaction[]) => void>();
  readonly #admitted;
  readonly #refused;

  constructor(modules: AdmissionModules) {
    this.#modules = modules;
    this.capacity = new Capacity(modules.ledger.rules.params.minBlockIntervalMs, modules.chains);
    this.#express = new TokenBucket(EXPRESS_QUOTA, modules.clock.monotonic());
    modules.metrics.gauge({
      name: 'aitbc_mempool_depth_limit',
      help: 'Pending transactions beyond which those of clients must pay more than others',
      read: () => [{ labels: {}, value: this.capacity.depth }],
    });
    modules.metrics.gauge({
      name: 'aitbc_mempool_ready_txs',
      help: 'Pending transactions that wait for no missing one and that their senders can pay',
      read: () => [{ labels: {}, value: modules.pool.ready }],
    });
    modules.metrics.gauge({
      name: 'aitbc_block_txs_limit',
      help: 'Transactions that this node puts into its next block at most',
      read: () => [{ labels: {}, value: this.capacity.blockTxs }],
    });
    this.#admitted = modules.metrics.counter({
      name: 'aitbc_mempool_admitted_total',
      help: 'Transactions that became pending',
    });
    this.#refused = modules.metrics.counter({
      name: 'aitbc_mempool_rejected_total',
      help: 'Transactions refused, by error code',
      labelNames: ['reason'],
    });
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
    this.#stopRegossip = every(this.#modules.clock, REGOSSIP_MS, () => {
      this.forget(this.#modules.pool.expire(this.view()));
      this.regossip();
    });
  }

  view(): PoolView {
    const { ledger, clock } = this.#modules;
    const { tip, rules } = ledger;
    return {
      params: rules.params,
      nextHeight: tip.height + 1,
      nowMs: clock.now(),
      account: (key) => accountAt(tip.state, key),
    };
  }

  /** Called with each transaction that becomes pending, whoever sent it; must not throw. @returns ends it */
  onAdmitted(listener: (tx: Transaction) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What can be said of clients' transactions at once. @returns for each null, or why it is refused */
  check(txs: readonly Transaction[]): (Refusal | null)[] {
    const refusals = this.#check(txs, 'client');
    for (const refusal of refusals) if (refusal) this.#refused.inc({ reason: refusal.code });
    return refusals;
  }

  /** What peers took will be in their blocks, so it is taken here too: else each block would lack what others refused. */
  #check(txs: readonly Transaction[], origin: Origin): (Refusal | null)[] {
    const view = this.view();
    let depth = origin === 'client' ? this.#depth() - this.#coming : Infinity;
    return txs.map((tx) => {
      const refusal = this.#modules.pool.check(tx, view, depth);
      if (refusal === null) depth--;
      return refusal;
    });
  }

  /**
   * While more than half of what may wait does, no node takes more at once than half a block: all of them see the same room
   * after each block, and what each took for itself they all would verify in one go.
   */
  #depth(): number {
    const { ready } = this.#modules.pool;
    const { depth, blockTxs } = this.capacity;
    return 2 * ready <= depth ? depth : Math.min(depth, ready + blockTxs / 2);
  }

  /**
   * @param origin clients' transactions are journalled and gossiped; a peer's are relayed by gossip itself
   * @returns for each transaction null, or why it is not pending
   */
  submit(txs: readonly Transaction[], origin: Origin): Promise<(Refusal | null)[]> {
    const submission = this.#submit(txs, origin).finally(() => this.#submissions.delete(submission));
    this.#submissions.add(submission);
    return submission;
  }

  async #submit(txs: readonly Transaction[], origin: Origin): Promise<(Refusal | null)[]> {
    const { pool } = this.#modules;
    const results = this.#check(txs, origin);
    const open = txs.flatMap((tx, i) => (results[i] === null ? [{ tx, i }] : []));
    if (origin === 'client') this.#coming += open.length;
    const coming = open.map(({ tx }) => tx);
    const urgent = this.#isExpress(coming);
    const good = await this.#verifyForPool(coming, urgent).finally(() => {
      if (origin === 'client') this.#coming -= open.length;
    });
    const view = this.view();
    let added = 0;
    open.forEach(({ tx, i }, at) => {
      const verdict = good[at] ?? null;
      results[i] = verdict ?? pool.add(tx, view);
      if (results[i] !== null) return;
      added++;
      for (const listener of this.#listeners) listener(tx);
      if (origin !== 'journal') this.#modules.journal.add(tx.key, tx.bytes, origin === 'peer');
      if (origin === 'peer') return;
      if (this.#own.size < MAX_OWN) this.#own.set(tx.key, tx);
      if (urgent) this.#publish(0, [tx]);
      else this.#enqueue(tx);
    });
    this.forget(pool.takeDisplaced());
    this.#count(txs, results, added, origin);
    if (added > 0) this.#modules.onPending();
    return results;
  }

  /** Gossip: one bad signature condemns the batch, because no honest node relays it; reasons of state do not. */
  async onGossip({ txs, attempt, origin }: TxBatch, from: PeerId): Promise<GossipCode> {
    const results = await this.submit(txs, 'peer');
    if (results.some((refusal) => refusal && CONDEMNING.has(refusal.code))) return 'BAD_SIGNATURE';
    if (results.some((refusal) => refusal === null)) {
      const code = await this.#mayRelay(txs, results);
      // What is said again went astray somewhere: then everyone tells everyone.
      return code === 'OK' && origin === from && attempt === 0 ? 'FIRST_HAND' : code;
    }
    return results.every((refusal) => refusal?.code === 'ALREADY_KNOWN') ? 'DUPLICATE' : 'REFUSED';
  }

  /**
   * What is relayed is vouched for: a transaction that was refused here for reasons of state, before its signature was
   * looked at, may be judged by it elsewhere.
   */
  async #mayRelay(txs: readonly Transaction[], results: readonly (Refusal | null)[]): Promise<GossipCode> {
    const unseen = txs.filter((tx, i) => results[i] && results[i].code !== 'ALREADY_KNOWN' && !this.verified.has(tx));
    const verdicts = await this.#verify(unseen);
    if (verdicts.every((verdict) => verdict === null)) return 'OK';
    return verdicts.some((verdict) => verdict?.code === 'BAD_SIGNATURE') ? 'BAD_SIGNATURE' : 'REFUSED';
  }

  /** Until what is being verified for the pool is in it, where the next block of this node has room for it and it takes not long. */
  async settle(): Promise<void> {
    const { pool, clock, ledger } = this.#modules;
    if (this.#submissions.size === 0 || pool.ready >= this.capacity.blockTxs) return;
    const mostMs = Math.min(SETTLE_MS, SETTLE_SHARE * ledger.rules.params.minBlockIntervalMs);
    let cancel = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      cancel = clock.after(mostMs, resolve);
    });
    await Promise.race([over, Promise.allSettled(this.#submissions)]);
    cancel();
  }

  /** One that is pending, or will be if its signature is good. @param key of its id */
  find(key: string): Transaction | undefined {
    return this.#modules.pool.find(key) ?? this.#checking.get(key)?.tx;
  }

  /**
   * Checks signatures of bodies that did not come through the pool, or not yet.
   *
   * @param options by default agreement waits for them
   * @returns whether all are good
   */
  async verifyBodies(txs: readonly Transaction[], options: VerifyBatchOptions = { urgent: true }): Promise<boolean> {
    const { verifier, ledger } = this.#modules;
    await this.#underway(txs);
    const unknown = txs.filter((tx) => !this.verified.has(tx));
    if (unknown.length === 0) return true;
    const good = await verifyTransactions(verifier, ledger.rules.chain, unknown, options);
    unknown.forEach((tx, i) => {
      if (good[i]) this.verified.add(tx);
    });
    return good.every(Boolean);
  }

  /** Pending transactions of the last run. Those that no longer fit are forgotten. */
  async restore(decode: (bytes: Uint8Array) => Transaction): Promise<number> {
    const { journal } = this.#modules;
    const txs = (await journal.load()).flatMap((bytes) => {
      try {
        return decode(bytes);
      } catch (error) {
        if (isNodeError(error) && error.code === 'CODEC') return [];
        throw error;
      }
    });
    txs.sort((a, b) => a.nonce - b.nonce);
    let restored = 0;
    for (let at = 0; at < txs.length; at += RESTORE_BATCH) {
      const part = txs.slice(at, at + RESTORE_BATCH);
      const results = await this.submit(part, 'journal');
      this.forget(part.filter((_, i) => results[i] !== null));
      restored += results.filter((refusal) => refusal === null).length;
    }
    return restored;
  }

  /** Called with those that are no longer pending, final ones included; must not throw. @returns ends it */
  onLeft(listener: (txs: readonly Transaction[]) => void): () => void {
    this.#leftListeners.add(listener);
    return () => this.#leftListeners.delete(listener);
  }

  /** They left the pool. */
  forget(txs: readonly Transaction[]): void {
    if (txs.length === 0) return;
    for (const { key } of txs) {
      this.#modules.journal.remove(key);
      this.#own.delete(key);
    }
    for (const listener of this.#leftListeners) listener(txs);
  }

  /** Says again what clients gave this node and no block holds yet, in turn where it is more than a batch. */
  regossip(): void {
    const { clock, pool } = this.#modules;
    const pauseMs = this.#regossipAtMs + REGOSSIP_PAUSE_MS - clock.monotonic();
    if (pauseMs > 0) {
      this.#cancelRegossip ??= clock.after(pauseMs, () => {
        this.#cancelRegossip = null;
        this.regossip();
      });
      return;
    }
    this.#regossipAtMs = clock.monotonic();
    for (const key of this.#own.keys()) if (!pool.find(key)) this.#own.delete(key);
    const waiting = [...this.#own.values()];
    this.#attempt = (this.#attempt % 0xffff) + 1;
    const start = waiting.length > BATCH_TXS ? this.#turn % waiting.length : 0;
    this.#turn += BATCH_TXS;
    const again = [...waiting.slice(start), ...waiting.slice(0, start)].slice(0, BATCH_TXS);
    let batch: Transaction[] = [];
    let bytes = 0;
    for (const tx of again) {
      if (bytes + tx.bytes.length > BATCH_BYTES) {
        this.#publish(this.#attempt, batch);
        [batch, bytes] = [[], 0];
      }
      batch.push(tx);
      bytes += tx.bytes.length;
    }
    this.#publish(this.#attempt, batch);
  }

  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchAtMs = this.#modules.clock.monotonic();
    this.#batchMs = Math.min(MAX_BATCH_MS, Math.max(BATCH_MS, this.#batchMs * (batch.length < COMPANY ? 0.5 : 2)));
    this.#publish(0, batch);
  }

  /** @param attempt 0 the first time */
  #publish(attempt: number, txs: readonly Transaction[]): void {
    if (txs.length > 0) this.#network?.publish('tx', { attempt, origin: this.#network.self, txs });
  }

  close(): void {
    this.#stopRegossip?.();
    this.#cancelRegossip?.();
    this.#cancelFlush?.();
    this.#cancelFlush = null;
  }

  #isExpress(txs: readonly Transaction[]): boolean {
    const { pool, clock } = this.#modules;
    if (txs.length === 0 || txs.length > EXPRESS_TXS) return false;
    if (!txs.every((tx) => pool.outbidsBlock(tx, this.capacity.blockTxs, this.#checking.size))) return false;
    return this.#express.take(txs.length, clock.monotonic());
  }

  /** Until those that are being verified for the pool are, unless that may take long. */
  async #underway(txs: readonly Transaction[]): Promise<void> {
    if (this.#checking.size > AWAITED_TXS) return;
    const ends = new Set<Promise<unknown>>();
    for (const tx of txs) {
      const checking = this.verified.has(tx) ? undefined : this.#checking.get(tx.key);
      if (checking?.tx === tx) ends.add(checking.done);
    }
    await Promise.all(ends);
  }

  async #verifyForPool(txs: readonly Transaction[], urgent: boolean): Promise<(Refusal | null)[]> {
    const done = this.#verify(txs, urgent);
    for (const tx of txs) this.#checking.set(tx.key, { tx, done });
    try {
      return await done;
    } finally {
      for (const tx of txs) if (this.#checking.get(tx.key)?.tx === tx) this.#checking.delete(tx.key);
    }
  }

  async #verify(txs: readonly Transaction[], urgent = false): Promise<(Refusal | null)[]> {
    const { verifier, ledger } = this.#modules;
    if (txs.length === 0) return [];
    try {
      const good = await verifyTransactions(verifier, ledger.rules.chain, txs, { urgent });
      return txs.map((tx, i) => {
        if (good[i]) this.verified.add(tx);
        return good[i] ? null : badSignature(ledger.rules.chain.chainId);
      });
    } catch (error) {
      if (!isNodeError(error)) throw error;
      return txs.map(() => ({ code: error.code, message: error.message, data: error.data }));
    }
  }

  #enqueue(tx: Transaction): void {
    if (this.#batch.length >= BATCH_TXS || this.#batchBytes + tx.bytes.length > BATCH_BYTES) this.flush();
    this.#batch.push(tx);
    this.#batchBytes += tx.bytes.length;
    this.#cancelFlush ??= this.#modules.clock.after(this.#waitMs(), () => {
      this.flush();
    });
  }

  /** No longer than `#batchMs`, and so that the last of equal waits ends at the departure. */
  #waitMs(): number {
    const { ledger, clock } = this.#modules;
    if (clock.monotonic() - this.#batchAtMs >= this.#batchMs) {
      this.#batchMs = BATCH_MS;
      return 0;
    }
    const untilMs = earliestTimeMs(ledger.rules, ledger.tip) - DEPARTURE_MS - clock.now();
    return untilMs > 0 ? untilMs / Math.ceil(untilMs / this.#batchMs) : this.#batchMs;
  }

  #count(txs: readonly Transaction[], results: readonly (Refusal | null)[], added: number, origin: Origin): void {
    const { pool } = this.#modules;
    this.#admitted.inc({}, added);
    txs.forEach((tx, i) => {
      const refusal = results[i];
      if (!refusal) return;
      this.#refused.inc({ reason: refusal.code });
      // What is pending keeps that status, and what peers send, or the pool has no room for, pushes out no real answers.
      const isAsked = origin !== 'peer' && refusal.code !== 'ALREADY_KNOWN' && refusal.code !== 'POOL_FULL';
      if (isAsked) pool.reject(tx.id, refusal);
    });
  }
}

function badSignature(chainId: string): Refusal {
  return {
    code: 'BAD_SIGNATURE',
    message: 'a signature does not verify: the bytes were altered, or signed for another chain or genesis',
    data: { chainId },
  };
}
