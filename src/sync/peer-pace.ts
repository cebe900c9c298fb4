/** How quickly peers deliver and how much they are asked at the moment: decides whom a range is asked of. */
import type { PeerId } from '../../protocols/network.ts';

export const MAX_RANGES_PER_PEER = 2;
/** A peer slower than this is asked only when no other has the range. The bar of catching up is 1 ms. */
const SLOW_MS_PER_BLOCK = 100;
/** What a peer that answered nothing in time, or nothing at all, counts as. */
const STALLED_MS_PER_BLOCK = 10_000;

export class PeerPace {
  readonly #load = new Map<PeerId, number>();
  /** Milliseconds a block of a peer's last answer. */
  readonly #pace = new Map<PeerId, number>();

  began(peer: PeerId): void {
    this.#load.set(peer, this.#loadOf(peer) + 1);
  }

  ended(peer: PeerId): void {
    const load = this.#loadOf(peer) - 1;
    if (load > 0) this.#load.set(peer, load);
    else this.#load.delete(peer);
  }

  delivered(peer: PeerId, blocks: number, ms: number): void {
    this.#pace.set(peer, blocks === 0 ? STALLED_MS_PER_BLOCK : ms / blocks);
  }

  stalled(peer: PeerId): void {
    this.#pace.set(peer, STALLED_MS_PER_BLOCK);
  }

  isSlow(peer: PeerId): boolean {
    return (this.#pace.get(peer) ?? 0) > SLOW_MS_PER_BLOCK;
  }

  /** The least busy of those that have a range; a slow one only where there is no other. */
  choose(having: readonly PeerId[]): PeerId | undefined {
    const quick = having.filter((peer) => !this.isSlow(peer));
    let best: PeerId | undefined;
    for (const peer of quick.length > 0 ? quick : having) {
      if (this.#loadOf(peer) >= MAX_RANGES_PER_PEER) continue;
      if (best === undefined || this.#loadOf(peer) < this.#loadOf(best)) best = peer;
    }
    return best;
  }

  /** The load stays until what is under way has ended. */
  forget(peer: PeerId): void {
    this.#pace.delete(peer);
  }

  #loadOf(peer: PeerId): number {
    return this.#load.get(peer) ?? 0;
  }
}
