/** Money for whoever tries a chain of development, by a signed transfer as any other. */
import Type from 'typebox';
import { toHex } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import { ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation } from '../operation.ts';
import { amount, hex32 } from '../schemas.ts';

const address = Type.String({ maxLength: 90, description: 'ait1…' });

const FaucetBody = strict({
  address,
  chain_id: Type.Optional(Type.String({ pattern: '^[a-z0-9._-]{1,32}$' })),
  amount: Type.Optional(Type.Unknown({ description: 'passed over: the node gives what it gives' })),
});

/** With the keys of the replaced system. */
const FaucetAnswer = strict({
  success: Type.Boolean(),
  address,
  amount: Type.Integer({ description: 'in uait' }),
  amount_uait: amount,
  tx_hash: hex32,
  chain_id: Type.String(),
  message: Type.String(),
});

export function faucetOperation(node: NodeApi): Operation {
  return operation({
    methods: [],
    verb: 'POST',
    path: '/rpc/faucet',
    summary: 'Sends money to an address, on chains of development, so much an hour; to be waited for by its hash',
    params: strict({}),
    query: ofChain,
    load: 'write',
    body: { forms: [{ key: null, schema: FaucetBody }], maxBytes: 1024 },
    answers: { 200: { description: 'Sent, not final yet', schema: FaucetAnswer } },
    errors: [...OF_CHAIN, 'BAD_ADDRESS', 'INSUFFICIENT_FUNDS', 'METHOD_DISABLED', 'POOL_FULL', 'RATE_LIMITED'],
    handle: async ({ body, query }) => {
      const asked = body as { readonly address: string; readonly chain_id?: string };
      const api = node.chain(query.chain_id ?? asked.chain_id);
      const { chainId } = api.genesis.chain;
      if (!api.faucet) {
        throw new NodeError('METHOD_DISABLED', `this node has no faucet for ${chainId}`, {
          hint: 'its operator sets faucet.key_file of config.toml, on a chain that ends in -devnet',
        });
      }
      const to = parseAddress(asked.address);
      const { amountUait } = api.faucet;
      const id = await api.faucet.pay(to);
      return fresh({
        ...{ success: true, address: formatAddress(to), amount: amountUait, amount_uait: String(amountUait) },
        ...{ tx_hash: toHex(id), chain_id: chainId, message: 'sent: it is final with the next block' },
      });
    },
  });
}
