/** A work stream as both of its sides see it, whatever carries it: libp2p, a node's relay, or memory. */

/** Records of work-channel.ts, without lengths. */
export interface WorkStream {
  /** Resolves when more may be sent; calls are sent in their order. @throws NodeError UNREACHABLE | TOO_LARGE */
  send(record: Uint8Array): Promise<void>;
  /**
   * The next record, pings included; null when the other side ended the stream. One call at a time. What carries the stream
   * pings by itself, and breaks off when it hears nothing for LEASE_MS.
   *
   * @throws NodeError UNREACHABLE | PEER_PROTOCOL
   */
  read(): Promise<Uint8Array | null>;
  /** Both directions, at once. Safe to call again. */
  close(): void;
}
