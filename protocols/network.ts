/** The network as engine and sync see it: libp2p behind it in the node, a simulated one in tests. */
import type { Answer, Method, Methods, Topic, Topics } from './messages.ts';
import type { GossipCode } from './verdicts.ts';
import type { PeerAction } from './peer-actions.ts';

/** libp2p peer id, text form. */
export type PeerId = string;

/** Answers to gossip, one function a topic; the code becomes accept, ignore or reject by the one table in verdicts.ts. */
export type GossipHandlers = {
  readonly [T in Topic]: (message: Topics[T], from: PeerId) => Promise<GossipCode>;
};

/** Server side of the request protocols. Throwing NodeError answers the peer with its code. */
export type RequestHandlers = {
  readonly [M in Method]: (request: Methods[M]['request'], from: PeerId) => Promise<Answer<M>>;
};

export interface ChainHandlers {
  readonly gossip: GossipHandlers;
  readonly requests: RequestHandlers;
  /** A peer that shares this chain and genesis is connected. */
  onPeer(peer: PeerId): void;
  onPeerGone(peer: PeerId): void;
}

/** One chain's share of the host. */
export interface ChainNetwork {
  readonly self: PeerId;
  /** Peers that share this chain, connected now. */
  peers(): readonly PeerId[];
  /**
   * Gossips to all. Never throws and never blocks: over the outbound bound the message is dropped and counted.
   * `tx` batches are formed by the caller.
   */
  publish<T extends Topic>(topic: T, message: Topics[T]): void;
  /** @throws NodeError UNREACHABLE | TIMEOUT | PEER_PROTOCOL | PEER_QUOTA | the peer's own code */
  request<M extends Method>(
    peer: PeerId,
    method: M,
    request: Methods[M]['request'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['response']>;
  /** Scores a peer by a named action; enough of them ban it for a time. */
  report(peer: PeerId, action: PeerAction, reason: string): void;
  close(): Promise<void>;
}
