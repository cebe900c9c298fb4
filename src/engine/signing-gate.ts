/**
 * Whether this node may sign, and if not, why: one list of reasons, each set and cleared by who knows. The engine asks
 * before every height; status and logs show the reasons.
 */

/** Closed set, shown to people as it is. */
export type GateReason =
  /** No key, or told not to sign. */
  | 'follower'
  /** Not every peer was asked yet what it has. */
  | 'starting'
  /** Certified blocks are being fetched. */
  | 'catching-up'
  /** The sign guard is missing, damaged, or older than the blocks. */
  | 'guard'
  /** The network speaks a newer version of the protocol. */
  | 'upgrade-needed'
  /** A quorum decided for a block that is invalid here. */
  | 'disagreement'
  /** A write failed; nothing is signed on a disk that may not hold it. */
  | 'storage';

export class SigningGate {
  readonly #reasons = new Map<GateReason, string>();
  readonly #onChange: () => void;
  /** Heights up to this one are never signed: a guard of unsure content may have signed there. */
  floorHeight = 0;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get open(): boolean {
    return this.#reasons.size === 0;
  }

  /** Reason → sentence for people. */
  get reasons(): ReadonlyMap<GateReason, string> {
    return this.#reasons;
  }

  mayBeAt(height: number): boolean {
    return this.open && height > this.floorHeight;
  }

  set(reason: GateReason, why: string): void {
    if (this.#reasons.get(reason) === why) return;
    this.#reasons.set(reason, why);
    this.#onChange();
  }

  clear(reason: GateReason): void {
    if (this.#reasons.delete(reason)) this.#onChange();
  }
}
