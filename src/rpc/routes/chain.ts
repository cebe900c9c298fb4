/** Head, blocks and genesis. */
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, JSON_FORM, ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { final, fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import type { StoredBlock } from '../proofs.ts';
import { storedBlock } from '../proofs.ts';
import { Block, Genesis, Head, Join } from '../schemas.ts';
import { blockView, headView } from '../views.ts';

export const BlockParams = strict({
  height: Type.String({
    pattern: '^(?:0|[1-9][0-9]{0,15}|[0-9a-f]{64})$',
    description: 'height, or hash of the block',
    [JSON_FORM]: 'integer',
  }),
});
const BlockQuery = chainQuery({
  transactions: Type.Optional(Type.Enum(['full', 'hashes'], { description: 'hashes leaves out their content' })),
});

export function chainOperations(node: NodeApi): Operation[] {
  const heads = new WeakMap<ChainApi, ReturnType<typeof headView>>();
  return [
    operation({
      methods: ['get_head'],
      verb: 'GET',
      path: '/rpc/head',
      summary: 'The last final block',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'Its header in short', schema: Head } },
      errors: [...OF_CHAIN, ...OF_STORE, 'NOT_FOUND'],
      handle: ({ query }) => fresh(headOf(node.chain(query.chain_id), heads)),
    }),
    operation({
      methods: ['get_block'],
      verb: 'GET',
      path: '/rpc/blocks/:height',
      summary: 'A final block with its transactions, their results and its certificate',
      params: BlockParams,
      query: BlockQuery,
      answers: { 200: { description: 'The block: it never changes', schema: Block } },
      errors: [...OF_CHAIN, ...OF_STORE, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const stored = blockOf(api, params.height);
        const full = query.transactions !== 'hashes';
        // The certificate, and so the round, may differ from node to node.
        const tag = `${toHex(stored.hash)}-${stored.certificate.round}-${full ? 'full' : 'hashes'}`;
        return final(tag, () => blockView(api.chain, stored, full));
      },
    }),
    operation({
      methods: ['get_genesis'],
      verb: 'GET',
      path: '/rpc/genesis',
      summary: 'Parameters and first state of the chain',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'The genesis with its hash', schema: Genesis } },
      errors: OF_CHAIN,
      handle: ({ query }) => {
        const { genesis, genesisJson } = node.chain(query.chain_id);
        const hash = toHex(genesis.chain.genesisHash);
        return final(hash, () => ({ chain_id: genesis.chain.chainId, hash, genesis: genesisJson }));
      },
    }),
    operation({
      methods: ['get_join_document'],
      verb: 'GET',
      path: '/rpc/join',
      summary: 'What a node joins the network with, signed by its validators: `aitbc join` takes it',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'The join document, with the genesis unless that is large', schema: Join } },
      errors: [...OF_CHAIN, 'NOT_FOUND', 'STORAGE'],
      load: 'heavy',
      handle: async ({ query }) => fresh(await node.chain(query.chain_id).joinDocument()),
    }),
  ];
}

/** The head is asked for far more often than it changes, and its block may be large: the last answer is kept. */
function headOf(api: ChainApi, heads: WeakMap<ChainApi, ReturnType<typeof headView>>): ReturnType<typeof headView> {
  const { height } = api.chain.tip();
  const last = heads.get(api);
  if (last?.height === height) return last;
  const stored = storedBlock(api, height);
  if (!stored) {
    throw new NodeError('NOT_FOUND', 'there is no block yet', {
      data: { chain_id: api.genesis.chain.chainId },
      hint: 'the first one comes with the first transaction',
    });
  }
  const view = headView(stored);
  heads.set(api, view);
  return view;
}

/** @param id height, or hash in hex @throws NodeError NOT_FOUND | PRUNED */
export function blockOf(api: ChainApi, id: string): StoredBlock {
  const height = id.length < 64 ? Number(id) : api.chain.heightOf(fromHex(id, 32));
  const stored = height === undefined ? undefined : storedBlock(api, height);
  if (!stored) throw noBlock(api, id);
  return stored;
}

function noBlock(api: ChainApi, id: string): NodeError {
  const { height } = api.chain.tip();
  return new NodeError('NOT_FOUND', `there is no block ${id}`, {
    data: { block: id, head: height },
    hint:
      height === 0 ? 'the chain has no block yet' : `heights ${api.chain.base()} to ${height} are final and kept here`,
  });
}
