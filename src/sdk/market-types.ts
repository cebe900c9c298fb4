/** What the RPC answers about the market: its money, and who offers what. */
import type { StateProofResponse } from './types.ts';

export interface AgreementResponse {
  readonly agreement: string;
  readonly state: 'open' | 'closing' | 'closed';
  readonly client: string;
  /** Session key whose vouchers count. */
  readonly signer: string;
  readonly miner: string;
  /** All that was set aside: paid, held and refunded together. */
  readonly cap_uait: string;
  readonly paid_uait: string;
  readonly held_uait: string;
  readonly refunded_uait: string;
  readonly expires_at: string;
  readonly closing_since: { readonly height: number; readonly time: string } | null;
  readonly closed: { readonly height: number; readonly time: string } | null;
  readonly receipts_root: string | null;
  readonly height: number;
  readonly proof?: StateProofResponse;
}

export interface StakeResponse {
  readonly address: string;
  /** What counts. */
  readonly staked_uait: string;
  /** On its way back to the account. */
  readonly cooling_uait: string;
  readonly cools_until: string | null;
  readonly height: number;
  readonly proof?: StateProofResponse;
}

export interface MarketParamsResponse {
  readonly min_cap_uait: string;
  readonly min_open_fee_uait: string;
  readonly max_term_ms: number;
  readonly min_stake_uait: string;
  readonly unstake_cooldown_ms: number;
  readonly closed_kept_ms: number;
}

export interface OfferedModelResponse {
  readonly kind: string;
  readonly model: string;
  /** SHA-256 of what answers; null where the miner does not tell. */
  readonly digest: string | null;
  /** 0: does not apply. */
  readonly context_tokens: number;
  readonly streams: boolean;
  readonly deterministic: boolean;
  readonly warm: boolean;
  readonly fixed_uait: string;
  /** Of 1,024 bytes. */
  readonly input_uait_per_kib: string;
  readonly output_uait_per_kib: string;
  /** 0: not measured yet. */
  readonly bytes_per_second: number;
  readonly tags: readonly string[];
}

interface Offered {
  /** The miner's own word. */
  readonly name: string;
  readonly peer: string;
  readonly addresses: readonly string[];
  readonly region: string;
  readonly slots: number;
  readonly free: number;
  readonly models: readonly OfferedModelResponse[];
  readonly expires_at: string;
}

export interface MinerResponse extends Offered {
  readonly address: string;
  readonly gpus: readonly string[];
  readonly staked_uait: string;
  readonly offered_at: string;
}

export interface MinersResponse {
  readonly items: readonly MinerResponse[];
  readonly next_cursor: string | null;
}

/** The first fields are those of the replaced system. */
export interface OfferResponse extends Offered {
  readonly id: string;
  /** Address of the miner. */
  readonly provider: string;
  /** Jobs that it takes now. */
  readonly capacity: number;
  /** uait of 1,024 bytes of output, by its cheapest model. */
  readonly price: number;
  readonly status: 'open' | 'reserved';
  readonly created_at: string;
  readonly gpu_model: string | null;
  readonly gpu_count: number;
  /** Canonical bytes of the signed offer. */
  readonly offer: string;
}

export interface MarketStatsResponse {
  readonly totalOffers: number;
  readonly openCapacity: number;
  readonly averagePrice: number;
  readonly activeBids: number;
  readonly slots: number;
  readonly models: number;
}

/** What a node has of a sealed input. */
export interface BlobResponse {
  readonly root: string;
  readonly sealed_bytes: number;
  readonly leaves: number;
  /** Numbers of leaves, from 0 on. */
  readonly missing: readonly number[];
}

/** The miner of a node, as its operator sees it. */
export interface OwnMinerResponse {
  readonly address: string;
  /** `closed`: it takes nothing, for the reason beside it. */
  readonly state: 'open' | 'draining' | 'closed';
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly slots: number;
  readonly free: number;
  readonly working: number;
  readonly streams: number;
  readonly staked_uait: string;
  readonly balance_uait: string;
  readonly models: readonly {
    readonly kind: string;
    readonly model: string;
    readonly warm: boolean;
    readonly streams: boolean;
    readonly digest: string | null;
    readonly fixed_uait: string;
    readonly input_uait_per_kib: string;
    readonly output_uait_per_kib: string;
    /** Measured; 0: not yet. */
    readonly bytes_per_second: number;
    readonly first_output_ms: number | null;
  }[];
  /** Those that are not closed, a thousand at most. */
  readonly agreements: readonly {
    readonly agreement: string;
    readonly client: string;
    readonly state: 'open' | 'closing' | 'closed';
    readonly cap_uait: string;
    readonly due_uait: string;
    readonly paid_uait: string;
    readonly receipts: number;
    readonly expires_at: string;
  }[];
  /** On their way to the chain. */
  readonly settlements_pending: number;
  /** Due and not paid yet. */
  readonly unsettled_uait: string;
  /** Sums over agreements that are closed. */
  readonly closed: { readonly agreements: number; readonly receipts: number; readonly earned_uait: string };
}
