/** Balances and nonces, with proofs. */
import Type from 'typebox';
import { getAccount } from '../../chain/accounts.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import type { NodeApi } from '../api.ts';
import { chainQuery, flag, ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { Account, Nonce } from '../schemas.ts';
import { accountView } from '../views.ts';

const AccountParams = strict({ address: Type.String({ maxLength: 90, description: 'ait1…' }) });

export function accountOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: ['get_account', 'get_balance'],
      verb: 'GET',
      path: '/rpc/accounts/:address',
      summary: 'Balance and nonce; unknown accounts are empty. With proof=1 also what proves them',
      params: AccountParams,
      query: chainQuery({ proof: flag }),
      answers: { 200: { description: 'The account at the head', schema: Account } },
      // With proof=1 there must be a certified block.
      errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS', 'NOT_FOUND'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        return fresh(accountView(api, parseAddress(params.address), query.proof === '1'));
      },
    }),
    operation({
      methods: ['get_nonce'],
      verb: 'GET',
      path: '/rpc/accounts/:address/nonce',
      summary: 'The nonce to use next, after what is pending',
      params: AccountParams,
      query: ofChain,
      answers: { 200: { description: 'Nonce at the head, and the next to use', schema: Nonce } },
      errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const address = parseAddress(params.address);
        const { nonce } = getAccount(api.chain.tip().state, address);
        return fresh({ address: formatAddress(address), nonce, next_nonce: api.pool.nextNonce(address) });
      },
    }),
  ];
}
