/** What a miner needs of the world beside rows (../coordinator/ports.ts), executors and its door (../link.ts). */
import type { Address, Hash } from '../../bytes.ts';
import type { SignedOffer } from '../../chain/market/offer.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { BlobShelf } from '../blobs/shelf.ts';
import type { Capability, Executor } from '../executors/executor.ts';
import type { BlobSource } from './fetch-blob.ts';
import type { Refusal } from './refusal.ts';

/** The chain at its final head, and the way of transactions to it. */
export interface MinerChain {
  readonly context: ChainContext;
  head(): { readonly height: number; readonly timeMs: number };
  /** Why what is seen here cannot be relied on: catching up, no quorum; null when it can. */
  unhealthy(): Refusal | null;
  agreement(id: Hash): Agreement | null;
  balanceUait(account: Address): number;
  stakedUait(miner: Address): number;
  terms(): { readonly minCapUait: number; readonly minStakeUait: number; readonly minBlockIntervalMs: number };
  /** Of an account: after its final transactions, and after those that are pending too. */
  nonces(account: Address): { readonly final: number; readonly next: number };
  leastFeeUait(transactionBytes: number): number;
  /** @returns null when it is pending, also when it was already */
  submit(transaction: Uint8Array): Promise<Refusal | null>;
  /** Each `agreement.open` that names this miner: when it is pending, and may be in the next block, and when it is final. @returns ends it */
  onOpening(miner: Address, listener: (opening: SeenOpening) => void): () => void;
  /** After each new head. @returns ends it */
  onHead(listener: () => void): () => void;
}

export interface SeenOpening {
  readonly client: Address;
  /** Its id. */
  readonly transaction: Hash;
  readonly isFinal: boolean;
}

/** Back ends, as one. */
export interface MinerExecutors extends Pick<Executor, 'prepare' | 'run'> {
  /** What can be done now; back ends that are not there are left out. */
  probe(signal: AbortSignal): Promise<readonly Capability[]>;
}

/** Where clients find this miner. */
export interface MinerPlace {
  /** libp2p peer id, text form. */
  readonly peer: string;
  /** Multiaddrs. */
  readonly addresses: readonly string[];
}

/** Inputs that are fetched, and where they lie meanwhile. */
export interface MinerBlobs extends Pick<BlobSource, 'ask' | 'onLie'> {
  readonly shelf: BlobShelf;
}

export interface MinerNet {
  place(): MinerPlace;
  announce(offer: SignedOffer): void;
}
