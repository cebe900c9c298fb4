/**
 * Whether this node may sign, and if not, why: one list of reasons, each set and cleared by who knows. The engine asks
 * before every height; status and logs show the reasons.
 */

/** Closed set, shown to people as it is. */
export type GateReason =
  /** No key, or told not to sign. */
  | 'follower'
  /** Too few validators have said yet what this key signed. */
  | 'starting'
  /** The key signed what its folder does not know, and too few validators have answered to go on. */
  | 'restored'
  /** The key signed two things at one place and has lost its power. */
  | 'convicted'
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

  /** Nothing but the answers of others is awaited: they may count on this node's answers meanwhile. */
  get awaitsAnswers(): boolean {
    return [...this.#reasons.keys()].every((reason) => reason === 'starting' || reason === 'restored');
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
