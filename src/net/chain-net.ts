/** One chain's share of the host: gossip, requests both ways, and the peers that share it. */
import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import type { Connection, Libp2p } from '@libp2p/interface';
import type { Method, Methods, Topic, Topics } from '../../protocols/messages.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { ChainHandlers, ChainNetwork, PeerId, WorkHandler, AddressScope } from '../../protocols/network.ts';
import type { PeerAction } from '../../protocols/peer-actions.ts';
import { protocolId, topicName } from '../../protocols/topics.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { NodeError } from '../errors.ts';
import { scopeOf } from './address-scope.ts';
import { deadline } from './deadline.ts';
import { ChainGossip } from './gossip.ts';
import type { Backlog, FirstHand } from './gossip-service.ts';
import type { NetMetrics } from './metrics.ts';
import type { PeerQuotas } from './peer-quotas.ts';
import type { PeerBook } from './peers.ts';
import { RequestClient } from './request-client.ts';
import type { ServerLoad } from './request-server.ts';
import { METHOD_NAMES, RequestServer } from './request-server.ts';
import type { WorkLoad } from './work-load.ts';
import { WorkService } from './work-service.ts';

/** A dial and a handshake. */
const CONNECT_MS = 8_000;

export type MinerDial = (
  peer: PeerId,
  addresses: readonly string[],
  toldIn: AddressScope,
  signal: AbortSignal,
) => Promise<void>;

/** What all chains of a host share. */
export interface ChainNetOptions {
  readonly libp2p: Libp2p<{ gossip: GossipSub }>;
  readonly connection: (peer: PeerId) => Connection | undefined;
  readonly hasher: Hasher;
  readonly firstHand: FirstHand;
  readonly backlog: Backlog;
  /** Sends what waits for the end of this turn. */
  readonly flush: () => void;
  /** Connects. @throws NodeError UNREACHABLE | PEER_BANNED */
  readonly dial: MinerDial;
  readonly onVouched: (chainId: string, peers: readonly PeerId[]) => void;
  readonly load: ServerLoad;
  readonly work: WorkLoad;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
}

export class ChainNet implements ChainNetwork {
  readonly chain: ChainContext;
  readonly self: PeerId;
  readonly #options: ChainNetOptions;
  readonly #handlers: ChainHandlers;
  readonly #gossip: ChainGossip;
  readonly #client: RequestClient;
  readonly #server: RequestServer;
  readonly #work: WorkService;
  /** Of peers that connect; told whether they share the chain, or that they are gone. */
  readonly #awaited = new Map<PeerId, Set<() => void>>();
  readonly #peers = new Set<PeerId>();
  readonly #onClose: () => void;
  #open = false;

  constructor(options: ChainNetOptions, chain: ChainContext, handlers: ChainHandlers, onClose: () => void) {
    this.#options = options;
    this.#handlers = handlers;
    this.#onClose = onClose;
    this.chain = chain;
    this.self = options.libp2p.peerId.toString();
    const shared = { ...options, chain };
    this.#gossip = new ChainGossip({ ...shared, gossip: options.libp2p.services.gossip, handlers: handlers.gossip });
    this.#client = new RequestClient(shared);
    this.#server = new RequestServer({ ...shared, handlers: handlers.requests });
    this.#work = new WorkService(shared);
  }

  async start(): Promise<void> {
    this.#open = true;
    const { libp2p } = this.#options;
    await Promise.all(
      METHOD_NAMES.map((method) =>
        libp2p.handle(protocolId(this.chain, method), (stream, link) => this.#server.serve(method, stream, link), {
          maxInboundStreams: 2,
          maxOutboundStreams: 2,
          runOnLimitedConnection: true,
        }),
      ),
    );
    this.#gossip.start();
  }

  peers(): readonly PeerId[] {
    return [...this.#peers];
  }

  publish<T extends Topic>(topic: T, message: Topics[T]): void {
    if (this.#open) this.#gossip.publish(topic, message);
  }

  request<M extends Method>(
    peer: PeerId,
    method: M,
    request: Methods[M]['request'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['response']> {
    return this.#client.request(peer, method, request, signal);
  }

  serveWork(handler: WorkHandler | null): Promise<void> {
    return this.#work.serve(handler);
  }

  openWork(peer: PeerId, signal: AbortSignal): Promise<WorkStream> {
    return this.#work.open(peer, signal);
  }

  scopeOf(peer: PeerId): AddressScope {
    const address = this.#options.connection(peer)?.remoteAddr;
    return (address && scopeOf(address)) ?? 'public';
  }

  async connect(peer: PeerId, addresses: readonly string[], toldIn: AddressScope, signal: AbortSignal): Promise<void> {
    if (this.#peers.has(peer)) return;
    const limit = deadline(this.#options.clock, CONNECT_MS, signal);
    try {
      const shared = this.#untilShared(peer, limit.signal);
      shared.catch(() => undefined);
      if (!this.#options.connection(peer)) await this.#options.dial(peer, addresses, toldIn, limit.signal);
      await shared;
    } finally {
      limit.clear();
    }
  }

  /** @throws NodeError of the signal */
  #untilShared(peer: PeerId, signal: AbortSignal): Promise<void> {
    const awaited = this.#awaited.get(peer) ?? new Set();
    this.#awaited.set(peer, awaited);
    return new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => (): void => {
        awaited.delete(onShared);
        if (awaited.size === 0 && this.#awaited.get(peer) === awaited) this.#awaited.delete(peer);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onShared = end(resolve);
      const onAbort = end(() => {
        reject(signal.reason as NodeError);
      });
      awaited.add(onShared);
      signal.addEventListener('abort', onAbort);
    });
  }

  vouch(peers: readonly PeerId[]): void {
    if (this.#open) this.#options.onVouched(this.chain.chainId, peers);
  }

  report(peer: PeerId, action: PeerAction, reason: string): void {
    this.#options.book.report(peer, action, reason);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#onClose();
    for (const peer of this.#peers) this.setShared(peer, false);
    this.#gossip.stop();
    this.#client.stop();
    this.#server.stop();
    await this.#work.stop();
    await this.#options.libp2p.unhandle(METHOD_NAMES.map((method) => protocolId(this.chain, method)));
  }

  /** Told by the handshake, and when a peer is gone. */
  setShared(peer: PeerId, shared: boolean): void {
    if (this.#peers.has(peer) === shared) return;
    if (shared) this.#peers.add(peer);
    else this.#peers.delete(peer);
    this.#options.metrics.peers.set(this.#peers.size, { chain: this.chain.chainId });
    try {
      if (shared) this.#handlers.onPeer(peer);
      else this.#handlers.onPeerGone(peer);
    } catch (error) {
      this.#options.log.error('peer handler failed', { peer, shared, error });
    }
    if (shared) for (const onShared of [...(this.#awaited.get(peer) ?? [])]) onShared();
  }

  /** Whether the peer's subscriptions arrived: every host that carries a chain follows its topics. */
  hearsGossip(peer: PeerId): boolean {
    const { gossip } = this.#options.libp2p.services;
    return gossip.getSubscribers(topicName(this.chain, 'vote')).some((id) => id.toString() === peer);
  }
}
