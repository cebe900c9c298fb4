/** What the RPC answers. Amounts are strings of uait, hashes and keys lower-case hex, times RFC 3339 UTC. */
import type { Json, JsonObject } from '../chain/modules/types.ts';

export interface HeadResponse {
  readonly chain_id: string;
  readonly height: number;
  readonly hash: string;
  readonly timestamp: string;
  readonly tx_count: number;
  readonly state_root: string;
  readonly proposer: string;
  readonly round: number;
}

export interface BlockResponse extends HeadResponse {
  readonly version: number;
  readonly parent_hash: string;
  readonly tx_root: string;
  readonly receipts_root: string;
  readonly validators_hash: string;
  readonly next_validators_hash: string;
  readonly last_commit_hash: string;
  readonly evidence_root: string;
  readonly transactions: readonly BlockTransaction[];
  readonly evidence: readonly { readonly kind: string; readonly height: number; readonly validator: string }[];
  readonly certificate: {
    readonly type: string;
    readonly height: number;
    readonly round: number;
    readonly block_hash: string;
    /** `signer`: index into the validator set of the height. */
    readonly signatures: readonly { readonly signer: number; readonly signature: string }[];
  };
}

export interface BlockTransaction {
  readonly hash: string;
  readonly code: number | null;
  readonly code_name: string | null;
  readonly transaction?: JsonObject;
}

/** `code` is the number of the receipt once final (0: success), and the name of the error when rejected. */
export interface TransactionResponse {
  readonly hash: string;
  readonly status: 'pending' | 'final' | 'rejected' | 'unknown';
  readonly height: number | null;
  readonly index: number | null;
  readonly code: number | string | null;
  readonly code_name: string | null;
  readonly reason: string | null;
  readonly transaction: JsonObject | null;
  /** Of a final one, when asked for. */
  readonly proof?: TransactionProofResponse;
}

/** Transaction and receipt at one place of the two lists that a header commits to; hex of canonical bytes. */
export interface TransactionProofResponse {
  readonly height: number;
  readonly index: number;
  /** Of transactions in the block. */
  readonly count: number;
  readonly transaction: string;
  /** From the leaf up. */
  readonly transaction_siblings: readonly string[];
  readonly receipt: string;
  readonly receipt_siblings: readonly string[];
  readonly header: string;
  readonly certificate: string;
}

/** Newest first. */
export interface TransactionPageResponse {
  readonly items: readonly ListedTransaction[];
  /** Where older ones begin; null: there are none, or they are kept no longer. */
  readonly next_cursor: string | null;
}

export interface ListedTransaction {
  readonly hash: string;
  readonly height: number;
  readonly index: number;
  readonly code: number | null;
  readonly code_name: string | null;
  readonly transaction: JsonObject;
}

export interface AccountResponse {
  readonly address: string;
  readonly balance_uait: string;
  readonly nonce: number;
  readonly height: number;
  readonly proof?: StateProofResponse;
}

/** Hex of canonical bytes: enough to check a value with the validator set of the height alone. */
export interface StateProofResponse {
  readonly height: number;
  /** null: the state holds nothing under this key. */
  readonly value: string | null;
  readonly state_proof: string;
  readonly header: string;
  readonly certificate: string;
}

export interface StateValueResponse {
  /** Module number (one byte), then the module's own key. */
  readonly key: string;
  readonly height: number;
  readonly proof: StateProofResponse;
}

/** What a light client needs of a height; hex of canonical bytes. */
export interface LightBlockResponse {
  readonly chain_id: string;
  readonly height: number;
  readonly hash: string;
  readonly header: string;
  readonly certificate: string;
  readonly validators: ValidatorSetResponse;
  /** Of the height after; null: the same. */
  readonly next_validators: ValidatorSetResponse | null;
}

export interface NonceResponse {
  readonly address: string;
  readonly nonce: number;
  /** After the sender's pending transactions. */
  readonly next_nonce: number;
}

export interface GenesisResponse {
  readonly chain_id: string;
  readonly hash: string;
  readonly genesis: Json;
}

export interface ValidatorResponse {
  readonly public_key: string;
  readonly name: string;
  readonly power: number;
  readonly operator: string;
}

export interface ValidatorSetResponse {
  readonly total_power: number;
  readonly validators: readonly ValidatorResponse[];
}

/** Of the height in work. */
export interface CurrentValidatorSetResponse extends ValidatorSetResponse {
  readonly validators: readonly (ValidatorResponse & {
    /** Last height at which others propose before it, because it let turns pass; null: it proposes in its turn. */
    readonly demoted_until: number | null;
  })[];
}

export interface ProposalResponse {
  readonly id: number;
  readonly action: 'add' | 'remove' | 'rotate';
  readonly key: string;
  readonly new_key?: string;
  readonly operator?: string;
  readonly name?: string;
  readonly expires_at_height: number;
  readonly votes: readonly string[];
  readonly voted_power: number;
  readonly total_power: number;
}

export interface ValidatorsResponse {
  readonly chain_id: string;
  readonly height: number;
  /** Of block `height`; null before the first. */
  readonly last: ValidatorSetResponse | null;
  /** Of the block after it. */
  readonly current: CurrentValidatorSetResponse;
  readonly next: ValidatorSetResponse;
  readonly proposals: readonly ProposalResponse[];
}

export interface PeersResponse {
  readonly peers: readonly PeerResponse[];
  /** Call another genesis by the name of this chain; newest last, a few at most. */
  readonly refused: readonly {
    readonly peer_id: string;
    readonly address: string;
    readonly our_genesis: string;
    readonly their_genesis: string;
    readonly time: string;
  }[];
}

export interface PeerResponse {
  readonly peer_id: string;
  readonly addresses: readonly string[];
  readonly direction: 'inbound' | 'outbound';
  readonly score: number;
  readonly height: number | null;
  readonly validator: string | null;
  /** In the validator set. */
  readonly name: string | null;
  /** Program and version, as the peer says. */
  readonly agent: string | null;
  /** By the operator of the node that answers. */
  readonly named: boolean;
  readonly path: 'direct' | 'relay';
  readonly rtt_ms: number | null;
  /** Its clock less that of the node that answers; null for peers that sign no status. */
  readonly clock_offset_ms: number | null;
}

/** What must hold for the chains asked about to be fit to serve. */
export interface ReadinessResponse {
  readonly checks: readonly {
    readonly chain_id: string;
    readonly name: string;
    readonly ok: boolean;
    /** A sentence with figures. */
    readonly detail: string;
  }[];
}

export interface ConsensusResponse {
  readonly chain_id: string;
  readonly height: number;
  readonly round: number;
  readonly step: string;
  readonly proposer: string | null;
  readonly locked_round: number;
  readonly valid_round: number;
  readonly validators: readonly (ValidatorResponse & {
    readonly reachable: boolean;
    /** Block hash, "nil", or null while not seen. */
    readonly prevote: string | null;
    readonly precommit: string | null;
  })[];
  readonly reasons: readonly string[];
}

export interface ParamsResponse {
  readonly min_block_interval_ms: number;
  readonly max_block_txs: number;
  readonly max_block_bytes: number;
  readonly base_fee_uait: string;
  readonly fee_per_byte_uait: string;
  readonly precision_ms: number;
  readonly delay_ms: number;
  readonly evidence_max_age_blocks: number;
  readonly change_ttl_blocks: number;
}

/** What a faucet sent; not final yet. */
export interface FaucetResponse {
  readonly address: string;
  readonly amount_uait: string;
  readonly tx_hash: string;
  readonly chain_id: string;
}

export interface StatusResponse {
  readonly chain_id: string;
  readonly height: number;
  /** Lowest height whose block the node keeps. */
  readonly base_height: number;
  /** These three are null before the first block. */
  readonly hash: string | null;
  readonly state_root: string | null;
  readonly round: number | null;
  readonly state: 'starting' | 'syncing' | 'synced' | 'halted';
  readonly validators_reachable: number;
  readonly validators_total: number;
  readonly quorum: number;
  readonly signing: boolean;
  readonly not_signing: readonly string[];
  readonly target_height: number | null;
  /** While catching up. */
  readonly sync: { readonly blocks_per_s: number; readonly eta_ms: number } | null;
  /** While the node begins with a snapshot in place of blocks. */
  readonly snapshot: SnapshotProgressResponse | null;
  readonly genesis_hash: string;
  readonly params: ParamsResponse;
  readonly name: string;
  readonly version: string;
  readonly peer_id: string;
  readonly validator: string | null;
  readonly peers: number;
  readonly pool: { readonly txs: number; readonly bytes: number };
}

export interface SnapshotProgressResponse {
  readonly phase: 'finding' | 'fetching' | 'writing';
  /** Null until one is found. */
  readonly height: number | null;
  readonly chunks_done: number;
  readonly chunks_total: number;
  readonly bytes_per_s: number;
  readonly eta_s: number | null;
}

/** Snapshots of the state that a node offers to others, ascending by height. */
export interface SnapshotsResponse {
  readonly snapshots: readonly {
    readonly height: number;
    readonly chunks: number;
    readonly bytes: number;
    readonly manifest_hash: string;
  }[];
}

export interface ChainsResponse {
  readonly chains: readonly ChainSummaryResponse[];
}

/** A chain that cannot be asked has null for what only a running one knows. */
export interface ChainSummaryResponse {
  readonly chain_id: string;
  /** Meant by requests that name no chain. */
  readonly default: boolean;
  readonly state: 'stopped' | 'starting' | 'running' | 'failed';
  /** Why it failed. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly genesis_hash: string | null;
  readonly height: number | null;
  readonly hash: string | null;
  readonly health: StatusResponse['state'] | null;
  readonly validators_reachable: number | null;
  readonly validators_total: number | null;
  readonly quorum: number | null;
  readonly signing: boolean;
  readonly not_signing: readonly string[];
  readonly target_height: number | null;
  readonly peers: number;
  readonly pool: { readonly txs: number; readonly bytes: number };
}
