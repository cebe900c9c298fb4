/** The network as engine and sync see it: libp2p behind it in the node, a simulated one in tests. */
import type { Answer, Method, Methods, Topic, Topics } from './messages.ts';
import type { GossipCode } from './verdicts.ts';
import type { PeerAction } from './peer-actions.ts';
import type { WorkStream } from './market/work-stream.ts';

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

/** From where an address may be told, and where it leads: this machine, networks of an organisation, everywhere. */
export type AddressScope = 'loopback' | 'private' | 'public';

/** Serves a work stream that a peer opened until it is over; then the stream is closed. */
export type WorkHandler = (stream: WorkStream, from: PeerId) => Promise<void>;

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
  /** Of the address at which a connected peer is; of others that of strangers. */
  scopeOf(peer: PeerId): AddressScope;
  /**
   * Connects to a peer that is not connected yet, at one of its addresses.
   *
   * @param addresses multiaddrs with or without the peer's id; names are not looked up
   * @param toldIn nothing nearer than that is dialled: who is far away shall not make this node try its neighbours
   * @throws NodeError UNREACHABLE | PEER_BANNED | RATE_LIMITED | TIMEOUT, also when the peer does not share the chain
   */
  connect(peer: PeerId, addresses: readonly string[], toldIn: AddressScope, signal: AbortSignal): Promise<void>;
  /** Who may open work streams to this node; null, as at first: nobody, and the protocol is not offered. */
  serveWork(handler: WorkHandler | null): Promise<void>;
  /** To a connected peer. @throws NodeError UNREACHABLE when there is no connection or no miner; RATE_LIMITED above a cap */
  openWork(peer: PeerId, signal: AbortSignal): Promise<WorkStream>;
  /** All peers that validators of the chain signed for as their own: they are relayed without limits. */
  vouch(peers: readonly PeerId[]): void;
  /** Scores a peer by a named action; enough of them ban it for a time. */
  report(peer: PeerId, action: PeerAction, reason: string): void;
  close(): Promise<void>;
}
