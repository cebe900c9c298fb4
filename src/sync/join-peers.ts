/**
 * Which peers a joining node may ask for chunks of one snapshot, and what it makes of their answers: who lies is named
 * and reported, who stalls, refuses or lost the snapshot is asked less or no more.
 */
import type { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';

/** Chunks on their way from one peer, and in all: bounds memory to so many chunks. */
export const MAX_PER_PEER = 3;
export const MAX_IN_FLIGHT = 12;
/** Failures in a row after which a peer is not asked for this snapshot any more. */
export const MAX_FAILURES = 3;
const REST_MS = 1_000;

interface Offer {
  inFlight: number;
  failures: number;
  restsUntilMs: number;
}

export class JoinPeers {
  readonly #network: ChainNetwork;
  readonly #log: Logger;
  readonly #offers = new Map<PeerId, Offer>();

  constructor(network: ChainNetwork, log: Logger) {
    this.#network = network;
    this.#log = log;
  }

  /** It has the snapshot. */
  add(peer: PeerId): void {
    if (!this.#offers.has(peer)) this.#offers.set(peer, { inFlight: 0, failures: 0, restsUntilMs: 0 });
  }

  has(peer: PeerId): boolean {
    return this.#offers.has(peer);
  }

  get count(): number {
    return this.#offers.size;
  }

  get inFlight(): number {
    let sum = 0;
    for (const { inFlight } of this.#offers.values()) sum += inFlight;
    return sum;
  }

  /** The least busy peer that may be asked now. @param besides one that is not wanted */
  choose(nowMs: number, besides?: PeerId): PeerId | undefined {
    const connected = new Set(this.#network.peers());
    let best: PeerId | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [peer, offer] of this.#offers) {
      if (!connected.has(peer)) this.#offers.delete(peer);
      else if (peer === besides || offer.inFlight >= MAX_PER_PEER || offer.restsUntilMs > nowMs) continue;
      else if (offer.inFlight + offer.failures < least) {
        best = peer;
        least = offer.inFlight + offer.failures;
      }
    }
    return best;
  }

  asked(peer: PeerId): void {
    const offer = this.#offers.get(peer);
    if (offer) offer.inFlight += 1;
  }

  answered(peer: PeerId): void {
    const offer = this.#offers.get(peer);
    if (!offer) return;
    offer.inFlight -= 1;
    offer.failures = 0;
    this.#network.report(peer, 'useful', 'chunk');
  }

  /** Blames a peer for what it did, and for nothing else. */
  failed(peer: PeerId, what: string, error: NodeError, nowMs: number): void {
    const offer = this.#offers.get(peer);
    if (offer) offer.inFlight -= 1;
    switch (error.code) {
      case 'BAD_PROOF':
      case 'BAD_CERTIFICATE':
      case 'BAD_BLOCK':
      case 'CODEC':
        this.#offers.delete(peer);
        this.#log.warn('a peer lied about a snapshot', { peer, what, error });
        this.#network.report(peer, 'lie', error.message);
        return;
      case 'PEER_QUOTA':
      case 'RATE_LIMITED':
        if (offer) offer.restsUntilMs = nowMs + REST_MS;
        return;
      case 'NOT_FOUND':
        this.#offers.delete(peer);
        this.#log.info('a peer no longer holds the snapshot', { peer, what });
        return;
      default:
        // What the peer did to a request, the network has judged.
        this.#log.info('no answer about a snapshot', { peer, what, code: error.code });
        if (!offer) return;
        offer.failures += 1;
        offer.restsUntilMs = nowMs + REST_MS * offer.failures;
        if (offer.failures >= MAX_FAILURES) this.#offers.delete(peer);
    }
  }
}
