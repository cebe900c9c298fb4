/** What `/ws` tells, by topic. */
import type { JsonObject } from '../chain/modules/types.ts';
import type { JobResponse } from './job-types.ts';
import type { AccountResponse, ConsensusResponse, HeadResponse, PeersResponse } from './types.ts';

export type TopicName = 'blocks' | 'txs' | 'consensus' | 'peers' | 'jobs' | `account:${string}`;

/** For each topic what is told first, and what is told then. */
export interface LiveTopics {
  readonly blocks: { readonly snapshot: HeadSnapshot; readonly event: HeadResponse };
  readonly txs: { readonly snapshot: TransactionsSnapshot; readonly event: TransactionsEvent | PendingEvent };
  /** Of who subscribes: an API key or a login is needed. An event is a job as it is now. */
  readonly jobs: { readonly snapshot: { readonly jobs: readonly JobResponse[] }; readonly event: JobResponse };
  readonly account: { readonly snapshot: AccountResponse; readonly event: AccountEvent };
  readonly consensus: { readonly snapshot: ConsensusResponse; readonly event: ConsensusEvent };
  readonly peers: { readonly snapshot: Pick<PeersResponse, 'peers'>; readonly event: PeersEvent };
}

/** Answer to `subscribe`. */
export interface SubscribeResponse {
  readonly subscription: string;
  readonly topic: string;
  readonly chain_id: string;
  readonly genesis_hash: string;
  /** First height that is told; null for what has none. */
  readonly from_height: number | null;
  readonly seq: 0;
  readonly snapshot: unknown;
}

export interface HeadSnapshot {
  /** Null before the first block. */
  readonly head: HeadResponse | null;
  /** Lowest height that can be resumed from. */
  readonly base_height: number;
}

export interface TransactionsSnapshot extends HeadSnapshot {
  readonly pending: PendingTransactions;
}

/** In no block yet. */
export interface PendingTransactions {
  /** In the pool of the node. */
  readonly count: number;
  /** Of these only the number is told. */
  readonly omitted: number;
  readonly transactions: readonly { readonly hash: string; readonly transaction: JsonObject }[];
}

/** What became pending since the last one, and what was dropped. What becomes final is told by its block alone. */
export interface PendingEvent {
  readonly pending: PendingTransactions & {
    /** All there are: after a reconnection, or where changes were missed. */
    readonly reset: boolean;
    readonly dropped: readonly {
      readonly hash: string;
      readonly code: string | null;
      readonly reason: string | null;
    }[];
  };
}

/** Final transactions of one block; of blocks with none nothing is told. */
export interface TransactionsEvent {
  readonly height: number;
  readonly hash: string;
  readonly timestamp: string;
  readonly transactions: readonly FinalTransaction[];
}

export interface FinalTransaction {
  readonly hash: string;
  /** Place in the block. */
  readonly index: number;
  /** Number of the receipt; 0: success. */
  readonly code: number | null;
  readonly code_name: string | null;
  readonly transaction: JsonObject;
}

/** Those that the account sent or that name it. */
export interface AccountEvent extends TransactionsEvent {
  /** As of the head when this was sent, whose height it names: that may be above the block's. */
  readonly account: AccountResponse;
}

export interface ConsensusEvent {
  readonly height: number;
  readonly round: number;
  readonly step: string;
  readonly proposer: string | null;
}

export interface PeersEvent {
  readonly joined: PeersResponse['peers'];
  /** Peer ids. */
  readonly left: readonly string[];
  /** Connected now. */
  readonly count: number;
}
