/** Peers of the same chain on the same local network, found by multicast DNS. */
import type { PeerDiscovery, Startable } from '@libp2p/interface';
import type { MulticastDNSComponents } from '@libp2p/mdns';
import { mdns } from '@libp2p/mdns';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../../protocols/network.ts';
import { TokenBucket } from '../../protocols/quotas.ts';
import { genesis8 } from '../../protocols/topics.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { toNodeError } from '../errors.ts';
import type { HostLibp2p } from './libp2p.ts';

/** What anyone on the network claims: a peer and where it is. */
export type LanListener = (peer: PeerId, addresses: readonly string[]) => void;

/** Asks and answers on the network for as long as it is not ended. @returns ends it */
export type LanBrowser = (tag: string, onPeer: LanListener) => Promise<() => Promise<void>>;

export interface LanOptions {
  readonly browse: LanBrowser;
  readonly self: PeerId;
  readonly connected: (peer: PeerId) => boolean;
  /** Dials those of the addresses that are in this network. @throws when none answers */
  readonly dial: (peer: PeerId, addresses: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Connections made for the sake of this, and dials at once. */
export const MAX_LAN_PEERS = 16;
const MAX_DIALS = 2;
/** Anyone on the network can claim any number of peers. */
const DIAL_RATE = { capacity: 8, refillPerSecond: 0.5 };
const RETRY_MS = 60_000;
const MAX_TRIED = 256;

export class Lan {
  readonly #options: LanOptions;
  readonly #bucket: TokenBucket;
  readonly #ends = new Map<string, Promise<() => Promise<void>>>();
  /** Monotonic time of the last dial, oldest first. */
  readonly #tried = new Map<PeerId, number>();
  readonly #found = new Set<PeerId>();
  #dials = 0;

  constructor(options: LanOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(DIAL_RATE, options.clock.monotonic());
  }

  /** Who has another chain, or another genesis of that name, answers under another tag. */
  add(chain: ChainContext): void {
    const { browse, log } = this.#options;
    const tag = lanTag(chain);
    const started = browse(tag, (peer, addresses) => {
      this.#onPeer(peer, addresses);
    });
    this.#ends.set(tag, started);
    started.catch((error: unknown) => {
      this.#ends.delete(tag);
      log.warn('peers of the local network are not looked for', { tag, error: toNodeError(error) });
    });
  }

  async remove(chain: ChainContext): Promise<void> {
    const end = this.#ends.get(lanTag(chain));
    this.#ends.delete(lanTag(chain));
    await end?.then((done) => done()).catch(() => undefined);
  }

  #onPeer(peer: PeerId, addresses: readonly string[]): void {
    const { self, connected, dial, clock, log } = this.#options;
    const nowMs = clock.monotonic();
    if (peer === self || connected(peer) || nowMs - (this.#tried.get(peer) ?? -Infinity) < RETRY_MS) return;
    for (const found of this.#found) if (!connected(found)) this.#found.delete(found);
    if (this.#found.size >= MAX_LAN_PEERS || this.#dials >= MAX_DIALS || !this.#bucket.take(1, nowMs)) return;
    this.#tried.delete(peer);
    this.#tried.set(peer, nowMs);
    const oldest = this.#tried.keys().next();
    if (this.#tried.size > MAX_TRIED && oldest.done !== true) this.#tried.delete(oldest.value);
    this.#dials++;
    dial(peer, addresses)
      .then(
        () => {
          this.#found.add(peer);
          log.info('found a peer on the local network', { peer });
        },
        (error: unknown) => {
          log.debug('a peer on the local network does not answer', { peer, error });
        },
      )
      .finally(() => {
        this.#dials--;
      });
  }
}

/** A name of DNS: at most 63 characters before the first dot. */
export function lanTag(chain: ChainContext): string {
  return `_${chain.chainId}-${genesis8(chain.genesisHash)}._udp.local`;
}

/** By the library's service, beside libp2p and not within it: that would keep every peer that anyone claims. */
export function mdnsBrowser(libp2p: () => HostLibp2p, addresses: () => readonly Multiaddr[]): LanBrowser {
  return async (serviceTag, onPeer) => {
    const addressManager = { getAddresses: () => [...addresses()] };
    const components = { logger: libp2p().logger, addressManager } as unknown as MulticastDNSComponents;
    const service = mdns({ serviceTag })(components) as PeerDiscovery & Required<Pick<Startable, 'start' | 'stop'>>;
    service.addEventListener('peer', ({ detail: { id, multiaddrs } }) => {
      onPeer(id.toString(), multiaddrs.slice(0, MAX_ADDRESSES).map(String));
    });
    await service.start();
    return async () => service.stop();
  };
}

/** Of one answer. */
const MAX_ADDRESSES = 8;
