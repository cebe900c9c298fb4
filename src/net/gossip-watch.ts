/** Gossip that fell silent while the connection lives is not noticed by anyone else: start afresh. */
import type { Connection } from '@libp2p/interface';
import type { PeerId } from '../../protocols/network.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { ChainNet } from './chain-net.ts';

/** How often a connected peer's subscriptions are looked for; it may take twice as long to send them. */
export const WATCH_MS = 5_000;

export interface GossipWatchOptions {
  readonly chains: () => Iterable<ChainNet>;
  readonly connections: (peer: PeerId) => readonly Connection[];
  readonly closeAll: (peer: PeerId, reason: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export class GossipWatch {
  readonly #options: GossipWatchOptions;
  /** Monotonic. */
  readonly #openedMs = new WeakMap<Connection, number>();

  constructor(options: GossipWatchOptions) {
    this.#options = options;
  }

  onOpen(connection: Connection): void {
    this.#openedMs.set(connection, this.#options.clock.monotonic());
  }

  look(): void {
    const { chains, connections, closeAll, clock, log } = this.#options;
    const nowMs = clock.monotonic();
    for (const net of chains()) {
      for (const peer of net.peers()) {
        const open = connections(peer);
        // Gossip spares connections that a relay limits.
        if (open.every(({ limits }) => limits !== undefined)) continue;
        const openedMs = Math.max(...open.map((each) => this.#openedMs.get(each) ?? nowMs));
        if (nowMs - openedMs < 2 * WATCH_MS || net.hearsGossip(peer)) continue;
        log.warn('no gossip subscriptions from a connected peer, reconnecting', { peer, chain: net.chain.chainId });
        closeAll(peer, 'no gossip subscriptions');
      }
    }
  }
}
