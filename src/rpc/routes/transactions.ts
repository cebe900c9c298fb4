/** Transactions: taking them in, and saying what became of them. */
import Type from 'typebox';
import { fromHex, keyHex } from '../../bytes.ts';
import { jsonString } from '../../chain/json.ts';
import type { Json } from '../../chain/modules/types.ts';
import type { Transaction } from '../../chain/tx.ts';
import { txCheck } from '../../chain/tx.ts';
import type { ErrorCode } from '../../errors.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, flag, hash, strict } from '../app.ts';
import type { Answer, Body, Input, Operation } from '../operation.ts';
import { final, fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { storedBlock, transactionProof } from '../proofs.ts';
import { amount, anyObject, BatchResults, count, Transaction as TransactionSchema } from '../schemas.ts';
import type { TransactionDesks } from '../tx-intake.ts';
import { MAX_BATCH_TXS, readTransactions, refusalError } from '../tx-intake.ts';
import type { TransactionStatus } from '../tx-status.ts';
import { transactionStatus } from '../tx-status.ts';

/** A full batch of small transactions in hex. */
const MAX_BATCH_BODY_BYTES = 2.5 * 1024 * 1024;
const COMMIT_WAIT_MS = 10_000;

const TxParams = strict({ hash });
const TxQuery = chainQuery({ proof: flag });
const Mode = Type.Enum(['async', 'sync', 'commit'], { description: 'sync when absent; commit waits up to 10 s' });
const SubmitQuery = chainQuery({ mode: Type.Optional(Mode) });

const chainField = { chain_id: Type.Optional(Type.String({ pattern: '^[a-z0-9._-]{1,32}$' })) };
const bytesText = Type.String({ description: 'canonical bytes, in lower-case hex or base64' });
const TxFields = {
  version: Type.Integer({ minimum: 0, maximum: 255 }),
  type: Type.String(),
  sender: hash,
  nonce: count,
  fee_uait: amount,
  valid_until_height: count,
  payload: anyObject,
  signature: Type.String({ pattern: '^[0-9a-f]{128}$' }),
};
const SubmitBody: Body = {
  maxBytes: MAX_BATCH_BODY_BYTES,
  binary: 'canonical bytes of one transaction',
  forms: [
    {
      key: 'txs',
      schema: strict({
        ...chainField,
        txs: Type.Array(bytesText, { minItems: 1, description: `up to ${MAX_BATCH_TXS}; not with mode=commit` }),
      }),
    },
    { key: 'tx', schema: strict({ ...chainField, tx: bytesText }) },
    { key: null, schema: strict({ ...chainField, ...TxFields }) },
  ],
};

/** Why a transaction is not taken. */
const OF_SUBMISSION: readonly ErrorCode[] = [
  ...(['BAD_ADDRESS', 'BAD_NONCE', 'BAD_SIGNATURE', 'CODEC', 'EXPIRED', 'FEE_TOO_LOW', 'INSUFFICIENT_FUNDS'] as const),
  ...(['NONCE_GAP', 'POOL_FULL', 'RATE_LIMITED', 'UNDERPRICED', 'UNKNOWN_TX_TYPE', 'WRONG_CHAIN'] as const),
];

export function transactionOperations(node: NodeApi, desks: TransactionDesks): Operation[] {
  return [
    operation({
      methods: ['get_tx'],
      verb: 'GET',
      path: '/rpc/transactions/:hash',
      summary: 'What became of a transaction; with proof=1 also what proves that it is final',
      params: TxParams,
      query: TxQuery,
      // A proof takes the lists of the whole block apart.
      load: ({ proof }) => (proof === '1' ? 'heavy' : 'read'),
      answers: {
        200: { description: 'Pending, final or rejected', schema: TransactionSchema },
        404: { description: 'Unknown here', schema: TransactionSchema },
      },
      errors: [...OF_CHAIN, ...OF_STORE, 'PRUNED'],
      handle: ({ params, query }) => transactionAnswer(node.chain(query.chain_id), params.hash, query.proof === '1'),
    }),
    operation({
      methods: ['send_tx', 'broadcast_tx'],
      verb: 'POST',
      path: '/rpc/transactions',
      summary: 'Takes one signed transaction, or a batch. Sending again is harmless',
      params: strict({}),
      query: SubmitQuery,
      load: 'write',
      countOf: (body) => (isBatch(body) ? body.txs.length : 1),
      body: SubmitBody,
      bodyParam: {
        name: 'tx',
        schema: Type.Union([bytesText, strict(TxFields)]),
        toBody: (tx) => (typeof tx === 'string' ? { tx } : tx),
      },
      answers: {
        200: {
          description: 'Pending, or final in commit mode; of a batch, one result each',
          schema: Type.Union([TransactionSchema, BatchResults]),
        },
        202: {
          description: 'Taken, and to be asked for by its hash: async mode, or commit mode after 10 s',
          schema: Type.Union([TransactionSchema, BatchResults]),
        },
      },
      errors: [...OF_CHAIN, ...OF_STORE, ...OF_SUBMISSION],
      handle: (input) => submit(node, desks, input),
    }),
  ];
}

function isBatch(body: unknown): body is { readonly txs: readonly unknown[] } {
  return typeof body === 'object' && body !== null && Array.isArray((body as { txs?: unknown }).txs);
}

function transactionAnswer(api: ChainApi, id: string, withProof: boolean): Answer {
  const status = transactionStatus(api, fromHex(id, 32));
  const { height, index } = status;
  const body = (): unknown =>
    withProof && height !== null && index !== null
      ? { ...status, proof: transactionProof(api, height, index) }
      : status;
  if (status.status !== 'final' || status.code === null || height === null) {
    return fresh(body(), status.status === 'unknown' ? 404 : 200);
  }
  // The proof holds the certificate, which may differ from node to node by its round.
  const round = withProof ? `-${storedBlock(api, height)?.certificate.round ?? ''}` : '';
  return final(`${id}-final${round}`, body);
}

async function submit(
  node: NodeApi,
  desks: TransactionDesks,
  input: Input<object, { chain_id?: string; mode?: 'async' | 'sync' | 'commit' }>,
): Promise<Answer> {
  const mode = input.query.mode ?? 'sync';
  const { chainId, body } = takeChainId(input.body, input.query.chain_id);
  const api = node.chain(chainId);
  const { intake, waiters } = desks.of(api);
  const given = readTransactions(api, body);
  if (Array.isArray(given)) {
    if (mode === 'commit') {
      throw new NodeError('INVALID_PARAMS', 'a batch is not waited for', {
        hint: 'use mode=sync, then ask by hash',
      });
    }
    return fresh({ results: await intake.batch(given, mode) }, mode === 'async' ? 202 : 200);
  }
  const tx = given as Transaction;
  const known = await intake.one(tx, mode).catch((error: unknown) => {
    throw signedElsewhere(node, api, tx) ?? error;
  });
  if (known) return fresh(known);
  if (mode !== 'commit') return accepted(mode === 'async' ? 202 : 200, transactionStatus(api, tx.id), tx);
  const status = await waiters.wait(tx.id, COMMIT_WAIT_MS, input.gone());
  if (status.status === 'final') return fresh(status);
  if (status.status === 'rejected') throw rejectionError(api, tx);
  return accepted(202, status, tx);
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
      data: { hash: keyHex(tx.key), signed_for: chainId, sent_to: asked },
      hint: `send it with chain_id=${chainId}`,
    });
  }
  return null;
}

/** In `async` mode the pool may not have it yet: what was taken is pending all the same. */
function accepted(code: number, status: TransactionStatus, tx: Transaction): Answer {
  const body: TransactionStatus =
    status.status === 'unknown' ? { ...status, status: 'pending', code: null, code_name: null, reason: null } : status;
  return fresh(body, code, { location: `/rpc/transactions/${keyHex(tx.key)}` });
}

function rejectionError(api: ChainApi, tx: Transaction): NodeError {
  const refusal = api.pool.rejection(tx.id);
  return refusal ? refusalError(refusal, tx) : toNodeError('the transaction left the pool without a reason');
}
