/** Transactions: taking them in, and saying what became of them. */
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { checkKeys, jsonArray, jsonObject, jsonString } from '../../chain/json.ts';
import type { Json } from '../../chain/modules/types.ts';
import { transactionFromJson } from '../../chain/tx-json.ts';
import type { Transaction } from '../../chain/tx.ts';
import { decodeTransaction, MAX_TX_BYTES, txCheck } from '../../chain/tx.ts';
import type { Clock } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Refusal } from '../../mempool.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, flag, hash, IMMUTABLE, NO_STORE, strict } from '../app.ts';
import { fromFramework } from '../problem.ts';
import { transactionProof } from '../proofs.ts';
import type { TransactionStatus } from '../tx-status.ts';
import { FinalityWaiters, transactionStatus } from '../tx-status.ts';

export const MAX_BATCH_TXS = 1024;
/** A full batch of small transactions in hex. */
const MAX_BATCH_BODY_BYTES = 2.5 * 1024 * 1024;
/** Transactions taken in `async` mode whose signatures are not yet verified. */
export const MAX_UNVERIFIED = 16_384;
const COMMIT_WAIT_MS = 10_000;

const TxParams = strict({ hash });
const TxQuery = chainQuery({ proof: flag });
const Mode = Type.Union([Type.Literal('async'), Type.Literal('sync'), Type.Literal('commit')]);
const SubmitQuery = chainQuery({ mode: Type.Optional(Mode) });

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
    desk = { intake: new Intake(api), waiters: new FinalityWaiters(api, this.#clock) };
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

export function transactionRoutes(app: RpcApp, node: NodeApi, desks: TransactionDesks): void {
  app.get('/rpc/transactions/:hash', { schema: { params: TxParams, querystring: TxQuery } }, (request, reply) => {
    const api = node.chain(request.query.chain_id);
    const status = transactionStatus(api, fromHex(request.params.hash, 32));
    const isWhole = status.status === 'final' && status.code !== null;
    reply.header('cache-control', isWhole ? IMMUTABLE : NO_STORE).code(httpCode(status));
    if (request.query.proof !== '1' || status.height === null || status.index === null) return reply.send(status);
    return reply.send({ ...status, proof: transactionProof(api, status.height, status.index) });
  });

  app.post(
    '/rpc/transactions',
    { schema: { querystring: SubmitQuery }, bodyLimit: MAX_BATCH_BODY_BYTES },
    async (request, reply) => {
      const mode = request.query.mode ?? 'sync';
      reply.header('cache-control', NO_STORE);
      const { chainId, body } = takeChainId(request.body, request.query.chain_id);
      const api = node.chain(chainId);
      const { intake, waiters } = desks.of(api);
      const input = readBody(api, body);
      if (Array.isArray(input)) {
        if (mode === 'commit') {
          throw new NodeError('INVALID_PARAMS', 'a batch is not waited for', {
            hint: 'use mode=sync, then ask by hash',
          });
        }
        return reply.code(mode === 'async' ? 202 : 200).send({ results: await intake.batch(input, mode) });
      }
      const tx = input as Transaction;
      const known = await intake.one(tx, mode).catch((error: unknown) => {
        throw signedElsewhere(node, api, tx) ?? error;
      });
      if (known) return reply.send(known);
      if (mode !== 'commit') {
        return accepted(reply, mode === 'async' ? 202 : 200, transactionStatus(api, tx.id), tx);
      }
      const gone = new AbortController();
      reply.raw.once('close', () => {
        gone.abort();
      });
      const status = await waiters.wait(tx.id, COMMIT_WAIT_MS, gone.signal);
      if (status.status === 'final') return reply.send(status);
      if (status.status === 'rejected') throw rejectionError(api, tx);
      return accepted(reply, 202, status, tx);
    },
  );
}

/** The chain may be named in the body too, beside what is sent. @throws NodeError INVALID_PARAMS */
function takeChainId(body: unknown, inQuery: string | undefined): { chainId: string | undefined; body: unknown } {
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array || !Object.hasOwn(body, 'chain_id')) {
    return { chainId: inQuery, body };
  }
  const { chain_id: named, ...rest } = body as Record<string, unknown>;
  const chainId = jsonString(named as Json, 'chain_id');
  if (inQuery === undefined || inQuery === chainId) return { chainId, body: rest };
  throw new NodeError('INVALID_PARAMS', 'chain_id in the query and in the body differ', {
    data: { query: inQuery, body: chainId.slice(0, 64) },
  });
}

/** For a transaction that one chain refused: whether it was meant for another one that runs here. */
function signedElsewhere(node: NodeApi, refused: ChainApi, tx: Transaction): NodeError | null {
  for (const { api, chainId } of node.chains()) {
    if (!api || api === refused) continue;
    const { message, signature, publicKey } = txCheck(api.genesis.chain, tx);
    if (!api.crypto.verify(message, signature, publicKey)) continue;
    const { chainId: asked } = refused.genesis.chain;
    return new NodeError('WRONG_CHAIN', `signed for ${chainId}, but sent to ${asked}`, {
      data: { hash: toHex(tx.id), signed_for: chainId, sent_to: asked },
      hint: `send it with chain_id=${chainId}`,
    });
  }
  return null;
}

function httpCode({ status }: TransactionStatus): number {
  return status === 'unknown' ? 404 : 200;
}

/** In `async` mode the pool may not have it yet: what was taken is pending all the same. */
function accepted(reply: FastifyReply, code: number, status: TransactionStatus, tx: Transaction): FastifyReply {
  const id = toHex(tx.id);
  const body: TransactionStatus =
    status.status === 'unknown' ? { ...status, status: 'pending', code: null, code_name: null, reason: null } : status;
  return reply.code(code).header('location', `/rpc/transactions/${id}`).send(body);
}

/** A transaction, or the texts of a batch. @throws NodeError */
function readBody(api: ChainApi, body: unknown): Transaction | readonly string[] {
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
  #unverified = 0;

  constructor(api: ChainApi) {
    this.#api = api;
  }

  /**
   * Submits one. Doing so again is harmless: what is pending stays, what is final is reported.
   *
   * @returns the status when it is final already @throws NodeError why it is refused
   */
  async one(tx: Transaction, mode: 'async' | 'sync' | 'commit'): Promise<TransactionStatus | null> {
    const { pool, chain } = this.#api;
    if (chain.transaction(tx.id)) return transactionStatus(this.#api, tx.id);
    const refusal = mode === 'async' ? pool.check(tx) : ((await pool.submit([tx]))[0] ?? null);
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
      if (this.#api.chain.transaction(item.id)) {
        const { hash, status, code, reason } = transactionStatus(this.#api, item.id);
        return { hash, status, code, reason };
      }
      open.push(item);
      return null;
    });
    const refusals = mode === 'sync' ? await this.#api.pool.submit(open) : this.#checkAll(open);
    let at = 0;
    return results.map((result) => {
      if (result) return result;
      const tx = open[at];
      return batchResult(tx, refusals[at++] ?? null);
    });
  }

  #checkAll(txs: readonly Transaction[]): (Refusal | null)[] {
    const refusals = txs.map((tx) => this.#api.pool.check(tx));
    this.#later(txs.filter((_, i) => refusals[i] === null));
    return refusals;
  }

  /** Verifies and admits in the background; a refusal is then found by hash. @throws NodeError RATE_LIMITED */
  #later(txs: readonly Transaction[]): void {
    if (txs.length === 0) return;
    if (this.#unverified + txs.length > MAX_UNVERIFIED) {
      throw new NodeError('RATE_LIMITED', 'too many transactions wait for the check of their signature', {
        data: { limit: MAX_UNVERIFIED },
        hint: 'try again shortly, or use mode=sync, which waits',
      });
    }
    this.#unverified += txs.length;
    const done = (): void => {
      this.#unverified -= txs.length;
    };
    this.#api.pool.submit(txs).then(done, done);
  }
}

function batchResult(tx: Transaction | undefined, refusal: Refusal | null): BatchResult {
  const id = tx ? toHex(tx.id) : null;
  if (!refusal || refusal.code === 'ALREADY_KNOWN') return { hash: id, status: 'pending', code: null, reason: null };
  return { hash: id, status: 'rejected', code: refusal.code, reason: refusal.message };
}

function rejectionError(api: ChainApi, tx: Transaction): NodeError {
  const refusal = api.pool.rejection(tx.id);
  return refusal ? refusalError(refusal, tx) : toNodeError('the transaction left the pool without a reason');
}

const HINTS: Readonly<Record<string, string>> = {
  BAD_NONCE: 'ask /rpc/accounts/{address}/nonce for the next nonce and sign again',
  NONCE_GAP: 'send the transactions with the missing nonces first',
  INSUFFICIENT_FUNDS: 'send less, or wait until what is pending has settled',
  FEE_TOO_LOW: 'the least fee is base_fee_uait + fee_per_byte_uait × size; /rpc/status has both',
  BAD_SIGNATURE: 'sign for the chain id and genesis hash that /rpc/status shows',
  EXPIRED: 'sign again with a higher valid_until_height',
  UNDERPRICED: 'pay a tenth more than the pending transaction of the same nonce',
  POOL_FULL: 'pay a higher fee, or try again later',
};

function refusalError(refusal: Refusal, tx: Transaction): NodeError {
  const hint = HINTS[refusal.code];
  return new NodeError(refusal.code, refusal.message, {
    data: { hash: toHex(tx.id), ...refusal.data },
    ...(hint !== undefined && { hint }),
  });
}
