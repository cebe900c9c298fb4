/** Lists of blocks and transactions, newest first, and the receipts of a block. */
import Type from 'typebox';
import type { Address } from '../../bytes.ts';
import { keyHex, toHex } from '../../bytes.ts';
import { parseAddress } from '../../chain/address.ts';
import { receiptCodeName } from '../../chain/receipt.ts';
import { transactionToJson } from '../../chain/tx-json.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, ofChain, strict } from '../app.ts';
import { deprecation } from '../deprecation.ts';
import { LegacyBlockList, legacyBlock } from '../legacy-views.ts';
import type { Answer, Operation } from '../operation.ts';
import { final, fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import type { Page, Place } from '../paging.ts';
import {
  MAX_PAGE_BLOCKS,
  MAX_PAGE_TXS,
  MAX_SEARCH_BLOCKS,
  MAX_SEARCH_TXS,
  pageAnswer,
  pageFields,
  pageLimit,
  readCursor,
} from '../paging.ts';
import { WatchedAccounts } from '../live/watched.ts';
import type { StoredBlock } from '../proofs.ts';
import { storedBlock } from '../proofs.ts';
import { BlockPage, Receipts, TransactionPage } from '../schemas.ts';
import { headView } from '../views.ts';
import { blockOf, BlockParams } from './chain.ts';

const BlocksQuery = chainQuery({
  ...pageFields,
  offset: Type.Optional(
    Type.String({
      pattern: '^(?:0|[1-9][0-9]{0,14})$',
      description: 'in place of a cursor, for clients of the replaced system: answers in the shape they read',
    }),
  ),
});

const READS = [...OF_CHAIN, ...OF_STORE];

export function listOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: ['list_blocks'],
      verb: 'GET',
      path: '/rpc/blocks',
      summary: 'Blocks, newest first',
      params: strict({}),
      query: BlocksQuery,
      load: 'heavy',
      answers: { 200: { description: 'A page', schema: Type.Union([BlockPage, LegacyBlockList]) } },
      errors: [...READS, 'PRUNED'],
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        if (query.offset !== undefined) return legacyList(api, pageLimit(query.limit ?? '10'), Number(query.offset));
        const page = blockPage(api, pageStart(api, query.cursor), pageLimit(query.limit));
        return pageAnswer('/rpc/blocks', query, page);
      },
    }),
    operation({
      methods: ['list_txs'],
      verb: 'GET',
      path: '/rpc/transactions',
      summary: 'Final transactions, newest first. A page may have fewer than asked for, or none, and others after it',
      params: strict({}),
      query: chainQuery({
        ...pageFields,
        address: Type.Optional(
          Type.String({ maxLength: 90, description: 'of this account alone: those that it sent, or that name it' }),
        ),
      }),
      load: 'heavy',
      answers: { 200: { description: 'A page', schema: TransactionPage } },
      errors: [...READS, 'BAD_ADDRESS', 'PRUNED'],
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const address = query.address === undefined ? null : parseAddress(query.address);
        const page = transactionPage(api, pageStart(api, query.cursor), pageLimit(query.limit), address);
        return pageAnswer('/rpc/transactions', query, page);
      },
    }),
    operation({
      methods: ['get_receipts'],
      verb: 'GET',
      path: '/rpc/blocks/:height/receipts',
      summary: 'What the transactions of a block came to, in their order',
      params: BlockParams,
      query: ofChain,
      answers: { 200: { description: 'The receipts: they never change', schema: Receipts } },
      errors: [...READS, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const stored = blockOf(api, params.height);
        return final(`${toHex(stored.hash)}-receipts`, () => receiptsView(api, stored));
      },
    }),
  ];
}

/** @throws NodeError INVALID_PARAMS */
function pageStart(api: ChainApi, cursor: string | undefined): Place {
  const first = newest(api);
  if (cursor === undefined) return first;
  const place = readCursor(cursor);
  return place.height > first.height ? first : place;
}

/** Before all there are. */
export function newest(api: ChainApi): Place {
  return { height: api.chain.tip().height, index: Number.MAX_SAFE_INTEGER };
}

/** Down to the lowest block that is kept. @throws NodeError PRUNED when even the first is kept no longer */
export function* blocksFrom(api: ChainApi, from: number): Generator<StoredBlock> {
  for (let height = from, isFirst = true; height >= 1 && (isFirst || height >= api.chain.base()); height--) {
    isFirst = false;
    const stored = storedBlock(api, height);
    if (!stored) return;
    yield stored;
  }
}

function blockPage(api: ChainApi, { height }: Place, limit: number): Page {
  const items: unknown[] = [];
  let txs = 0;
  for (const stored of blocksFrom(api, height)) {
    txs += stored.block.txs.length;
    if (items.length === limit || (txs > MAX_PAGE_TXS && items.length > 0)) {
      return { items, next: { height: stored.block.header.height, index: 0 } };
    }
    items.push(headView(stored));
  }
  return { items, next: null };
}

/** @param address of this account alone */
export function transactionPage(api: ChainApi, start: Place, limit: number, address: Address | null): Page {
  const items: unknown[] = [];
  const [mostBlocks, mostTxs] = address ? [MAX_SEARCH_BLOCKS, MAX_SEARCH_TXS] : [MAX_PAGE_BLOCKS, MAX_PAGE_TXS];
  const watched = new WatchedAccounts();
  if (address) watched.add(address);
  let [blocks, txs] = [0, 0];
  for (const stored of blocksFrom(api, start.height)) {
    const { block } = stored;
    const { height } = block.header;
    const last = height === start.height ? Math.min(start.index, block.txs.length - 1) : block.txs.length - 1;
    txs += block.txs.length;
    if (++blocks > mostBlocks || (txs > mostTxs && blocks > 1)) {
      return { items, next: { height, index: last < 0 ? 0 : last } };
    }
    const receipts = last < 0 ? [] : (api.chain.receipts(height) ?? []);
    const wanted = address && last >= 0 ? new Set(watched.transactionsOf(address, { ...stored, receipts })) : null;
    for (let index = last; index >= 0; index--) {
      if (wanted?.has(index) === false) continue;
      const tx = block.txs[index];
      if (items.length === limit) return { items, next: { height, index } };
      const code = receipts[index]?.code ?? null;
      if (tx) items.push({ hash: keyHex(tx.key), height, index, ...outcome(code), transaction: transactionToJson(tx) });
    }
  }
  return { items, next: null };
}

function outcome(code: number | null) {
  return { code, code_name: code === null ? null : (receiptCodeName(code) ?? null) };
}

/** @throws NodeError CORRUPT when the store lacks them */
function receiptsView(api: ChainApi, { block, hash }: StoredBlock) {
  const { height } = block.header;
  const receipts = api.chain.receipts(height);
  if (!receipts) throw new NodeError('CORRUPT', 'the store lacks the receipts of a block', { data: { height } });
  return {
    height,
    hash: toHex(hash),
    receipts: receipts.map(({ txId, code, feeUait, events }) => ({
      hash: toHex(txId),
      ...outcome(code),
      fee_uait: String(feeUait),
      events: events.map(({ module, kind, data }) => ({ module, kind, data: toHex(data) })),
    })),
  };
}

/** From the newest on; what is kept no longer is left out. */
function legacyList(api: ChainApi, limit: number, offset: number): Answer {
  const total = api.chain.tip().height;
  const from = total - offset;
  const blocks: unknown[] = [];
  if (from >= api.chain.base()) {
    for (const stored of blocksFrom(api, from)) {
      if (blocks.length === limit) break;
      blocks.push(legacyBlock(stored, null));
    }
  }
  return fresh({ blocks, total, limit, offset }, 200, deprecation('/rpc/blocks'));
}
