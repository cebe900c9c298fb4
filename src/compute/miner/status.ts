/** What a miner tells its operator. */
import type { OfferedModel } from '../../chain/market/offer.ts';
import type { ErrorCode } from '../../errors.ts';
import type { Ledger } from './ledger.ts';
import type { Speed } from './monitor.ts';
import type { Sums } from './rows.ts';

export interface MinerStatus {
  readonly address: Uint8Array;
  /** `closed`: nothing is taken, for the reason beside it. */
  readonly state: 'open' | 'draining' | 'closed';
  readonly reason: { readonly code: ErrorCode; readonly text: string } | null;
  readonly slots: number;
  readonly free: number;
  readonly working: number;
  readonly streams: number;
  readonly stakedUait: number;
  readonly balanceUait: number;
  readonly models: readonly OfferedModel[];
  readonly speeds: readonly Speed[];
  /** Of agreements that are not closed. */
  readonly agreements: readonly Ledger[];
  /** On their way to the chain. */
  readonly settlements: number;
  /** Due and not paid yet. */
  readonly unsettledUait: number;
  /** Of agreements that are closed. */
  readonly closed: Sums;
}
