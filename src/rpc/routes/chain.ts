/** Head, blocks and genesis. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, IMMUTABLE, NO_STORE, ofChain, strict } from '../app.ts';
import { storedBlock } from '../proofs.ts';
import { blockView, headView } from '../views.ts';

const BlockParams = strict({ id: Type.String({ pattern: '^(?:0|[1-9][0-9]{0,15}|[0-9a-f]{64})$' }) });
const BlockQuery = chainQuery({
  transactions: Type.Optional(Type.Union([Type.Literal('full'), Type.Literal('hashes')])),
});

export function chainRoutes(app: RpcApp, node: NodeApi): void {
  const heads = new WeakMap<ChainApi, ReturnType<typeof headView>>();

  app.get('/rpc/head', { schema: { querystring: ofChain } }, (request, reply) => {
    reply.header('cache-control', NO_STORE);
    return reply.send(headOf(node.chain(request.query.chain_id), heads));
  });

  app.get('/rpc/blocks/:id', { schema: { params: BlockParams, querystring: BlockQuery } }, (request, reply) => {
    const api = node.chain(request.query.chain_id);
    const stored = storedBlock(api, heightOf(api, request.params.id));
    if (!stored) throw noBlock(api, request.params.id);
    const full = request.query.transactions !== 'hashes';
    // The certificate, and so the round, may differ from node to node.
    const tag = `"${toHex(stored.hash)}-${stored.certificate.round}-${full ? 'full' : 'hashes'}"`;
    if (isCached(request, reply, tag)) return reply.code(304).send();
    return reply.send(blockView(api.chain, stored, full));
  });

  app.get('/rpc/genesis', { schema: { querystring: ofChain } }, (request, reply) => {
    const { genesis, genesisJson } = node.chain(request.query.chain_id);
    const hash = toHex(genesis.chain.genesisHash);
    if (isCached(request, reply, `"${hash}"`)) return reply.code(304).send();
    return reply.send({ chain_id: genesis.chain.chainId, hash, genesis: genesisJson });
  });
}

/** Says that the answer never changes. @returns whether the client has it already */
function isCached(request: FastifyRequest, reply: FastifyReply, tag: string): boolean {
  reply.header('cache-control', IMMUTABLE).header('etag', tag);
  return request.headers['if-none-match'] === tag;
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

function heightOf(api: ChainApi, id: string): number {
  if (id.length < 64) return Number(id);
  const height = api.chain.heightOf(fromHex(id, 32));
  if (height === undefined) throw noBlock(api, id);
  return height;
}

function noBlock(api: ChainApi, id: string): NodeError {
  const { height } = api.chain.tip();
  return new NodeError('NOT_FOUND', `there is no block ${id}`, {
    data: { block: id, head: height },
    hint:
      height === 0 ? 'the chain has no block yet' : `heights ${api.chain.base()} to ${height} are final and kept here`,
  });
}
