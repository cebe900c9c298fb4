/** A host's part in relaying: what it does for others, and others for it. */
import type { Connection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../../../protocols/network.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { isCircuit } from '../addresses.ts';
import type { HostLibp2p } from '../libp2p.ts';
import { MAX_STREAMS } from '../libp2p.ts';
import type { NetMetrics } from '../metrics.ts';
import type { PeerQuotas } from '../peer-quotas.ts';
import type { RelayLimits, RelayService } from './limits.ts';
import { DEFAULT_RELAY_LIMITS } from './limits.ts';
import { HOP_PROTOCOL, MAX_RELAY_ADDRESSES } from './messages.ts';
import { RelayServer } from './server.ts';
import { RelaySlots } from './slots.ts';

export interface RelayingOptions {
  readonly service: RelayService;
  readonly limits: Partial<RelayLimits> | undefined;
  /** Named by the operator. */
  readonly isNamed: (peer: PeerId) => boolean;
  /** Where this node asks for slots. */
  readonly relays: ReadonlySet<PeerId>;
  /** Own multiaddrs. */
  readonly multiaddrs: () => readonly Multiaddr[];
  /** The addresses of this node at relays have changed. */
  readonly onChange: () => void;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
}

export class Relaying {
  readonly #slots: RelaySlots;
  readonly #server: RelayServer | null;
  /** Peers that validators signed for, by chain. */
  readonly #vouched = new Map<string, ReadonlySet<PeerId>>();

  constructor(options: RelayingOptions) {
    const { service, limits, isNamed, relays, multiaddrs } = options;
    this.#slots = new RelaySlots({ ...options, isRelay: (peer) => relays.has(peer) });
    this.#server =
      service === 'off'
        ? null
        : new RelayServer({
            ...options,
            service,
            limits: { ...DEFAULT_RELAY_LIMITS, ...limits },
            isKnown: (peer) => isNamed(peer) || [...this.#vouched.values()].some((peers) => peers.has(peer)),
            addresses: () => {
              const own = multiaddrs().filter((address) => !isCircuit(address));
              return own.slice(0, MAX_RELAY_ADDRESSES).map(({ bytes }) => bytes);
            },
          });
  }

  /** Before the node starts. */
  async handle(libp2p: HostLibp2p): Promise<void> {
    const server = this.#server;
    if (!server) return;
    // Each relayed connection is a stream.
    const many = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS };
    await libp2p.handle(HOP_PROTOCOL, (stream, connection) => server.serve(stream, connection), many);
  }

  /** Whether this node has a slot there. */
  holds(relay: PeerId): boolean {
    return this.#slots.holds(relay);
  }

  /** Where this node is reached through relays, up to and including /p2p-circuit. */
  circuits(): readonly Multiaddr[] {
    return this.#slots.addresses();
  }

  /** All peers that validators of a chain signed for; none when the chain goes. */
  vouch(chainId: string, peers: readonly PeerId[]): void {
    if (peers.length > 0) this.#vouched.set(chainId, new Set(peers));
    else this.#vouched.delete(chainId);
  }

  onOpen(connection: Connection): void {
    this.#slots.onOpen(connection);
  }

  onClose(connection: Connection): void {
    this.#slots.onClose(connection);
    this.#server?.onClose(connection);
  }

  stop(): void {
    this.#slots.stop();
    this.#server?.stop();
  }
}
