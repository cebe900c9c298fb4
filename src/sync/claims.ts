/** What peers are said to hold. Hints, never believed: only certified blocks move the head. */
import type { PeerId } from '../../protocols/network.ts';
import { TokenBucket } from '../../protocols/quotas.ts';

/** Peers whose claims are kept, and of whom others say that they are ahead. */
export const MAX_CLAIMS = 256;
/** Least time between two questions to one peer whether it is ahead, as others say. */
export const INQUIRY_MS = 1_000;
/** Peers that are asked for their heads once more when what they claimed is here. */
export const MAX_FOLLOW_UPS = 4;
/** Of one peer. With the inquiries these are two questions a second, which is what it grants. */
export const FOLLOW_UP_RATE = { capacity: 4, refillPerSecond: 1 };

/** Heights a peer says that it holds, both included. */
export interface Claim {
  readonly baseHeight: number;
  readonly height: number;
}

export class Claims {
  /** What peers say of themselves. A claim that leads to nothing is the claimant's fault. */
  readonly #claims = new Map<PeerId, Claim>();
  /** What others say of a peer: it is asked, and never blamed. */
  readonly #rumours = new Map<PeerId, number>();
  readonly #inquiredAtMs = new Map<PeerId, number>();
  readonly #followUps = new Map<PeerId, TokenBucket>();

  /** A peer says this of itself. Heads and bases only rise; answers may overtake each other. */
  add(peer: PeerId, { baseHeight, height }: Claim): void {
    const known = this.#claims.get(peer);
    if (this.#claims.size >= MAX_CLAIMS && !known) return;
    this.#claims.set(peer, {
      baseHeight: Math.max(baseHeight, known?.baseHeight ?? 1),
      height: Math.max(height, known?.height ?? 0),
    });
  }

  /** Somebody says this of a peer. @returns whether it is news */
  addRumour(peer: PeerId, height: number): boolean {
    if (height <= (this.#claims.get(peer)?.height ?? 0)) return false;
    if (this.#rumours.size >= MAX_CLAIMS && !this.#rumours.has(peer)) return false;
    this.#rumours.set(peer, Math.max(height, this.#rumours.get(peer) ?? 0));
    return true;
  }

  /** How far the claims lead from a height without a gap: who has pruned what comes next helps only after others did. */
  target(from: number): number {
    let target = from;
    for (const { baseHeight, height } of [...this.#claims.values()].sort((a, b) => a.baseHeight - b.baseHeight)) {
      if (baseHeight <= target + 1) target = Math.max(target, height);
    }
    return target;
  }

  /** The claims that go beyond a height. */
  above(height: number): Claim[] {
    return [...this.#claims.values()].filter((claim) => claim.height > height);
  }

  /** Peers that claim to hold the block of this height. */
  holders(height: number): PeerId[] {
    return [...this.#claims].flatMap(([peer, claim]) =>
      claim.height >= height && claim.baseHeight <= height ? peer : [],
    );
  }

  /** Forgets those who are gone. */
  retain(connected: ReadonlySet<PeerId>): void {
    for (const peer of this.#claims.keys()) if (!connected.has(peer)) this.#claims.delete(peer);
    for (const peer of this.#rumours.keys()) if (!connected.has(peer)) this.forget(peer);
    for (const peer of this.#followUps.keys()) if (!connected.has(peer)) this.#followUps.delete(peer);
  }

  /**
   * Takes the rumours that are due to be looked into.
   *
   * @returns whom to ask now, and whether others are to be asked later
   */
  takeDue(height: number, nowMs: number): { readonly peers: readonly PeerId[]; readonly later: boolean } {
    const peers: PeerId[] = [];
    let later = false;
    for (const [peer, rumoured] of this.#rumours) {
      if (rumoured <= height) this.#rumours.delete(peer);
      else if (nowMs - (this.#inquiredAtMs.get(peer) ?? -Infinity) < INQUIRY_MS) later = true;
      else {
        this.#rumours.delete(peer);
        this.#inquiredAtMs.set(peer, nowMs);
        peers.push(peer);
      }
    }
    return { peers, later };
  }

  /** Whom to ask once more, of those who claim to hold the block of a height. */
  takeFollowUps(height: number, nowMs: number): PeerId[] {
    const holders = this.holders(height).slice(0, MAX_FOLLOW_UPS);
    return holders.filter((peer) => {
      const bucket = this.#followUps.get(peer) ?? new TokenBucket(FOLLOW_UP_RATE, nowMs);
      this.#followUps.set(peer, bucket);
      return bucket.take(1, nowMs);
    });
  }

  drop(peer: PeerId): void {
    this.#claims.delete(peer);
  }

  /** A claim that led to nothing: the peer is to be asked again after a while. */
  shelve(peer: PeerId): void {
    const claim = this.#claims.get(peer);
    this.#claims.delete(peer);
    if (claim !== undefined) this.#rumours.set(peer, claim.height);
  }

  clear(): void {
    this.#claims.clear();
  }

  forget(peer: PeerId): void {
    for (const map of [this.#claims, this.#rumours, this.#inquiredAtMs, this.#followUps]) map.delete(peer);
  }
}
