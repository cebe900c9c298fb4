/** Between a request and the pool: transactions of every form, alone or many, and the waits for them to be final. */
import { fromHex, keyHex } from '../bytes.ts';
import { accountAt } from '../chain/accounts.ts';
import { checkKeys, jsonArray, jsonObject, jsonString } from '../chain/json.ts';
import type { Json } from '../chain/modules/types.ts';
import { transactionFromJson } from '../chain/tx-json.ts';
import type { Transaction } from '../chain/tx.ts';
import { decodeTransaction, MAX_TX_BYTES } from '../chain/tx.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Refusal } from '../mempool.ts';
import type { ChainApi } from './api.ts';
import { fromFramework } from './problem.ts';
import type { TransactionStatus } from './tx-status.ts';
import { FinalityWaiters, finalOutcome, transactionStatus } from './tx-status.ts';

export const MAX_BATCH_TXS = 1024;
/** Transactions taken whose signatures are not yet verified. */
export const MAX_UNVERIFIED = 16_384;
/**
 * Once the first of them waits so long, this node is given more than it can do, and what it took on top would only wait
 * longer: clients are told so while there is time to go elsewhere. Not who sends one and waits for the answer: that client
 * sends no more meanwhile. And few never count as too many.
 */
export const MAX_UNVERIFIED_MS = 1_000;
export const FEW_UNVERIFIED = 256;

/** One transaction's result in a batch. */
interface BatchResult {
  /** null: the bytes do not decode. */
  readonly hash: string | null;
  readonly status: TransactionStatus['status'];
  readonly code: string | number | null;
  readonly reason: string | null;
}

/** What is kept between requests, for each chain. */
export class TransactionDesks {
  readonly #clock: Clock;
  readonly #desks = new Map<ChainApi, TransactionDesk>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(api: ChainApi): TransactionDesk {
    let desk = this.#desks.get(api);
    if (desk) return desk;
    desk = { intake: new Intake(api, this.#clock), waiters: new FinalityWaiters(api, this.#clock) };
    this.#desks.set(api, desk);
    api.closed.addEventListener('abort', () => this.#desks.delete(api), { once: true });
    return desk;
  }

  /** Ends all waits. */
  close(): void {
    for (const { waiters } of this.#desks.values()) waiters.close();
    this.#desks.clear();
  }
}

interface TransactionDesk {
  readonly intake: Intake;
  readonly waiters: FinalityWaiters;
}

/** A transaction, or the texts of a batch. @throws NodeError */
export function readTransactions(api: ChainApi, body: unknown): Transaction | readonly string[] {
  if (body instanceof Uint8Array) return decode(api, body);
  const object = jsonObject(body as Json | undefined, 'body');
  if (Object.hasOwn(object, 'txs')) {
    checkKeys(object, ['txs']);
    const list = jsonArray(object['txs'], 'txs');
    if (list.length === 0 || list.length > MAX_BATCH_TXS) {
      throw new NodeError(
        list.length === 0 ? 'INVALID_PARAMS' : 'TOO_LARGE',
        `a batch holds 1 to ${MAX_BATCH_TXS} transactions`,
        {
          data: { count: list.length },
        },
      );
    }
    return list.map((item, i) => jsonString(item, `txs/${i}`));
  }
  if (Object.hasOwn(object, 'tx')) {
    checkKeys(object, ['tx']);
    return decode(api, bytesOfText(jsonString(object['tx'], 'tx')));
  }
  return transactionFromJson(api.crypto, object);
}

function decode(api: ChainApi, bytes: Uint8Array): Transaction {
  if (bytes.length > MAX_TX_BYTES) {
    throw new NodeError('TOO_LARGE', `a transaction has at most ${MAX_TX_BYTES} bytes`, {
      data: { bytes: bytes.length },
    });
  }
  return decodeTransaction(api.crypto, bytes);
}

/** Lower-case hex, or base64 with or without padding. @throws NodeError PARSE_ERROR */
function bytesOfText(text: string): Uint8Array {
  if (text.length % 2 === 0 && /^[0-9a-f]*$/.test(text)) return fromHex(text);
  const bytes = Buffer.from(text, 'base64');
  if (text === '' || bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) {
    throw new NodeError('PARSE_ERROR', 'a transaction is given as lower-case hex or as base64');
  }
  return new Uint8Array(bytes);
}

/** Between HTTP and the pool. */
class Intake {
  readonly #api: ChainApi;
  readonly #clock: Clock;
  /** Those given to the pool that it has not answered, oldest first; times are monotonic. */
  readonly #waiting = new Set<{ readonly count: number; readonly sinceMs: number }>();
  #unverified = 0;

  constructor(api: ChainApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /**
   * Submits one. Doing so again is harmless: what is pending stays, what is final is reported.
   *
   * @returns the status when it is final already @throws NodeError why it is refused
   */
  async one(tx: Transaction, mode: 'async' | 'sync' | 'commit'): Promise<TransactionStatus | null> {
    const { pool, chain } = this.#api;
    if (chain.transaction(tx.id)) return transactionStatus(this.#api, tx.id);
    const refusal = (mode === 'async' ? pool.check([tx]) : await this.#submit([tx], false))[0] ?? null;
    if (refusal && refusal.code !== 'ALREADY_KNOWN') throw refusalError(refusal, tx);
    if (mode === 'async' && !refusal) this.#later([tx]);
    return null;
  }

  async batch(texts: readonly string[], mode: 'async' | 'sync'): Promise<BatchResult[]> {
    const items = texts.map((text) => {
      try {
        return decode(this.#api, bytesOfText(text));
      } catch (error) {
        return fromFramework(error);
      }
    });
    const open: Transaction[] = [];
    const results = items.map((item): BatchResult | null => {
      if (item instanceof NodeError) return { hash: null, status: 'rejected', code: item.code, reason: item.message };
      const final = this.#outcome(item);
      if (!final) open.push(item);
      return final ?? null;
    });
    const refusals = mode === 'sync' ? await this.#submit(open, true) : this.#checkAll(open);
    let at = 0;
    return results.map((result) => {
      if (result) return result;
      const tx = open[at];
      return batchResult(tx, refusals[at++] ?? null);
    });
  }

  /** What is final used its nonce up: for what did not, the store is not asked. */
  #outcome(tx: Transaction): BatchResult | undefined {
    const { nonce } = accountAt(this.#api.chain.tip().state, tx.senderKey);
    return nonce > tx.nonce ? finalOutcome(this.#api, tx.id) : undefined;
  }

  #checkAll(txs: readonly Transaction[]): readonly (Refusal | null)[] {
    const refusals = this.#api.pool.check(txs);
    this.#later(txs.filter((_, i) => refusals[i] === null));
    return refusals;
  }

  /** Verifies and admits in the background; a refusal is then found by hash. @throws NodeError RATE_LIMITED */
  #later(txs: readonly Transaction[]): void {
    this.#requireRoom(txs.length, true);
    this.#submit(txs, true).catch(() => undefined);
  }

  /** @param isRefusedWhenLate those who do not wait, or send many @throws NodeError RATE_LIMITED */
  async #submit(txs: readonly Transaction[], isRefusedWhenLate: boolean): Promise<readonly (Refusal | null)[]> {
    if (txs.length === 0) return [];
    this.#requireRoom(txs.length, isRefusedWhenLate);
    const entry = { count: txs.length, sinceMs: this.#clock.monotonic() };
    this.#waiting.add(entry);
    this.#unverified += entry.count;
    try {
      return await this.#api.pool.submit(txs);
    } finally {
      this.#waiting.delete(entry);
      this.#unverified -= entry.count;
    }
  }

  #requireRoom(count: number, isRefusedWhenLate: boolean): void {
    const [oldest] = this.#waiting;
    const waitedMs = oldest ? this.#clock.monotonic() - oldest.sinceMs : 0;
    const isSlow = isRefusedWhenLate && waitedMs > MAX_UNVERIFIED_MS && this.#unverified + count > FEW_UNVERIFIED;
    if (count === 0 || (!isSlow && this.#unverified + count <= MAX_UNVERIFIED)) return;
    throw new NodeError('RATE_LIMITED', 'too many transactions wait for the check of their signature', {
      data: { waiting: this.#unverified, waitedMs: Math.round(waitedMs), limit: MAX_UNVERIFIED },
      hint: 'try again shortly, or at another node',
    });
  }
}

function batchResult(tx: Transaction | undefined, refusal: Refusal | null): BatchResult {
  const id = tx ? keyHex(tx.key) : null;
  if (!refusal || refusal.code === 'ALREADY_KNOWN') return { hash: id, status: 'pending', code: null, reason: null };
  return { hash: id, status: 'rejected', code: refusal.code, reason: refusal.message };
}

const HINTS: Readonly<Record<string, string>> = {
  BAD_NONCE: 'ask /rpc/accounts/{address}/nonce for the next nonce and sign again',
  NONCE_GAP: 'send the transactions with the missing nonces first',
  INSUFFICIENT_FUNDS: 'send less, or wait until what is pending has settled',
  FEE_TOO_LOW: 'the least fee is base_fee_uait + fee_per_byte_uait × size; /rpc/status has both',
  BAD_SIGNATURE: 'sign for the chain id and genesis hash that /rpc/status shows',
  EXPIRED: 'sign again with a higher valid_until_height',
  UNDERPRICED: 'pay a tenth more than the pending transaction of the same nonce',
  POOL_FULL: 'send it again in a second, or pay a tenth more than floorRate, in uait a byte',
};

export function refusalError(refusal: Refusal, tx: Transaction): NodeError {
  const hint = HINTS[refusal.code];
  return new NodeError(refusal.code, refusal.message, {
    data: { hash: keyHex(tx.key), ...refusal.data },
    ...(hint !== undefined && { hint }),
  });
}
