/** What a peer did, by name; the weights and what they lead to are in one place. */

/** Points by action; scores decay by half every 10 minutes. */
export const PEER_ACTIONS = {
  /** A good answer that moved us on. */
  useful: 1,
  /** Slow or no answer. ~20 in a short time lead to a ban. */
  timeout: -5,
  /** Asked more than its quota. */
  quota: -10,
  /** Gossip that the table rejects. ~10 lead to a ban. */
  'invalid-gossip': -10,
  /** Bytes that do not decode, or a broken frame. */
  'protocol-error': -25,
  /** A block, certificate or transaction that does not verify, or a height it cannot prove. */
  lie: -100,
} as const satisfies Record<string, number>;

export type PeerAction = keyof typeof PEER_ACTIONS;

export const BAN_SCORE = -100;
export const SCORE_CAP = 50;
export const SCORE_HALF_LIFE_MS = 10 * 60_000;
export const BAN_MS = 15 * 60_000;
