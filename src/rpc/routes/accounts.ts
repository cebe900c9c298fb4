/** Balances and nonces, with proofs. */
import Type from 'typebox';
import { getAccount } from '../../chain/accounts.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import type { NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, flag, NO_STORE, ofChain, strict } from '../app.ts';
import { accountView } from '../views.ts';

const AccountParams = strict({ address: Type.String({ maxLength: 90 }) });
const AccountQuery = chainQuery({ proof: flag });

export function accountRoutes(app: RpcApp, node: NodeApi): void {
  app.get(
    '/rpc/accounts/:address',
    { schema: { params: AccountParams, querystring: AccountQuery } },
    (request, reply) => {
      const api = node.chain(request.query.chain_id);
      const address = parseAddress(request.params.address);
      reply.header('cache-control', NO_STORE);
      return reply.send(accountView(api, address, request.query.proof === '1'));
    },
  );

  app.get(
    '/rpc/accounts/:address/nonce',
    { schema: { params: AccountParams, querystring: ofChain } },
    (request, reply) => {
      const api = node.chain(request.query.chain_id);
      const address = parseAddress(request.params.address);
      const { nonce } = getAccount(api.chain.tip().state, address);
      reply.header('cache-control', NO_STORE);
      return reply.send({ address: formatAddress(address), nonce, next_nonce: api.pool.nextNonce(address) });
    },
  );
}
