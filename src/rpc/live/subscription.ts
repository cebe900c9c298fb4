/** What a live connection is asked for, and how what is told of it is framed. */
import { NodeError } from '../../errors.ts';
import type { ChainApi } from '../api.ts';
import type { Client } from '../clients.ts';
import type { OwnJobs } from '../jobs/desk.ts';
import { checkKept } from '../proofs.ts';
import type { ChainFeed } from './feed.ts';
import { MAX_AHEAD_BLOCKS } from './limits.ts';
import type { Transport } from './metrics.ts';
import type { Topic } from './topics.ts';
import { isByHeight } from './topics.ts';

/** A place in the events of final blocks: of each height the topics of the subscription, in their order. */
export interface Place {
  readonly height: number;
  readonly index: number;
}

export interface Subscription {
  readonly id: string;
  readonly feed: ChainFeed;
  readonly topics: readonly Topic[];
  /** What is to be told next; it moves on also where there is nothing to tell. */
  next: Place;
  /** Of the last message. */
  seq: number;
  /** Has told all there was: from now on it is told what happens as it happens. */
  isLive: boolean;
  /** Where `next` was when the client last heard of it. */
  reported: Place;
  /** Whose jobs it is told; null: none. */
  readonly owner: string | null;
  /** Changes of what is pending were not told: who catches up, or does not read, gets all of it in place of them. */
  missedPending: boolean;
}

export interface Delta {
  readonly topic: Topic;
  /** Null for what has no height. */
  readonly place: Place | null;
  /** JSON. */
  readonly text: string;
}

/** Why the node ended a connection; for `memory` it is cut at once, what waits included. */
export type EndReason = 'slow' | 'stalled' | 'memory' | 'no_pong' | 'key' | 'flood' | 'failed' | 'stopping';

/** Frames and sends; thin, one for each transport. */
export interface Wire {
  readonly transport: Transport;
  readonly client: Client;
  /** A subscription that fails takes the connection with it. */
  readonly endsOnFailure: boolean;
  /** Those of who asks. @throws NodeError METHOD_DISABLED | UNAUTHENTICATED | FORBIDDEN */
  jobs(api: ChainApi): OwnJobs;
  delta(subscription: Subscription, delta: Delta): string;
  /** Nothing of interest happened up to `subscription.next`. */
  progress(subscription: Subscription): string;
  /** The subscription is over. */
  failure(subscription: Subscription, error: NodeError): string;
  /** @param taken is called once the text is out of this process's hands */
  send(text: string, taken: () => void): void;
  end(reason: EndReason): void;
}

export interface SubscribeRequest {
  readonly topics: readonly Topic[];
  /** First height told; the one after the head when null. */
  readonly from: Place | null;
}

/** @throws NodeError PRUNED | INVALID_PARAMS */
export function startOf(feed: ChainFeed, topics: readonly Topic[], from: Place | null): Place {
  const { head } = feed;
  if (!from) return { height: head + 1, index: 0 };
  if (!topics.some(isByHeight)) {
    throw new NodeError('INVALID_PARAMS', 'this topic tells what is now: it cannot begin at a height', {
      hint: 'leave from_height out; the snapshot holds all there is',
    });
  }
  if (from.height > head + MAX_AHEAD_BLOCKS) {
    throw new NodeError('INVALID_PARAMS', 'the chain is far from this height', {
      data: { from_height: from.height, head },
      hint: `begin at ${head + 1}, or leave from_height out`,
    });
  }
  checkKept(feed.api, from.height);
  return from;
}
