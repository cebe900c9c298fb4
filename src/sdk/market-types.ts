/** What the RPC answers about the market's money. */
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
