/** What the node is doing: status, agreement, validators, peers. */
import { bytesKey, toHex } from '../../bytes.ts';
import { getSets } from '../../chain/modules/validators-state.ts';
import type { ChainApi, ConsensusStatus, NodeApi, SeenVote, SnapshotProgress } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { NO_STORE, ofChain } from '../app.ts';
import { storedBlock } from '../proofs.ts';
import { paramsView, validatorsView, validatorView } from '../views.ts';

export function nodeRoutes(app: RpcApp, node: NodeApi): void {
  const answers: Readonly<Record<string, (api: ChainApi) => unknown>> = {
    '/rpc/status': statusView,
    '/rpc/consensus': consensusView,
    '/rpc/validators': ({ chain, genesis }) => {
      const { height, state } = chain.tip();
      return { chain_id: genesis.chain.chainId, height, ...validatorsView(state, height) };
    },
    '/rpc/snapshots': (api) => ({
      snapshots: api.snapshots().map(({ height, chunks, bytes, manifestHash }) => ({
        ...{ height, chunks, bytes, manifest_hash: toHex(manifestHash) },
      })),
    }),
    '/rpc/peers': (api) => ({ peers: api.peers().map(peerView) }),
  };
  for (const [path, answer] of Object.entries(answers)) {
    app.get(path, { schema: { querystring: ofChain } }, (request, reply) => {
      reply.header('cache-control', NO_STORE);
      return reply.send(answer(node.chain(request.query.chain_id)));
    });
  }
}

function statusView(api: ChainApi) {
  const { node, genesis, pool } = api;
  const status = api.status();
  const { height } = api.chain.tip();
  const head = storedBlock(api, height);
  return {
    chain_id: genesis.chain.chainId,
    height,
    base_height: api.chain.base(),
    hash: head ? toHex(head.hash) : null,
    state_root: head ? toHex(head.block.header.stateRoot) : null,
    round: head ? head.certificate.round : null,
    state: status.state,
    validators_reachable: status.validatorsReachable,
    validators_total: status.validatorsTotal,
    quorum: status.quorum,
    signing: status.signing,
    not_signing: status.notSigning,
    target_height: status.targetHeight,
    sync: status.sync && { blocks_per_s: status.sync.blocksPerSecond, eta_ms: status.sync.etaMs },
    snapshot: status.snapshot && snapshotView(status.snapshot),
    genesis_hash: toHex(genesis.chain.genesisHash),
    params: paramsView(genesis.params),
    name: node.name,
    version: node.version,
    peer_id: node.peerId,
    validator: node.validator && toHex(node.validator),
    peers: api.peers().length,
    pool: { txs: pool.size, bytes: pool.bytes },
  };
}

function snapshotView({ phase, height, chunksDone, chunksTotal, bytesPerSecond, etaSeconds }: SnapshotProgress) {
  return {
    ...{ phase, height, chunks_done: chunksDone, chunks_total: chunksTotal },
    ...{ bytes_per_s: bytesPerSecond, eta_s: etaSeconds },
  };
}

function consensusView(api: ChainApi) {
  const status = api.consensus();
  const { current } = getSets(api.chain.tip().state);
  return {
    chain_id: api.genesis.chain.chainId,
    height: status.height,
    round: status.round,
    step: status.step,
    proposer: status.proposer && toHex(status.proposer),
    locked_round: status.lockedRound,
    valid_round: status.validRound,
    validators: current.validators.map((validator) => ({
      ...validatorView(validator),
      ...presence(status, bytesKey(validator.publicKey)),
    })),
    reasons: status.reasons,
  };
}

/** A vote is shown as the hash it is for, "nil", or null while none was seen. */
function presence(status: ConsensusStatus, key: string) {
  const vote = (votes: readonly SeenVote[]): string | null => {
    const found = votes.find(({ validator }) => bytesKey(validator) === key);
    if (!found) return null;
    return found.blockId === null ? 'nil' : toHex(found.blockId);
  };
  return {
    reachable: status.reachable.some((validator) => bytesKey(validator) === key),
    prevote: vote(status.prevotes),
    precommit: vote(status.precommits),
  };
}

function peerView(peer: ReturnType<ChainApi['peers']>[number]) {
  return {
    peer_id: peer.peerId,
    addresses: peer.addresses,
    direction: peer.direction,
    score: peer.score,
    height: peer.height,
    validator: peer.validator && toHex(peer.validator),
  };
}
