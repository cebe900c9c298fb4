/** What peers say of themselves: which blocks they hold. Hints, bounded in number; never believed. */
import type { PeerId } from '../../protocols/network.ts';

/** Peers whose claims are kept. */
export const MAX_CLAIMS = 256;

/** Heights a peer says that it holds, both included. */
export interface Claim {
  readonly baseHeight: number;
  readonly height: number;
}

export class Claims {
  readonly #byPeer = new Map<PeerId, Claim>();

  add(peer: PeerId, { baseHeight, height }: Claim): void {
    const known = this.#byPeer.get(peer);
    if (this.#byPeer.size >= MAX_CLAIMS && !known) return;
    // Heads and bases only rise; answers may overtake each other.
    this.#byPeer.set(peer, {
      baseHeight: Math.max(baseHeight, known?.baseHeight ?? 1),
      height: Math.max(height, known?.height ?? 0),
    });
  }

  /** The height that the peer claims; 0 without a claim. */
  heightOf(peer: PeerId): number {
    return this.#byPeer.get(peer)?.height ?? 0;
  }

  delete(peer: PeerId): void {
    this.#byPeer.delete(peer);
  }

  clear(): void {
    this.#byPeer.clear();
  }

  /** Drops the claims of everyone else. */
  keep(connected: ReadonlySet<PeerId>): void {
    for (const peer of this.#byPeer.keys()) if (!connected.has(peer)) this.#byPeer.delete(peer);
  }

  /** How far the claims lead from here without a gap: who has pruned what comes next helps only after others did. */
  reach(from: number): number {
    let reach = from;
    for (const { baseHeight, height } of [...this.#byPeer.values()].sort((a, b) => a.baseHeight - b.baseHeight)) {
      if (baseHeight <= reach + 1) reach = Math.max(reach, height);
    }
    return reach;
  }

  holding(height: number): PeerId[] {
    return [...this.#byPeer].flatMap(([peer, claim]) =>
      claim.baseHeight <= height && height <= claim.height ? peer : [],
    );
  }

  /** The claims that go beyond a height. */
  above(height: number): Claim[] {
    return [...this.#byPeer.values()].filter((claim) => claim.height > height);
  }
}
