/** For light clients: what proves a height, and any value of the state with its proof. */
import Type from 'typebox';
import { bytesKey, equalBytes, fromHex, toHex } from '../../bytes.ts';
import { encodeHeader } from '../../chain/block.ts';
import { encodeCertificate } from '../../chain/votes.ts';
import type { ValidatorSet } from '../../chain/validator-set.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { JSON_FORM, ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { final, fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import type { StoredBlock } from '../proofs.ts';
import { stateProof, storedBlock } from '../proofs.ts';
import { LightBlock, StateValue } from '../schemas.ts';
import { validatorSetView } from '../views.ts';

/** Above every key of a module; as hex it is the longest path segment the server takes. */
const MAX_KEY_BYTES = 64;

const LightParams = strict({
  height: Type.String({
    pattern: '^(?:latest|0|[1-9][0-9]{0,15})$',
    description: 'height, or latest',
    [JSON_FORM]: 'integer',
  }),
});
const StateParams = strict({
  key: Type.String({
    pattern: `^(?:[0-9a-f]{2}){1,${MAX_KEY_BYTES}}$`,
    description: 'number of the module, one byte, then its own key',
  }),
});

export function proofOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: ['get_light_block'],
      verb: 'GET',
      path: '/rpc/light/:height',
      summary: 'What proves a height: header, certificate and validator sets',
      params: LightParams,
      query: ofChain,
      answers: { 200: { description: 'Canonical bytes in hex; of a height they never change', schema: LightBlock } },
      errors: [...OF_CHAIN, ...OF_STORE, 'NOT_FOUND', 'PRUNED'],
      handle: ({ params, query }) => {
        const api = node.chain(query.chain_id);
        const isLatest = params.height === 'latest';
        const height = isLatest ? api.chain.tip().height : Number(params.height);
        const stored = storedBlock(api, height);
        if (!stored) throw notFound(api, `there is no block ${height}`, height);
        const view = lightBlockView(api, stored);
        return isLatest ? fresh(view) : final(`${view.hash}-${stored.certificate.round}-light`, () => view);
      },
    }),
    operation({
      methods: ['get_state'],
      verb: 'GET',
      path: '/rpc/state/:key',
      summary: 'Any value of the state, or that there is none, with proof',
      params: StateParams,
      query: ofChain,
      answers: { 200: { description: 'Value and proof as of the head', schema: StateValue } },
      errors: [...OF_CHAIN, ...OF_STORE, 'NOT_FOUND'],
      handle: ({ params: { key }, query }) => {
        const proof = stateProof(node.chain(query.chain_id), bytesKey(fromHex(key)));
        return fresh({ key, height: proof.height, proof });
      },
    }),
  ];
}

/** @throws NodeError NOT_FOUND without validator sets of the height */
function lightBlockView(api: ChainApi, stored: StoredBlock) {
  const { header } = stored.block;
  const { height } = header;
  const find = (hash: Uint8Array): ValidatorSet => {
    const set = api.chain.validatorSet(hash);
    if (!set) throw notFound(api, `this node does not keep the validator set of block ${height}`, height);
    return set;
  };
  const same = equalBytes(header.validatorsHash, header.nextValidatorsHash);
  return {
    chain_id: header.chainId,
    height,
    hash: toHex(stored.hash),
    header: toHex(encodeHeader(header)),
    certificate: toHex(encodeCertificate(stored.certificate)),
    validators: validatorSetView(find(header.validatorsHash)),
    next_validators: same ? null : validatorSetView(find(header.nextValidatorsHash)),
  };
}

function notFound(api: ChainApi, message: string, height: number): NodeError {
  const head = api.chain.tip().height;
  return new NodeError('NOT_FOUND', message, {
    data: { block: height, head },
    hint:
      height > 0 && height <= head
        ? 'ask another node'
        : `heights ${api.chain.base()} to ${head} are final and kept here`,
  });
}
