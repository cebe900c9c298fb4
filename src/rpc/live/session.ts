/**
 * One live connection: its subscriptions, the number of each message, and what was written and not yet taken by the
 * network. It knows no transport: a `Wire` frames and sends.
 */
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import { checkKept } from '../proofs.ts';
import type { ChainFeed, StateChange } from './feed.ts';
import {
  MAX_QUEUED_CHARS,
  MAX_QUEUED_MESSAGES,
  MAX_SUBSCRIPTIONS,
  REPLAY_AHEAD,
  REPLAY_LAG_BLOCKS,
  STALL_MS,
} from './limits.ts';
import type { Delta, EndReason, SubscribeRequest, Subscription, Wire } from './subscription.ts';
import { startOf } from './subscription.ts';
import type { Topic, TopicKind } from './topics.ts';
import { isByHeight, snapshotOf } from './topics.ts';

export interface SessionHooks {
  readonly clock: Clock;
  wake(): void;
  onSubscribed(kind: TopicKind, change: 1 | -1): void;
  onDelta(kind: TopicKind): void;
  /** So many characters more, or fewer, wait to be taken. */
  onQueued(chars: number): void;
  /** It is over, by the node's will when there is a reason. */
  onEnd(session: Session, reason: EndReason | null): void;
  /** A subscription is over by itself. */
  onFailure(error: NodeError): void;
  /** A subscription is over; the feed may have none left. */
  onReleased(feed: ChainFeed): void;
}

export class Session {
  readonly subscriptions = new Map<string, Subscription>();
  readonly wire: Wire;
  readonly #hooks: SessionHooks;
  #count = 0;
  #queued = 0;
  #queuedChars = 0;
  #takenAtMs: number;
  #waits = false;
  #ended = false;
  /** Nothing of it is held any longer. */
  #released = false;

  constructor(wire: Wire, hooks: SessionHooks) {
    this.wire = wire;
    this.#hooks = hooks;
    this.#takenAtMs = hooks.clock.monotonic();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Messages not yet taken by the network. */
  get queued(): number {
    return this.#queued;
  }

  get queuedChars(): number {
    return this.#queuedChars;
  }

  /**
   * What is told begins in a later turn of the event loop, so that the caller can send the snapshots first.
   *
   * @throws NodeError RATE_LIMITED | PRUNED | INVALID_PARAMS; METHOD_DISABLED | UNAUTHENTICATED | FORBIDDEN for jobs
   */
  subscribe(feed: ChainFeed, { topics, from }: SubscribeRequest): { subscription: Subscription; snapshots: object[] } {
    if (this.subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new NodeError('RATE_LIMITED', 'this connection has too many subscriptions', {
        data: { limit: MAX_SUBSCRIPTIONS },
        hint: 'end one of them, or open another connection',
      });
    }
    const next = startOf(feed, topics, from);
    const jobs = topics.some(({ kind }) => kind === 'jobs') ? this.wire.jobs(feed.api) : null;
    const snapshots = topics.map((topic) => {
      feed.refresh(topic.kind);
      return snapshotOf(feed.api, topic, jobs);
    });
    const id = `s${++this.#count}`;
    const told = { owner: jobs?.owner ?? null, missedPending: false };
    const subscription = { id, feed, topics, next, ...told, seq: 0, isLive: from === null, reported: next };
    this.subscriptions.set(id, subscription);
    feed.add(subscription);
    for (const { kind } of topics) this.#hooks.onSubscribed(kind, 1);
    this.#hooks.wake();
    return { subscription, snapshots };
  }

  /** @returns whether there was one */
  unsubscribe(id: string): boolean {
    const subscription = this.subscriptions.get(id);
    if (!subscription) return false;
    this.#release(subscription);
    return true;
  }

  /**
   * @param share blocks that may be looked at
   * @param hasTime asked before each of them
   * @returns whether more could be told at once, and whether that is for want of time
   */
  advance(subscription: Subscription, share: number, hasTime: () => boolean): { more: boolean; isOver: boolean } {
    const { feed, topics } = subscription;
    const { head } = feed;
    if (head - subscription.next.height >= REPLAY_LAG_BLOCKS) subscription.isLive = false;
    let looked = 0;
    while (!this.#ended && this.subscriptions.has(subscription.id)) {
      const { height, index } = subscription.next;
      const topic = topics[index];
      if (!topic) {
        subscription.next = { height: height + 1, index: 0 };
        continue;
      }
      if (height > head) {
        subscription.isLive = true;
        this.#makeUpPending(subscription);
        break;
      }
      if (!this.#hasRoom(subscription)) break;
      if (looked++ >= share) return { more: true, isOver: false };
      if (!hasTime()) return { more: true, isOver: true };
      if (isByHeight(topic) && !this.#tell(subscription, topic)) break;
      subscription.next = { height, index: index + 1 };
    }
    return { more: false, isOver: false };
  }

  /** What has no height. */
  change(subscription: Subscription, { kind, text, owner }: StateChange): void {
    if (owner !== undefined && owner !== subscription.owner) return;
    for (const topic of subscription.topics) {
      if (topic.kind !== kind || this.#ended) continue;
      if (kind === 'txs') this.#changePending(subscription, topic, text);
      else if (this.#queued >= MAX_QUEUED_MESSAGES) this.end('slow');
      else this.#sendDelta(subscription, { topic, place: null, text });
    }
  }

  #changePending(subscription: Subscription, topic: Topic, text: string): void {
    subscription.missedPending ||= !subscription.isLive || this.#isBehind();
    if (subscription.missedPending) this.#makeUpPending(subscription);
    else this.#sendDelta(subscription, { topic, place: null, text });
  }

  #makeUpPending(subscription: Subscription): void {
    const { missedPending, isLive, topics, feed } = subscription;
    if (!missedPending || !isLive || this.#ended || this.#isBehind()) return;
    subscription.missedPending = false;
    const topic = topics.find(({ kind }) => kind === 'txs');
    if (topic) this.#sendDelta(subscription, { topic, place: null, text: feed.pendingText() });
  }

  /** More waits to be read than one may add to with what is told anew later. */
  #isBehind(): boolean {
    const isBehind = this.#queued >= REPLAY_AHEAD || this.#queuedChars >= MAX_QUEUED_CHARS;
    this.#waits ||= isBehind;
    return isBehind;
  }

  /** A message outside of subscriptions, e.g. an answer. */
  send(text: string): void {
    if (this.#ended) return;
    if (this.#queued >= MAX_QUEUED_MESSAGES) this.end('slow');
    else this.#write(text);
  }

  /** To be called at intervals: ends what is stalled, and tells how far the silent subscriptions are. */
  beat(): void {
    if (this.#queued > 0 && this.#hooks.clock.monotonic() - this.#takenAtMs > STALL_MS) {
      this.end('stalled');
      return;
    }
    for (const subscription of this.subscriptions.values()) {
      const { next, reported, topics } = subscription;
      if (next.height <= reported.height || !topics.some(isByHeight)) continue;
      subscription.reported = next;
      this.send(this.wire.progress(subscription));
    }
  }

  /** Ends one subscription with the reason. */
  fail(subscription: Subscription, error: NodeError): void {
    if (!this.subscriptions.has(subscription.id)) return;
    this.#release(subscription);
    this.#hooks.onFailure(error);
    this.send(this.wire.failure(subscription, error));
    if (this.wire.endsOnFailure) this.end('failed');
  }

  /** @param reason null: the connection is gone */
  end(reason: EndReason | null): void {
    if (reason === null || reason === 'memory') this.#releaseQueue();
    if (this.#ended) return;
    this.#ended = true;
    for (const subscription of [...this.subscriptions.values()]) this.#release(subscription);
    if (reason !== null) this.wire.end(reason);
    this.#hooks.onEnd(this, reason);
  }

  /** Who is up to date may have no more than the queue; what is sent again waits in the store instead. */
  #hasRoom({ isLive }: Subscription): boolean {
    if (isLive && this.#queued >= MAX_QUEUED_MESSAGES) {
      this.end('slow');
      return false;
    }
    const isFull = (!isLive && this.#queued >= REPLAY_AHEAD) || this.#queuedChars >= MAX_QUEUED_CHARS;
    this.#waits ||= isFull;
    return !isFull;
  }

  /** @returns false when the subscription is over */
  #tell(subscription: Subscription, topic: Topic): boolean {
    const { feed, next } = subscription;
    try {
      checkKept(feed.api, next.height);
      const text = feed.textAt(topic, next.height);
      if (text !== null) this.#sendDelta(subscription, { topic, place: next, text });
      return true;
    } catch (error) {
      this.fail(subscription, error instanceof NodeError ? error : unexpected(error));
      return false;
    }
  }

  #sendDelta(subscription: Subscription, delta: Delta): void {
    subscription.seq++;
    if (delta.place) subscription.reported = delta.place;
    this.#hooks.onDelta(delta.topic.kind);
    this.#write(this.wire.delta(subscription, delta));
  }

  #write(text: string): void {
    if (this.#queued === 0) this.#takenAtMs = this.#hooks.clock.monotonic();
    this.#queued++;
    this.#countChars(text.length);
    // That may have been too much over all connections.
    if (this.#ended) return;
    this.wire.send(text, () => {
      this.#queued--;
      this.#countChars(-text.length);
      this.#takenAtMs = this.#hooks.clock.monotonic();
      if (!this.#waits || this.#ended) return;
      this.#waits = false;
      this.#hooks.wake();
    });
  }

  #countChars(chars: number): void {
    if (this.#released) return;
    this.#queuedChars += chars;
    this.#hooks.onQueued(chars);
  }

  /** With the connection goes what was written to it. */
  #releaseQueue(): void {
    this.#countChars(-this.#queuedChars);
    this.#released = true;
  }

  #release(subscription: Subscription): void {
    this.subscriptions.delete(subscription.id);
    subscription.feed.remove(subscription);
    for (const { kind } of subscription.topics) this.#hooks.onSubscribed(kind, -1);
    this.#hooks.onReleased(subscription.feed);
  }
}

function unexpected(error: unknown): NodeError {
  return new NodeError('INTERNAL', 'the event could not be read', { cause: error });
}
