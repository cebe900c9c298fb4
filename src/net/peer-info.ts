/** What the host tells of a connected peer. */
import type { PeerId } from '../../protocols/network.ts';

export interface PeerInfo {
  readonly peerId: PeerId;
  readonly address: string;
  /** Without a relay. */
  readonly isDirect: boolean;
  readonly direction: 'inbound' | 'outbound';
  /** Of the last ping; null before the first. */
  readonly rttMs: number | null;
  readonly score: number;
  /** Named by the operator, here. */
  readonly direct: boolean;
  /** Ids of the chains it shares with this node. */
  readonly chains: readonly string[];
  readonly agent: string | null;
}
