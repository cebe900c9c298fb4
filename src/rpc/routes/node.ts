/** What the node is doing: status, agreement, validators, peers. */
import type { TSchema } from 'typebox';
import { toHex } from '../../bytes.ts';
import type { ChainApi, NodeApi, SnapshotProgress } from '../api.ts';
import { ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { storedBlock } from '../proofs.ts';
import { Consensus, Peers, Snapshots, Status, Validators } from '../schemas.ts';
import { consensusView, paramsView, peerView, refusedPeerView, validatorsView } from '../views.ts';

interface Report {
  readonly path: string;
  readonly method: string;
  readonly summary: string;
  readonly schema: TSchema;
  /** Whether it reads blocks or state. */
  readonly reads: boolean;
  readonly view: (api: ChainApi) => unknown;
}

const REPORTS: readonly Report[] = [
  {
    path: '/rpc/status',
    method: 'get_status',
    summary: 'What the node does with the chain, with all that is needed to sign for it',
    schema: Status,
    reads: true,
    view: statusView,
  },
  {
    path: '/rpc/consensus',
    method: 'get_consensus',
    summary: 'Where agreement stands: round, votes seen, and why no block is made',
    schema: Consensus,
    reads: true,
    view: consensusView,
  },
  {
    path: '/rpc/validators',
    method: 'get_validators',
    summary: 'Validator sets of the head, the next height and the one after, and open proposals to change them',
    schema: Validators,
    reads: true,
    view: ({ chain, genesis }) => {
      const { height, state } = chain.tip();
      return { chain_id: genesis.chain.chainId, height, ...validatorsView(state, height) };
    },
  },
  {
    path: '/rpc/snapshots',
    method: 'get_snapshots',
    summary: 'Snapshots of the state that this node offers to nodes that join',
    schema: Snapshots,
    reads: false,
    view: (api) => ({
      snapshots: api.snapshots().map(({ height, chunks, bytes, manifestHash }) => ({
        ...{ height, chunks, bytes, manifest_hash: toHex(manifestHash) },
      })),
    }),
  },
  {
    path: '/rpc/peers',
    method: 'get_peers',
    summary: 'Connected peers that share the chain, and those refused for another genesis of its name',
    schema: Peers,
    reads: false,
    view: (api) => ({ peers: api.peers().map(peerView), refused: api.refusedPeers().map(refusedPeerView) }),
  },
];

export function nodeOperations(node: NodeApi): Operation[] {
  return REPORTS.map(({ path, method, summary, schema, reads, view }) =>
    operation({
      methods: [method],
      verb: 'GET',
      path,
      summary,
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'As of now', schema } },
      errors: [...OF_CHAIN, ...(reads ? OF_STORE : [])],
      handle: ({ query }) => fresh(view(node.chain(query.chain_id))),
    }),
  );
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
