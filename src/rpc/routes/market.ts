/** The market's money: agreements, what miners have at stake, and the parameters of both. */
import Type from 'typebox';
import { fromHex } from '../../bytes.ts';
import { parseAddress } from '../../chain/address.ts';
import { agreementKey, stakeKey } from '../../chain/modules/compute/keys.ts';
import { computeParamsToJson, getComputeParams } from '../../chain/modules/compute/params.ts';
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import { chainQuery, flag, hash, ofChain, strict } from '../app.ts';
import { agreementView, stakeView } from '../market-views.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { stateProof } from '../proofs.ts';
import { Agreement, MarketParams, Stake } from '../schemas.ts';

export function marketOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: ['get_agreement'],
      verb: 'GET',
      path: '/v1/agreements/:agreement',
      summary: 'An agreement between a client and a miner. With proof=1 also what proves it',
      params: strict({ agreement: hash }),
      query: chainQuery({ proof: flag }),
      answers: { 200: { description: 'The agreement at the head', schema: Agreement } },
      errors: [...OF_CHAIN, ...OF_STORE, 'NOT_FOUND'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const id = fromHex(params.agreement);
        const { state, height } = api.chain.tip();
        const view = agreementView(state, id, height);
        if (!view) throw noAgreement(params.agreement);
        return fresh(query.proof === '1' ? { ...view, proof: stateProof(api, agreementKey(id)) } : view);
      },
    }),
    operation({
      methods: ['get_stake'],
      verb: 'GET',
      path: '/v1/miners/:address/stake',
      summary: 'What a miner has at stake; who never staked has nothing. With proof=1 also what proves it',
      params: strict({ address: Type.String({ maxLength: 90, description: 'ait1…' }) }),
      query: chainQuery({ proof: flag }),
      answers: { 200: { description: 'The stake at the head', schema: Stake } },
      // With proof=1 there must be a certified block.
      errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS', 'NOT_FOUND'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const miner = parseAddress(params.address);
        const { state, height } = api.chain.tip();
        const view = stakeView(state, miner, height);
        return fresh(query.proof === '1' ? { ...view, proof: stateProof(api, stakeKey(miner)) } : view);
      },
    }),
    operation({
      methods: ['get_market_params'],
      verb: 'GET',
      path: '/v1/market/params',
      summary: 'What agreements and stakes must be like on this chain',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'The parameters at the head', schema: MarketParams } },
      errors: [...OF_CHAIN, ...OF_STORE],
      handle: ({ query }) => fresh(computeParamsToJson(getComputeParams(node.chain(query.chain_id).chain.tip().state))),
    }),
  ];
}

function noAgreement(agreement: string): NodeError {
  return new NodeError('NOT_FOUND', 'there is no such agreement: never opened, or closed longer ago than is kept', {
    data: { agreement },
    hint: 'look for its last transaction: aitbc chain tx HASH',
  });
}
