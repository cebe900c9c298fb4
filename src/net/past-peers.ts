/** The library keeps what it knows of a peer for hours, and there is no end of peer ids: of those gone, only the last are kept. */
import type { PeerId } from '../../protocols/network.ts';

export const MAX_PAST_PEERS = 512;

export class PastPeers {
  readonly #forget: (peer: PeerId) => void;
  /** Oldest first. */
  readonly #past = new Set<PeerId>();

  constructor(forget: (peer: PeerId) => void) {
    this.#forget = forget;
  }

  onConnect(peer: PeerId): void {
    this.#past.delete(peer);
  }

  onDisconnect(peer: PeerId): void {
    this.#past.delete(peer);
    this.#past.add(peer);
    const oldest = this.#past.values().next();
    if (this.#past.size <= MAX_PAST_PEERS || oldest.done === true) return;
    this.#past.delete(oldest.value);
    this.#forget(oldest.value);
  }
}
