/** What others are told of where this node is. */
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../../protocols/network.ts';
import type { Logger } from '../log.ts';
import { parseAddress } from './addresses.ts';
import type { HostLibp2p } from './libp2p.ts';

export interface OwnAddressesOptions {
  readonly self: PeerId;
  /** Multiaddrs that the operator gave; empty: those found. */
  readonly announce: readonly string[];
  /** At relays, up to and including /p2p-circuit. */
  readonly circuits: () => readonly Multiaddr[];
  readonly log: Logger;
}

export class OwnAddresses {
  readonly #options: OwnAddressesOptions;

  #found: readonly Multiaddr[] = [];

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  /** Of the machine itself, whatever the operator announces. */
  found(libp2p: HostLibp2p): readonly Multiaddr[] {
    // Has the library ask for what is told, and so say what it found.
    libp2p.getMultiaddrs();
    return this.#found;
  }

  /** With the own peer id. @throws NodeError CONFIG */
  told(found: readonly Multiaddr[]): Multiaddr[] {
    const { self, announce, circuits } = this.#options;
    this.#found = found;
    const given = announce.map((text) => parseAddress(text, 'CONFIG'));
    const own = `/p2p/${self}`;
    return [...(given.length > 0 ? given : found), ...circuits()].map((address) => {
      const text = address.toString();
      return text.endsWith(own) ? address : multiaddr(text + own);
    });
  }

  /** Signs and sends them to who is connected, and so to those who ask these. */
  publish(libp2p: HostLibp2p): void {
    const { self, log } = this.#options;
    const multiaddrs = libp2p.getMultiaddrs().map((address) => address.decapsulate(`/p2p/${self}`));
    libp2p.peerStore.patch(libp2p.peerId, { multiaddrs }).catch((error: unknown) => {
      log.debug('own addresses not stored', { error });
    });
  }
}
