/** For light clients: what proves a height, and any value of the state with its proof. */
import Type from 'typebox';
import { bytesKey, equalBytes, fromHex, toHex } from '../../bytes.ts';
import { encodeHeader } from '../../chain/block.ts';
import { encodeCertificate } from '../../chain/votes.ts';
import type { ValidatorSet } from '../../chain/validator-set.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { IMMUTABLE, NO_STORE, ofChain, strict } from '../app.ts';
import { stateProof, storedBlock } from '../proofs.ts';
import { validatorSetView } from '../views.ts';

/** Above every key of a module; as hex it is the longest path segment the server takes. */
const MAX_KEY_BYTES = 64;

const LightParams = strict({ height: Type.String({ pattern: '^(?:latest|0|[1-9][0-9]{0,15})$' }) });
const StateParams = strict({ key: Type.String({ pattern: `^(?:[0-9a-f]{2}){1,${MAX_KEY_BYTES}}$` }) });

export function proofRoutes(app: RpcApp, node: NodeApi): void {
  app.get('/rpc/light/:height', { schema: { params: LightParams, querystring: ofChain } }, (request, reply) => {
    const api = node.chain(request.query.chain_id);
    const latest = request.params.height === 'latest';
    const view = lightBlockView(api, latest ? api.chain.tip().height : Number(request.params.height));
    reply.header('cache-control', latest ? NO_STORE : IMMUTABLE);
    return reply.send(view);
  });

  app.get('/rpc/state/:key', { schema: { params: StateParams, querystring: ofChain } }, (request, reply) => {
    const { key } = request.params;
    const api = node.chain(request.query.chain_id);
    const proof = stateProof(api, bytesKey(fromHex(key)));
    reply.header('cache-control', NO_STORE);
    return reply.send({ key, height: proof.height, proof });
  });
}

/** @throws NodeError PRUNED; NOT_FOUND without block or validator sets of the height */
function lightBlockView(api: ChainApi, height: number) {
  const stored = storedBlock(api, height);
  if (!stored) throw notFound(api, `there is no block ${height}`, height);
  const { header } = stored.block;
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
