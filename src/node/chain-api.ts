/** One chain as the interfaces see it: ChainApi over a running chain and the host. */
import type { Address, PublicKey } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import { getAccount } from '../chain/accounts.ts';
import { formatAddress } from '../chain/address.ts';
import type { Offer } from '../chain/market/offer.ts';
import { statePath } from '../chain/state.ts';
import { findValidator, proposerOf } from '../chain/validator-set.ts';
import type { Vote } from '../chain/votes.ts';
import type { OpenChain } from '../chains/chain-set.ts';
import type { RunningChain } from '../chains.ts';
import type { Clock } from '../clock.ts';
import type { MarketLink } from '../compute/link.ts';
import { votesFrom } from '../consensus/selectors.ts';
import { NodeError } from '../errors.ts';
import type { Host } from '../net/host.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import type {
  ChainApi,
  ChainView,
  FaucetApi,
  ConsensusPlace,
  ConsensusStatus,
  JobsApi,
  MarketApi,
  NodeStatus,
  PeerInfo,
  ReadinessCheck,
  RefusedPeer,
  SeenVote,
  TxPool,
} from '../rpc/api.ts';

/** With transactions pending, a head older than this is a standstill. */
const STANDSTILL_MS = 10_000;

export interface ChainApiModules {
  readonly name: string;
  readonly version: string;
  readonly crypto: Crypto;
  readonly host: Host;
  readonly clock: Clock;
  readonly faucetOf: (chain: RunningChain) => FaucetApi | null;
  readonly jobsOf: (chain: RunningChain) => JobsApi | null;
}

interface ApiModules extends ChainApiModules {
  readonly chain: RunningChain;
}

export function createChainApi(
  around: ChainApiModules,
  { chain, genesisJson, joinDocument, closed }: OpenChain,
): ChainApi {
  const modules = { ...around, chain };
  const { host, crypto, clock, name, version } = around;
  const lastCommit = { atMs: clock.monotonic() };
  chain.onCommit(() => {
    lastCommit.atMs = clock.monotonic();
  });
  return {
    node: { name, version, peerId: host.peerId, validator: chain.validatorKey },
    crypto,
    genesis: chain.genesis,
    genesisJson,
    joinDocument,
    chain: createChainView(modules),
    pool: createTxPool(chain),
    closed,
    status: () => status(chain),
    snapshots: () => chain.snapshots?.held ?? [],
    consensus: () => consensus(chain),
    place: () => place(chain),
    onStep: (listener) => chain.onStep(listener),
    peers: () => peers(modules),
    refusedPeers: () => refusedPeers(modules),
    onPeers: (listener) => chain.onPeers(listener),
    readiness: () => readiness(chain, clock.monotonic() - lastCommit.atMs),
    market: createMarketApi(chain.market),
    get faucet() {
      return around.faucetOf(chain);
    },
    get jobs() {
      return around.jobsOf(chain);
    },
  };
}

function createMarketApi(market: MarketLink): MarketApi {
  const offerOf = (miner: Address): Offer => {
    const signed = market.index.ofMiner(miner);
    if (signed) return signed.offer;
    throw new NodeError('NO_MINER', 'this miner offers nothing at present, as far as this node knows', {
      data: { miner: formatAddress(miner) },
      hint: 'see who does: GET /v1/miners',
    });
  };
  return {
    offers: () => market.offers(),
    quote: async (miner, request, signal) => market.quote(offerOf(miner), request, signal),
    openWork: async (miner, signal) => market.open(offerOf(miner), signal),
    blobs: market.blobs,
  };
}

function createChainView({ chain, crypto }: ApiModules): ChainView {
  const { ledger } = chain;
  const { store } = ledger;
  return {
    tip: () => {
      const { tip } = ledger;
      return {
        height: tip.height,
        state: tip.state,
        prove: (key) => tip.tree.prove(tip.version, statePath(crypto, key)),
      };
    },
    base: () => store.base(),
    block: (height) => store.block(height),
    certificate: (height) => store.certificate(height),
    heightOf: (blockId) => store.heightOf(blockId),
    transaction: (id) => store.transaction(id),
    validatorSet: (hash) => ledger.validatorSet(hash),
    receipts: (height) => store.receipts(height),
    transactionAt: (place) => store.transactionAt(place),
    receiptAt: (place) => store.receiptAt(place),
    onCommit: (listener) => chain.onCommit(listener),
  };
}

function createTxPool({ pool, admission, ledger }: RunningChain): TxPool {
  return {
    get size() {
      return pool.size;
    },
    get bytes() {
      return pool.bytes;
    },
    get: (id) => pool.get(id),
    pending: (limit) => pool.oldest(limit),
    onChange: (listener) => {
      const ends = [
        admission.onAdmitted((tx) => {
          listener.came(tx);
        }),
        admission.onLeft((txs) => {
          listener.left(txs);
        }),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
    rejection: (id) => pool.rejection(id),
    nextNonce: (address) => pool.nextNonce(address, getAccount(ledger.tip.state, address).nonce),
    check: (txs) => admission.check(txs),
    submit: (txs) => admission.submit(txs, 'client'),
  };
}

function status(chain: RunningChain): NodeStatus {
  const reach = chain.presence.reach();
  const signing = chain.engine.machine.self !== null;
  return {
    state: stateOf(chain, reach.hasQuorum),
    validatorsReachable: reach.validators,
    validatorsTotal: reach.total,
    quorum: reach.quorum,
    signing,
    notSigning: signing ? [] : whyNotSigning(chain),
    targetHeight: chain.sync.progress?.targetHeight ?? null,
    sync: chain.sync.progress && {
      blocksPerSecond: chain.sync.progress.blocksPerSecond,
      etaMs: chain.sync.progress.etaMs,
    },
    snapshot: chain.join?.progress ?? null,
  };
}

function whyNotSigning({ gate, ledger }: RunningChain): string[] {
  if (gate.reasons.size > 0) return [...gate.reasons.values()];
  const { floorHeight } = gate;
  if (ledger.tip.height < floorHeight) {
    return [`signs above height ${floorHeight} again: its key may have signed up to there`];
  }
  return ['not a validator of this height'];
}

function stateOf(chain: RunningChain, quorumReached: boolean): NodeStatus['state'] {
  const comes = chain.sync.progress ?? chain.join?.progress;
  if (comes && chain.gate.reasons.has('catching-up')) return 'syncing';
  if (chain.gate.reasons.has('starting')) return 'starting';
  return chain.fault || !quorumReached ? 'halted' : 'synced';
}

function place({ engine, ledger }: RunningChain): ConsensusPlace {
  const { height, round, step } = engine.machine;
  return { height, round, step, proposer: proposerOf(ledger.validators.current, round).publicKey };
}

function consensus(chain: RunningChain): ConsensusStatus {
  const { machine } = chain.engine;
  const { presence, pool } = chain;
  const votes = votesFrom(machine, machine.round, 1024).filter((vote) => vote.round === machine.round);
  const of = (type: Vote['type']): SeenVote[] =>
    votes.filter((vote) => vote.type === type).map(({ validator, blockId }) => ({ validator, blockId }));
  const reach = presence.reach();
  const reasons: string[] = [];
  if (machine.step === 'idle' && pool.size === 0) reasons.push('no transactions wait: blocks are made on demand');
  if (!reach.hasQuorum) {
    reasons.push(`${reach.validators} of ${reach.total} validators reachable, ${reach.quorum} needed`);
  }
  return {
    ...place(chain),
    lockedRound: machine.lockedRound,
    validRound: machine.validRound,
    prevotes: of('prevote'),
    precommits: of('precommit'),
    reachable: reachable(chain),
    reasons,
  };
}

function reachable({ ledger, presence }: RunningChain): PublicKey[] {
  return ledger.validators.current.validators
    .map(({ publicKey }) => publicKey)
    .filter((publicKey) => presence.isFresh(publicKey));
}

function peers({ host, chain }: ApiModules): PeerInfo[] {
  const byPeer = chain.presence.byPeer();
  const clockOffsets = chain.presence.clockOffsets();
  const { current } = chain.ledger.validators;
  const { chainId } = chain.genesis.chain;
  const sharing = host.peers().filter(({ chains }) => chains.includes(chainId));
  return sharing.map((peer) => {
    const sighting = byPeer.get(peer.peerId);
    return {
      name: (sighting && findValidator(current, sighting.validator)?.name) ?? null,
      agent: peer.agent,
      isNamed: peer.direct,
      path: peer.isDirect ? 'direct' : 'relay',
      rttMs: peer.rttMs,
      clockOffsetMs: clockOffsets.get(peer.peerId) ?? null,
      peerId: peer.peerId,
      addresses: [peer.address],
      direction: peer.direction,
      score: peer.score,
      height: sighting?.height ?? null,
      validator: sighting?.validator ?? null,
    };
  });
}

/** Of those that have come round since, nothing is said. */
function refusedPeers({ host, chain }: ApiModules): RefusedPeer[] {
  const { chainId } = chain.genesis.chain;
  const sharing = new Set(host.peers().flatMap(({ peerId, chains }) => (chains.includes(chainId) ? [peerId] : [])));
  return host
    .refusals()
    .filter((refusal) => refusal.chainId === chainId && !sharing.has(refusal.peer))
    .map(({ peer, address, ourGenesis, theirGenesis, atMs }) => ({
      ...{ peerId: peer, address, ourGenesis, theirGenesis, atMs },
    }));
}

function readiness(chain: RunningChain, sinceCommitMs: number): ReadinessCheck[] {
  const { presence, pool, admission, sync, fault, gate, validatorKey } = chain;
  const reach = presence.reach();
  const catchingUp = gate.reasons.has('catching-up') || gate.reasons.has('starting');
  // What waits for a missing nonce or for funds is no standstill: anyone can send it.
  const moving = sinceCommitMs < STANDSTILL_MS || !pool.hasExecutable(admission.view());
  return [
    {
      name: 'storage',
      ok: fault === null,
      detail: fault === null ? 'the last write succeeded' : fault.message,
    },
    {
      name: 'quorum',
      ok: reach.hasQuorum,
      detail: `${reach.validators} of ${reach.total} validators with a signed status of the last 10 s, ${reach.quorum} needed`,
    },
    {
      name: 'synced',
      ok: !catchingUp,
      detail: catchingUp
        ? `catching up to height ${sync.progress?.targetHeight ?? 'unknown'}`
        : `at height ${chain.ledger.tip.height}${validatorKey ? `, validator ${toHex(validatorKey).slice(0, 8)}` : ''}`,
    },
    {
      name: 'progress',
      ok: moving,
      detail: moving
        ? `${pool.size} transactions pending`
        : `${pool.size} transactions pending and no block for ${Math.round(sinceCommitMs / 1000)} s`,
    },
  ];
}
