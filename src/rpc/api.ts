/** What the interfaces need of a running node; src/node/ implements it over chains and host. */
import type { Address, Hash, PublicKey } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import type { Genesis } from '../chain/genesis.ts';
import type { SignedOffer } from '../chain/market/offer.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { Receipt } from '../chain/receipt.ts';
import type { StateKey, StateReader } from '../chain/state.ts';
import type { StateProof } from '../chain/tree-proof.ts';
import type { Transaction } from '../chain/tx.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import type { BlobShelf } from '../compute/blobs/shelf.ts';
import type { Coordinator } from '../compute/coordinator/coordinator.ts';
import type { MinerStatus } from '../compute/miner/status.ts';
import type { Step } from '../consensus/types.ts';
import type { NodeError } from '../errors.ts';
import type { Refusal } from '../mempool.ts';
import type { StoredTransaction } from '../store/types.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';

/** A node with its chains. */
export interface NodeApi {
  readonly name: string;
  readonly version: string;
  readonly peerId: string;
  /** The default one first. */
  chains(): readonly ChainSummary[];
  /** @param chainId the default one when absent @throws NodeError UNKNOWN_CHAIN | CHAIN_STOPPED */
  chain(chainId?: string): ChainApi;
  /** @throws NodeError why it cannot be started */
  startChain(chainId: string): Promise<void>;
  stopChain(chainId: string): Promise<void>;
}

/** The miner of the node, for its operator. */
export interface MinerApi {
  /** @throws NodeError NOT_FOUND when it does not run, and why */
  status(): MinerStatus;
  /** Takes no more work; resolves when what is at work has ended. @throws NodeError NOT_FOUND */
  drain(): Promise<void>;
}

/** One chain of the node. */
export interface ChainSummary {
  readonly chainId: string;
  readonly isDefault: boolean;
  readonly state: 'stopped' | 'starting' | 'running' | 'failed';
  /** Why it failed. */
  readonly error: NodeError | null;
  /** Null unless it can be asked. */
  readonly api: ChainApi | null;
}

/** One chain that can be asked. */
export interface ChainApi {
  readonly node: NodeIdentity;
  readonly crypto: Crypto;
  readonly genesis: Genesis;
  /** The source the genesis was parsed from. */
  readonly genesisJson: Json;
  /** What others join with, signed by the validators. @throws NodeError NOT_FOUND | STORAGE */
  joinDocument(): Promise<JsonObject>;
  readonly chain: ChainView;
  readonly pool: TxPool;
  /** Aborted when the chain begins to stop. */
  readonly closed: AbortSignal;
  status(): NodeStatus;
  consensus(): ConsensusStatus;
  /** Where agreement is, as `consensus` says it too, without its votes. */
  place(): ConsensusPlace;
  /** Called after every step of agreement, of which most leave the place; the returned function ends it. */
  onStep(listener: () => void): () => void;
  /** Ascending by height. */
  snapshots(): readonly OfferedSnapshot[];
  /** Those that share the chain. */
  peers(): readonly PeerInfo[];
  /** Those that call another genesis by the name of this chain, newest last, a few at most. */
  refusedPeers(): readonly RefusedPeer[];
  /** Called when one came or went, perhaps before `peers` shows it; the returned function ends it. */
  onPeers(listener: () => void): () => void;
  /** What must hold for the chain to be ready to serve. */
  readiness(): readonly ReadinessCheck[];
  readonly market: MarketApi;
  /** Null: this node gives no money away on this chain. */
  readonly faucet: FaucetApi | null;
  /** Null: this node has no work done for others on this chain. */
  readonly jobs: JobsApi | null;
}

/** Miners as this node knows and reaches them, for clients that are no peers. */
export interface MarketApi {
  /** Verified and staked; at most one a miner. */
  offers(): readonly SignedOffer[];
  /** @returns encoded SignedQuote @throws NodeError NO_MINER without such an offer; the miner's own code */
  quote(miner: Address, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /** @throws NodeError NO_MINER | UNREACHABLE | RATE_LIMITED */
  openWork(miner: Address, signal: AbortSignal): Promise<WorkStream>;
  /** Sealed inputs of jobs, which miners ask this node for. */
  readonly blobs: BlobShelf;
}

/** Money of the node for whoever tries a chain of development. */
export interface FaucetApi {
  readonly address: Address;
  readonly amountUait: number;
  /** @returns the id of the transfer, pending @throws NodeError RATE_LIMITED | INSUFFICIENT_FUNDS | POOL_FULL */
  pay(to: Address): Promise<Hash>;
}

/** The market as this node takes part in it as a client: whom it lets in has work done at the cost of its wallet. */
export interface JobsApi {
  readonly coordinator: Coordinator;
  readonly options: JobOptions;
}

export interface JobOptions {
  /** What the transactions that set money aside for one job cost at most, beside its price. */
  readonly maxFeesUait: number;
  /** Most that one job may cost, and what it may cost when it does not say. */
  readonly maxPriceUait: number;
  /** How long clients that wait for an answer wait for a miner to begin. */
  readonly startMs: number;
  /** Longest attempt at a job. */
  readonly executionMs: number;
}

export interface NodeIdentity {
  readonly name: string;
  readonly version: string;
  readonly peerId: string;
  /** Consensus key of this node on this chain; null on a follower. */
  readonly validator: PublicKey | null;
}

export interface ChainView {
  /** One consistent picture of the head, valid until control returns to the event loop. */
  tip(): ChainTip;
  /** Lowest height whose block is held. */
  base(): number;
  block(height: number): Block | undefined;
  certificate(height: number): Certificate | undefined;
  heightOf(blockId: Hash): number | undefined;
  transaction(id: Hash): StoredTransaction | undefined;
  /** By its hash in headers: that of genesis, and those since, as far as the node has them. */
  validatorSet(hash: Hash): ValidatorSet | undefined;
  receipts(height: number): readonly Receipt[] | undefined;
  /** One of a block's, at a fraction of the cost of all. */
  transactionAt(place: StoredTransaction): Transaction | undefined;
  receiptAt(place: StoredTransaction): Receipt | undefined;
  /** Called after blocks became final, with them; the returned function ends it. */
  onCommit(listener: (blocks: readonly FinalBlock[]) => void): () => void;
}

export interface ChainTip {
  /** 0 before the first block. */
  readonly height: number;
  readonly state: StateReader;
  /** Against the state root of the head's header. */
  prove(key: StateKey): StateProof;
}

export interface FinalBlock {
  readonly blockId: Hash;
  readonly block: Block;
  readonly receipts: readonly Receipt[];
}

export interface TxPool {
  readonly size: number;
  readonly bytes: number;
  get(id: Hash): Transaction | undefined;
  /** Oldest first. */
  pending(limit: number): readonly Transaction[];
  /** @returns ends it */
  onChange(listener: PoolListener): () => void;
  /** Why a transaction was refused or dropped, as long as that is remembered. */
  rejection(id: Hash): Refusal | undefined;
  /** Nonce after the sender's contiguous pending ones. */
  nextNonce(address: Address): number;
  /** Everything but the signature, without changing the pool. */
  check(txs: readonly Transaction[]): readonly (Refusal | null)[];
  /** Verifies and admits; for each transaction null when it is pending now, or why it is not. */
  submit(txs: readonly Transaction[]): Promise<readonly (Refusal | null)[]>;
}

/** Must not throw: it is called where the pool changes. */
export interface PoolListener {
  came(tx: Transaction): void;
  /** Final, or dropped: then `rejection` tells why. */
  left(txs: readonly Transaction[]): void;
}

export interface NodeStatus {
  readonly state: 'starting' | 'syncing' | 'synced' | 'halted';
  /** Validators of the next height with a signed status no older than 10 s, this node included. */
  readonly validatorsReachable: number;
  readonly validatorsTotal: number;
  /** How many of them must agree. */
  readonly quorum: number;
  readonly signing: boolean;
  /** Sentences: why this node does not sign. */
  readonly notSigning: readonly string[];
  /** Best proven height of a peer while catching up; null otherwise. */
  readonly targetHeight: number | null;
  /** How fast blocks come while catching up, and how long the rest takes at that rate; null otherwise. */
  readonly sync: { readonly blocksPerSecond: number; readonly etaMs: number } | null;
  /** While the node begins with a snapshot in place of blocks. */
  readonly snapshot: SnapshotProgress | null;
}

export interface SnapshotProgress {
  readonly phase: 'finding' | 'fetching' | 'writing';
  /** Null until one is found. */
  readonly height: number | null;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  readonly bytesPerSecond: number;
  /** Null when it cannot be told. */
  readonly etaSeconds: number | null;
}

/** A snapshot that this node offers to others. */
export interface OfferedSnapshot {
  readonly height: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly manifestHash: Hash;
}

export interface SeenVote {
  readonly validator: PublicKey;
  /** null: a vote for nil. */
  readonly blockId: Hash | null;
}

export interface ConsensusPlace {
  readonly height: number;
  readonly round: number;
  readonly step: Step;
  readonly proposer: PublicKey | null;
}

export interface ConsensusStatus extends ConsensusPlace {
  /** −1 when there is none. */
  readonly lockedRound: number;
  readonly validRound: number;
  /** Of the current round. */
  readonly prevotes: readonly SeenVote[];
  readonly precommits: readonly SeenVote[];
  /** Keys with a recent signed status. */
  readonly reachable: readonly PublicKey[];
  /** Sentences: why no block is being made. */
  readonly reasons: readonly string[];
}

export interface PeerInfo {
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly direction: 'inbound' | 'outbound';
  readonly score: number;
  /** As the peer last proved or signed it; null when unknown. */
  readonly height: number | null;
  readonly validator: PublicKey | null;
  /** In the validator set; null for others. */
  readonly name: string | null;
  /** Program and version, as the peer says; null before its handshake. */
  readonly agent: string | null;
  /** Named by the operator of this node. */
  readonly isNamed: boolean;
  readonly path: 'direct' | 'relay';
  /** Null before the first ping. */
  readonly rttMs: number | null;
  /** Its clock less ours, of its last signed status; null for peers that sign none. */
  readonly clockOffsetMs: number | null;
}

/** Hashes in hex. */
export interface RefusedPeer {
  readonly peerId: string;
  readonly address: string;
  readonly ourGenesis: string;
  readonly theirGenesis: string;
  /** Wall clock. */
  readonly atMs: number;
}

export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  /** A sentence with figures. */
  readonly detail: string;
}
