/**
 * All live connections of a server, and the one writer to them: in each turn every subscription is told what its chain
 * has made final since, in order of height, from the place where it is. What is new and what is asked for again take the
 * same way, so that there is no seam between them where a block could be lost or told twice.
 */
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import type { Client } from '../clients.ts';
import { OpenCounts } from '../clients.ts';
import { logFailure } from '../failure-log.ts';
import { toProblem } from '../problem.ts';
import { ChainFeed } from './feed.ts';
import {
  MAX_ALL_QUEUED_CHARS,
  MAX_CLIENT_CONNECTIONS,
  MAX_CONNECTIONS,
  SHARE_BLOCKS,
  TURN_BLOCKS,
  TURN_MS,
} from './limits.ts';
import type { LiveMetrics, Transport } from './metrics.ts';
import type { SessionHooks } from './session.ts';
import type { EndReason, Wire } from './subscription.ts';
import { Session } from './session.ts';
import type { TopicKind } from './topics.ts';
import { TOPIC_KINDS } from './topics.ts';

export interface HubModules {
  readonly node: NodeApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: LiveMetrics;
}

/** Connections end when people close pages: asking every second for room is of no use. */
const ROOM_RETRY_S = 10;

export class LiveHub {
  readonly #modules: HubModules;
  readonly #feeds = new Map<ChainApi, ChainFeed>();
  readonly #sessions = new Set<Session>();
  readonly #clients = new OpenCounts(MAX_CLIENT_CONNECTIONS);
  readonly #subscriptions = new Map<TopicKind, number>(TOPIC_KINDS.map((kind) => [kind, 0]));
  readonly #hooks: SessionHooks;
  #cancelTurn: (() => void) | null = null;
  #queuedChars = 0;
  #closed = false;

  constructor(modules: HubModules) {
    this.#modules = modules;
    const { clock, metrics } = modules;
    this.#hooks = {
      clock,
      wake: () => {
        this.#wake();
      },
      onSubscribed: (topic, change) => {
        const count = (this.#subscriptions.get(topic) ?? 0) + change;
        this.#subscriptions.set(topic, count);
        metrics.subscriptions.set(count, { topic });
      },
      onDelta: (topic) => {
        metrics.deltas.inc({ topic });
      },
      onQueued: (chars) => {
        this.#queuedChars += chars;
        if (this.#queuedChars > MAX_ALL_QUEUED_CHARS) this.#endHeaviest();
      },
      onEnd: (session, reason) => {
        this.#onEnd(session, reason);
      },
      onFailure: (error) => {
        logFailure(modules.log, toProblem(error, 'none'), { subscription: true, error });
      },
      onReleased: (feed) => {
        if (feed.isIdle) this.#dropFeed(feed);
      },
    };
  }

  get clock(): Clock {
    return this.#modules.clock;
  }

  get log(): Logger {
    return this.#modules.log;
  }

  get connections(): number {
    return this.#sessions.size;
  }

  /** @throws NodeError RATE_LIMITED when no further connection is taken */
  checkRoom(client: Client): void {
    if (!this.#clients.hasRoom(client)) {
      throw new NodeError('RATE_LIMITED', 'this client has too many live connections', {
        data: { limit: MAX_CLIENT_CONNECTIONS, retry_after_s: ROOM_RETRY_S },
        hint: 'close one of them: a WebSocket carries many subscriptions',
      });
    }
    if (this.#sessions.size < MAX_CONNECTIONS && !this.#closed) return;
    throw new NodeError('RATE_LIMITED', 'too many clients listen to this node', {
      data: { limit: MAX_CONNECTIONS, retry_after_s: ROOM_RETRY_S },
      hint: 'ask another node, or poll /rpc/head',
    });
  }

  /** @throws NodeError RATE_LIMITED */
  open(wire: Wire): Session {
    this.checkRoom(wire.client);
    const session = new Session(wire, this.#hooks);
    this.#sessions.add(session);
    this.#clients.open(wire.client);
    this.#count(wire.transport);
    return session;
  }

  /** The feed of a chain, the default one when undefined. @throws NodeError UNKNOWN_CHAIN | CHAIN_STOPPED */
  feed(chainId: string | undefined): ChainFeed {
    const api = this.#modules.node.chain(chainId);
    let feed = this.#feeds.get(api);
    if (feed) return feed;
    feed = new ChainFeed(api, {
      wake: () => {
        this.#wake();
      },
      after: (ms, fn) => this.clock.after(ms, fn),
      onClosed: (error) => {
        this.#endFeed(api, error);
      },
    });
    this.#feeds.set(api, feed);
    // Nobody may come to subscribe after all.
    this.#wake();
    return feed;
  }

  /** Ends all connections. */
  close(): void {
    this.#closed = true;
    for (const session of [...this.#sessions]) session.end('stopping');
    for (const feed of [...this.#feeds.values()]) this.#dropFeed(feed);
    this.#cancelTurn?.();
    this.#cancelTurn = null;
  }

  #wake(): void {
    if (this.#closed) return;
    this.#cancelTurn ??= this.clock.after(0, () => {
      this.#cancelTurn = null;
      try {
        this.#turn();
      } catch (error) {
        this.#modules.log.error('telling subscribers failed', { error });
      }
    });
  }

  #turn(): void {
    for (const feed of [...this.#feeds.values()]) {
      if (feed.isIdle) this.#dropFeed(feed);
      else this.#tellChanges(feed);
    }
    // Who is up to date first: nobody's replay holds up the news of others.
    const more = this.#advance(true, () => true);
    const until = this.clock.monotonic() + TURN_MS;
    let blocks = 0;
    if (this.#advance(false, () => blocks++ < TURN_BLOCKS && this.clock.monotonic() < until) || more) this.#wake();
  }

  /** @param hasTime asked before each block @returns whether there is more to tell at once */
  #advance(live: boolean, hasTime: () => boolean): boolean {
    let more = false;
    for (const session of [...this.#sessions]) {
      for (const subscription of [...session.subscriptions.values()]) {
        if (subscription.isLive !== live) continue;
        const { more: hasMore, isOver } = session.advance(subscription, SHARE_BLOCKS, hasTime);
        more ||= hasMore;
        if (isOver) return true;
        // Who was served goes to the end, so that the budget reaches everyone.
        if (!live && this.#sessions.delete(session)) this.#sessions.add(session);
      }
    }
    return more;
  }

  #tellChanges(feed: ChainFeed): void {
    for (const change of feed.takeChanges()) {
      for (const session of [...this.#sessions]) {
        for (const subscription of [...session.subscriptions.values()]) {
          if (subscription.feed === feed) session.change(subscription, change);
        }
      }
    }
  }

  #endFeed(api: ChainApi, error: NodeError): void {
    const feed = this.#feeds.get(api);
    if (!feed) return;
    for (const session of [...this.#sessions]) {
      for (const subscription of [...session.subscriptions.values()]) {
        if (subscription.feed === feed) session.fail(subscription, error);
      }
    }
    this.#dropFeed(feed);
  }

  #dropFeed(feed: ChainFeed): void {
    if (this.#feeds.delete(feed.api)) feed.close();
  }

  /** Memory is bounded over all clients, however few of them read. */
  #endHeaviest(): void {
    const [first, ...others] = this.#sessions;
    if (!first) return;
    others.reduce((most, session) => (session.queuedChars > most.queuedChars ? session : most), first).end('memory');
  }

  #onEnd(session: Session, reason: EndReason | null): void {
    const { metrics, log } = this.#modules;
    const { transport, client } = session.wire;
    this.#sessions.delete(session);
    this.#clients.close(client);
    this.#count(transport);
    if (reason === null || reason === 'stopping') return;
    metrics.dropped[transport].inc({ reason });
    log.debug('live connection ended', { transport, reason });
  }

  #count(transport: Transport): void {
    const count = [...this.#sessions].filter(({ wire }) => wire.transport === transport).length;
    this.#modules.metrics.clients[transport].set(count);
  }
}
