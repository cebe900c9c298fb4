/** Lists of the replaced system's node and explorer, in the shapes their clients read: see legacy.ts. */
import Type from 'typebox';
import type { Address } from '../../bytes.ts';
import { fromHex } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, ofChain, strict } from '../app.ts';
import * as views from '../legacy-views.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { pageLimit } from '../paging.ts';
import { storedBlock } from '../proofs.ts';
import { blockOf, BlockParams } from './chain.ts';
import { blocksFrom, newest, transactionPage } from './lists.ts';

const READS = [...OF_CHAIN, ...OF_STORE];
const limit = Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$', description: '1 to 100' }));
const offset = Type.Optional(Type.String({ pattern: '^(?:0|[1-9][0-9]{0,14})$', description: 'from the head on' }));

export function legacyListOperations(node: NodeApi): Operation[] {
  return [...pendingAliases(node), addressAlias(node), ...explorerAliases(node)];
}

function pendingAliases(node: NodeApi): Operation[] {
  return ['/rpc/mempool', '/rpc/pending'].map((path) =>
    operation({
      ...{ methods: [], verb: 'GET', path, successor: null, load: 'heavy' },
      summary: 'Pending transactions, oldest first; live in the topic txs of /ws',
      params: strict({}),
      query: chainQuery({ limit }),
      answers: { 200: { description: 'As many as asked for, 100 when absent', schema: views.LegacyPending } },
      errors: OF_CHAIN,
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const transactions = api.pool
          .pending(pageLimit(query.limit ?? '100'))
          .map((tx) => views.legacyPendingTx(api.genesis.chain.chainId, tx));
        return fresh({ success: true, transactions, count: transactions.length });
      },
    }),
  );
}

function addressAlias(node: NodeApi): Operation {
  return operation({
    ...{ methods: [], verb: 'GET', path: '/rpc/address/:address', successor: '/rpc/accounts/:address', load: 'heavy' },
    summary: 'An account with its last transactions, looked for in the last blocks',
    params: strict({ address: Type.String({ maxLength: 90 }) }),
    query: chainQuery({ limit }),
    answers: { 200: { description: 'Transactions are not counted: null', schema: views.LegacyAddress } },
    errors: [...READS, 'BAD_ADDRESS'],
    handle: ({ params, query }) => {
      const api = node.chain(query.chain_id);
      const address = parseAddress(params.address);
      const rows = lastTransactions(api, address, pageLimit(query.limit ?? '10'));
      const { balance, nonce } = views.accountOf(api, address) ?? { balance: 0, nonce: 0 };
      return fresh({
        ...{ address: formatAddress(address), balance, nonce },
        ...{ total_transactions_sent: null, total_transactions_received: null },
        latest_sent: rows.filter(({ direction }) => direction === 'sent'),
        latest_received: rows.filter(({ direction }) => direction === 'received'),
      });
    },
  });
}

function lastTransactions(api: ChainApi, address: Address, most: number) {
  const { items } = transactionPage(api, newest(api), most, address);
  return (items as readonly { readonly height: number; readonly index: number }[]).flatMap((item) => {
    const stored = storedBlock(api, item.height);
    const tx = stored?.block.txs[item.index];
    return stored && tx ? [views.legacyAddressTx(stored, tx, address)] : [];
  });
}

function explorerAliases(node: NodeApi): Operation[] {
  const lists = ['/v1/explorer/blocks', '/api/explorer/blocks'].map((path) =>
    operation({
      ...{ methods: [], verb: 'GET', path, successor: '/rpc/blocks', load: 'heavy', summary: 'Blocks, newest first' },
      params: strict({}),
      query: chainQuery({ limit, offset }),
      answers: { 200: { description: 'A page', schema: views.LegacyExplorerBlocks } },
      errors: READS,
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const [most, skipped] = [pageLimit(query.limit ?? '20'), Number(query.offset ?? 0)];
        const from = api.chain.tip().height - skipped;
        const items: unknown[] = [];
        for (const stored of from >= api.chain.base() ? blocksFrom(api, from) : []) {
          if (items.length === most) return fresh({ items, next_offset: skipped + most });
          items.push(views.legacyExplorerBlock(stored));
        }
        return fresh({ items, next_offset: null });
      },
    }),
  );
  return [
    ...lists,
    operation({
      ...{ methods: [], verb: 'GET', path: '/api/blocks/:height', successor: '/rpc/blocks/:height' },
      summary: 'A block with its transactions',
      params: BlockParams,
      query: ofChain,
      answers: { 200: { description: 'All of its fields', schema: views.LegacyBlock } },
      errors: [...READS, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const stored = blockOf(api, params.height);
        const codes = (api.chain.receipts(stored.block.header.height) ?? []).map(({ code }) => code);
        return fresh(views.legacyBlock(stored, codes));
      },
    }),
    operation({
      ...{ methods: [], verb: 'GET', path: '/api/transactions/:hash', successor: '/rpc/transactions/:hash' },
      summary: 'A final transaction',
      params: strict({ hash: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
      query: ofChain,
      answers: { 200: { description: 'With what it moved', schema: views.LegacyExplorerTx } },
      errors: [...READS, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const found = api.chain.transaction(fromHex(params.hash, 32));
        const stored = found && storedBlock(api, found.height);
        const tx = found && stored?.block.txs[found.index];
        if (!stored || !tx) throw new NodeError('NOT_FOUND', 'Transaction not found', { data: { hash: params.hash } });
        return fresh(views.legacyExplorerTx(stored, tx));
      },
    }),
  ];
}
