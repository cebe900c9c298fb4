/**
 * What a coordinator needs of the world. It runs in a node (peers, LevelDB, the node's wallet) and in a client that is no
 * peer (a node's relay, a file, the caller's own key), so this folder uses nothing of Node and nothing above the chain.
 */
import type { Address, Hash, PublicKey } from '../../bytes.ts';
import type { Offer, SignedOffer } from '../../chain/market/offer.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import type { BlobShelf } from '../blobs/shelf.ts';
import type { Renewal } from './renewal.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';

/** A work stream to a miner. */
export type MinerStream = WorkStream;

/** How miners are found and reached. Whatever comes from them is unverified, except offers. */
export interface Miners {
  /** Current ones whose signature was verified, by whoever the coordinator trusts for that; at most one a miner. */
  offers(): readonly SignedOffer[];
  /** @returns ends it */
  onOffers(listener: () => void): () => void;
  /** @param request encoded SignedQuoteRequest @returns encoded SignedQuote @throws NodeError with the miner's code */
  quote(offer: Offer, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /** @throws NodeError UNREACHABLE */
  open(offer: Offer, signal: AbortSignal): Promise<MinerStream>;
}

export interface OpenFields {
  readonly miner: Address;
  readonly signer: PublicKey;
  readonly capUait: number;
  readonly expiresAtMs: number;
  /** Last height whose block may hold it, from the quote. */
  readonly validUntilHeight: number;
}

/** A signed `agreement.open`, not sent yet. */
export interface PreparedOpen {
  readonly agreement: Hash;
  readonly transaction: Uint8Array;
}

/** The payer's account and the chain as it sees it. */
export interface Money {
  readonly client: Address;
  /** Signs as the account: a quote request without agreement. */
  signAsAccount(message: Uint8Array): { readonly publicKey: PublicKey; readonly signature: Uint8Array };
  /** Least cap of an agreement, least stake of a miner, and what opening and renewing cost. */
  terms(): Promise<{
    readonly minCapUait: number;
    readonly minStakeUait: number;
    readonly openFeeUait: number;
    readonly renewFeeUait: number;
    readonly maxTermMs: number;
  }>;
  balanceUait(): Promise<number>;
  /** Proven where the source is not trusted. */
  stakedUait(miner: Address): Promise<number>;
  /** Proven where the source is not trusted; null when there is none. */
  agreement(id: Hash): Promise<Agreement | null>;
  /** The head: chain time and height. */
  head(): Promise<{ readonly height: number; readonly timeMs: number }>;
  /** Signs; sends nothing. @throws NodeError INSUFFICIENT_FUNDS, … */
  prepareOpen(fields: OpenFields): Promise<PreparedOpen>;
  /** Sends, also again what was sent before, and waits until it is final. @throws NodeError why it is not and will not be */
  send(transaction: Uint8Array, signal: AbortSignal): Promise<{ readonly height: number }>;
  /** A higher cap, or a later expiry. @throws NodeError INSUFFICIENT_FUNDS, … */
  prepareRenewal(agreement: Hash, renewal: Renewal): Promise<Uint8Array>;
  /** The client's close of what it no longer needs. */
  prepareClose(agreement: Hash): Promise<Uint8Array>;
}

/** Inputs too large to travel with a job, sealed. */
export interface Blobs {
  /** Where those of open jobs stay. */
  readonly shelf: BlobShelf;
  /**
   * Brings all of one from the shelf to where miners ask for it.
   *
   * @throws NodeError NOT_FOUND when it is not on the shelf, TOO_LARGE when it never will be there, others when it is not yet
   */
  offer(root: Hash, signal: AbortSignal): Promise<void>;
}

export interface Row {
  readonly key: Uint8Array;
  /** null: none. */
  readonly value: Uint8Array | null;
}

/** Durable rows. The one place where a side of the market writes: persist, then send. */
export interface Rows {
  /** All rows, ordered by key. */
  load(): AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  /** Atomic and on the disk when it resolves; concurrent calls share a sync. @throws NodeError STORAGE */
  persist(rows: readonly Row[]): Promise<void>;
}
