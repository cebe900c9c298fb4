/** The one table from what a gossip check found to what gossipsub does with the message and its sender. */

export type GossipVerdict = 'accept' | 'ignore' | 'reject';

/** Reject only provable faults of the sender: an honest node never relays these. Everything else is ignored. */
export const GOSSIP_VERDICTS = {
  OK: 'accept',
  /** From its author, who sends it to all that hear it: relayed to the others only. */
  FIRST_HAND: 'accept',
  /** Known already, or nothing in it is new. */
  DUPLICATE: 'ignore',
  /** Of a past height or round, or expired. */
  STALE: 'ignore',
  /** Of a height or round beyond the window. */
  FUTURE: 'ignore',
  /** Signer not in the set as we know it; ours may be behind. */
  UNKNOWN_SIGNER: 'ignore',
  /** The pool or a queue is full, or admission failed for a reason of state (nonce, funds, fee). */
  REFUSED: 'ignore',
  /** This node is catching up or stopping. */
  NOT_READY: 'ignore',
  /** Our own failure: never punish a peer for it. */
  INTERNAL: 'ignore',
  /** Bytes that are not canonical, too large, or of an impossible value. */
  MALFORMED: 'reject',
  BAD_SIGNATURE: 'reject',
  /** Signed by a validator that is not the proposer of that round. */
  WRONG_PROPOSER: 'reject',
  /** The polka certificate does not justify the proposal, or the header contradicts the signed core. */
  UNJUSTIFIED: 'reject',
} as const satisfies Record<string, GossipVerdict>;

export type GossipCode = keyof typeof GOSSIP_VERDICTS;
