/** Paths of the replaced system's clients, in the shapes they read; each is deprecated and names its successor. */
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import { getSets } from '../../chain/modules/validators-state.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, hash, noQuery, ofChain, strict } from '../app.ts';
import * as views from '../legacy-views.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { storedBlock } from '../proofs.ts';
import { Alive } from '../schemas.ts';
import { peerView } from '../views.ts';
import { legacyListOperations } from './legacy-lists.ts';

/** Blocks of one range, and their transactions together. */
export const MAX_RANGE_BLOCKS = 1000;
export const MAX_RANGE_TXS = 10_000;

const AddressParams = strict({ address: Type.String({ maxLength: 90 }) });
const HashParams = strict({ hash });
const heightText = Type.String({ pattern: '^(?:0|[1-9][0-9]{0,15})$' });
const RangeQuery = chainQuery({
  start: heightText,
  end: heightText,
  include_tx: Type.Optional(Type.Enum(['true', 'false'], { description: 'true when absent' })),
});

const READS = [...OF_CHAIN, ...OF_STORE];

/** @param operations whose paths these others stand for */
export function legacyOperations(node: NodeApi, operations: readonly Operation[]): Operation[] {
  const alias = (path: string, successor: string): Operation[] =>
    operations
      .filter((operation) => operation.verb === 'GET' && operation.path === successor)
      .map((operation) => ({ ...operation, methods: [], path, successor }));
  return [
    ...alias('/rpc/get_head', '/rpc/head'),
    ...alias('/api/chain/head', '/rpc/head'),
    ...alias('/rpc/get_block/:height', '/rpc/blocks/:height'),
    ...accountAliases(node),
    ...transactionAliases(node),
    ...chainAliases(node),
    ...nodeAliases(node),
    ...legacyListOperations(node),
  ];
}

function accountAliases(node: NodeApi): Operation[] {
  const successor = '/rpc/accounts/:address';
  const balances = ['/rpc/getBalance/:address', '/rpc/get_balance/:address'].map((path) =>
    operation({
      ...{ methods: [], verb: 'GET', path, successor, summary: 'Balance as a number of uait, and nonce' },
      params: AddressParams,
      query: ofChain,
      answers: { 200: { description: 'Unknown accounts are empty', schema: views.LegacyBalance } },
      errors: [...READS, 'BAD_ADDRESS'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const address = parseAddress(params.address);
        const { balance, nonce } = views.accountOf(api, address) ?? { balance: 0, nonce: 0 };
        return fresh({ address: formatAddress(address), balance, nonce, updated_at: views.headTime(api) });
      },
    }),
  );
  const account = operation({
    ...{ methods: [], verb: 'GET', path: '/rpc/account/:address', successor, summary: 'An account that was touched' },
    params: AddressParams,
    query: ofChain,
    answers: { 200: { description: 'Balance as a number of uait, and nonce', schema: views.LegacyAccount } },
    errors: [...READS, 'BAD_ADDRESS', 'NOT_FOUND'],
    handle: ({ params, query }) => {
      const api = node.chain(query.chain_id);
      const address = parseAddress(params.address);
      const found = views.accountOf(api, address);
      if (!found) throw new NodeError('NOT_FOUND', 'Account not found', { data: { address: params.address } });
      return fresh({ address: formatAddress(address), ...found, chain_id: api.genesis.chain.chainId });
    },
  });
  const funds = operation({
    ...{ methods: [], verb: 'GET', path: '/rpc/balance/:address', successor, summary: 'Balance in its parts' },
    params: AddressParams,
    query: ofChain,
    answers: { 200: { description: 'Numbers of uait; nothing is staked or bridged here', schema: views.LegacyFunds } },
    errors: [...READS, 'BAD_ADDRESS'],
    handle: ({ params, query }) => fresh(views.legacyFunds(node.chain(query.chain_id), parseAddress(params.address))),
  });
  return [...balances, account, funds];
}

function transactionAliases(node: NodeApi): Operation[] {
  const successor = '/rpc/transactions/:hash';
  const small = ['/rpc/tx/:hash', '/rpc/get_tx/:hash'].map((path) =>
    operation({
      ...{ methods: [], verb: 'GET', path, successor, summary: 'A final transaction' },
      params: HashParams,
      query: ofChain,
      answers: { 200: { description: 'With sender and recipient', schema: views.LegacyTx } },
      errors: [...READS, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const { stored, tx } = finalTransaction(node.chain(query.chain_id), params.hash);
        return fresh(views.legacyTx(stored, tx));
      },
    }),
  );
  const row = operation({
    ...{ methods: [], verb: 'GET', path: '/rpc/transaction/:hash', successor, summary: 'A final transaction' },
    params: HashParams,
    query: ofChain,
    answers: { 200: { description: 'All of its fields', schema: views.LegacyTxRow } },
    errors: [...READS, 'NOT_FOUND', 'PRUNED'],
    handle: ({ params, query }) => {
      const { stored, tx, code } = finalTransaction(node.chain(query.chain_id), params.hash);
      return fresh(views.legacyTxRow(stored, tx, code));
    },
  });
  return [...small, row];
}

/** @throws NodeError NOT_FOUND | PRUNED */
function finalTransaction(api: ChainApi, id: string) {
  const found = api.chain.transaction(fromHex(id, 32));
  const stored = found && storedBlock(api, found.height);
  const tx = found && stored?.block.txs[found.index];
  if (!found || !stored || !tx) {
    throw new NodeError('NOT_FOUND', 'Transaction not found', {
      data: { hash: id },
      hint: `GET /rpc/transactions/${id} also tells what is pending and what was rejected`,
    });
  }
  return { stored, tx, code: api.chain.receipts(found.height)?.[found.index]?.code ?? 0 };
}

function chainAliases(node: NodeApi): Operation[] {
  return [
    operation({
      ...{ methods: [], verb: 'GET', path: '/rpc/height', successor: '/rpc/head', summary: 'Height of the head' },
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: '0 before the first block', schema: views.LegacyHeight } },
      errors: READS,
      handle: ({ query }) => fresh({ height: node.chain(query.chain_id).chain.tip().height }),
    }),
    operation({
      ...{ methods: [], verb: 'GET', path: '/rpc/blocks-range', successor: '/rpc/blocks/:height' },
      summary: 'Blocks from start to end, both included',
      params: strict({}),
      query: RangeQuery,
      load: 'heavy',
      answers: {
        200: {
          description: 'Those that there are; with include_tx=false no transactions',
          schema: views.LegacyBlockRange,
        },
      },
      errors: [...READS, 'PRUNED', 'TOO_LARGE'],
      handle: ({ query: { chain_id, start, end, include_tx } }) =>
        fresh(range(node.chain(chain_id), Number(start), Number(end), include_tx !== 'false')),
    }),
  ];
}

/** @throws NodeError INVALID_PARAMS | TOO_LARGE | PRUNED */
function range(api: ChainApi, start: number, end: number, withTxs: boolean) {
  if (end < start) throw new NodeError('INVALID_PARAMS', 'end is below start', { data: { start, end } });
  if (end - start >= MAX_RANGE_BLOCKS) {
    throw new NodeError('TOO_LARGE', `a range holds at most ${MAX_RANGE_BLOCKS} blocks`, { data: { start, end } });
  }
  const blocks: ReturnType<typeof views.legacyBlock>[] = [];
  let txs = 0;
  for (let height = Math.max(start, 1); height <= Math.min(end, api.chain.tip().height); height++) {
    const stored = storedBlock(api, height);
    if (!stored) break;
    txs += stored.block.txs.length;
    // Whole blocks are read either way: this bounds the work, and one block is always given.
    if (txs > MAX_RANGE_TXS && blocks.length > 0) {
      throw new NodeError('TOO_LARGE', `a range holds at most ${MAX_RANGE_TXS} transactions`, {
        data: { start, end },
        hint: `ask for ${start} to ${height - 1}, then for the rest`,
      });
    }
    const codes = withTxs ? (api.chain.receipts(height) ?? []).map(({ code }) => code) : null;
    blocks.push(views.legacyBlock(stored, codes));
  }
  return { success: true, blocks, start, end, count: blocks.length };
}

function nodeAliases(node: NodeApi): Operation[] {
  const sync = ['/rpc/syncStatus', '/sync_status'].map((path, i) =>
    operation({
      ...{ methods: i === 0 ? ['sync_status'] : [], verb: 'GET', path, successor: '/rpc/status' },
      summary: 'The head, and whether the node is catching up',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'Transactions are not counted: null', schema: views.LegacySync } },
      errors: READS,
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const { current } = getSets(api.chain.tip().state);
        return fresh(
          views.legacySync(
            api,
            current.validators.map(({ publicKey }) => toHex(publicKey)),
          ),
        );
      },
    }),
  );
  return [
    ...sync,
    operation({
      ...{ methods: ['net_info'], verb: 'GET', path: '/net_info', successor: '/rpc/peers' },
      summary: 'This node and its peers',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'As of now', schema: views.LegacyNet } },
      errors: OF_CHAIN,
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const peers = api.peers().map(peerView);
        const chain_id = api.genesis.chain.chainId;
        return fresh({ chain_id, node_id: node.peerId, listening: true, n_peers: peers.length, peers });
      },
    }),
    operation({
      ...{ methods: [], verb: 'GET', path: '/rpc/info', successor: '/rpc/status' },
      summary: 'The chain with its parameters',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'Transactions and accounts are not counted: null', schema: views.LegacyInfo } },
      errors: READS,
      handle: ({ query }) => fresh(views.legacyInfo(node, node.chain(query.chain_id))),
    }),
    operation({
      ...{
        methods: [],
        verb: 'GET',
        path: '/v1/health',
        scope: null,
        successor: '/health',
        summary: 'Whether the process answers',
      },
      params: strict({}),
      query: noQuery,
      answers: { 200: { description: 'It does', schema: Alive } },
      errors: [],
      handle: () => fresh({ status: 'ok' }),
    }),
  ];
}
