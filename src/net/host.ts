/** The libp2p host of a node: one for all its chains. Nothing outside this folder knows libp2p. */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Connection, Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { HELLO_PROTOCOL, MAX_CHAINS } from '../../protocols/hello.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../../protocols/network.ts';
import { NEIGHBOURS_PROTOCOL } from '../../protocols/neighbours.ts';
import { RECORDS_PROTOCOL } from '../../protocols/records.ts';
import { ADDRESSES_QUOTA } from '../../protocols/registry.ts';
import type { Hasher, LinkCrypto } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { every, systemClock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { nopLogger } from '../log.ts';
import { isCircuit, parseAddress, parsePeerAddress, parsePersistentPeers, peerIdOf } from './addresses.ts';
import { ChainNet } from './chain-net.ts';
import type { PersistentPeer } from './dialer.ts';
import { PersistentDialer } from './dialer.ts';
import type { ConnectionLimits } from './gater.ts';
import { createGater, DEFAULT_LIMITS } from './gater.ts';
import type { Backlog, FirstHand } from './gossip-service.ts';
import { createBacklog } from './gossip-service.ts';
import { GossipWatch, WATCH_MS } from './gossip-watch.ts';
import type { Refusal } from './hello-service.ts';
import { HelloService } from './hello-service.ts';
import { Lan, mdnsBrowser } from './lan.ts';
import type { HostLibp2p } from './libp2p.ts';
import { closeSoon, createNode, listenError } from './libp2p.ts';
import type { PingTimes } from './links.ts';
import { Links } from './links.ts';
import type { NetMetrics } from './metrics.ts';
import { createNetMetrics } from './metrics.ts';
import { Neighbours } from './neighbours.ts';
import { DIAL_TIMEOUT_MS, Outreach } from './outreach.ts';
import { OwnAddresses } from './own-addresses.ts';
import { PastPeers } from './past-peers.ts';
import type { PeerInfo } from './peer-info.ts';
import { PeerQuotas } from './peer-quotas.ts';
import type { Ban } from './peers.ts';
import { PeerBook } from './peers.ts';
import { RecordsService } from './records-service.ts';
import type { RelayLimits, RelayService } from './relay/limits.ts';
import { Relaying } from './relay/relaying.ts';
import { ServerLoad } from './request-server.ts';
import { WorkLoad } from './work-load.ts';

export interface HostOptions {
  /** 32 bytes, Ed25519: the seed of the peer id. */
  readonly privateKeySeed: Uint8Array;
  /** Multiaddrs. */
  readonly listen: readonly string[];
  /** Multiaddrs told to others instead of those listened on. */
  readonly announce?: readonly string[];
  /** Multiaddrs that end in /p2p/<id>: kept connected, let in above the limits, never banned for being slow. */
  readonly persistentPeers?: readonly string[];
  readonly limits?: Partial<ConnectionLimits>;
  /** For whom this node relays. */
  readonly relay?: RelayService;
  readonly relayLimits?: Partial<RelayLimits>;
  /** Where this node has itself relayed: multiaddrs that end in /p2p/<id>, kept connected; `peers`: the persistent peers. */
  readonly relays?: readonly string[];
  /** Looks for peers of its chains on the local network, and tells of itself there. */
  readonly mdns?: boolean;
  readonly pings?: PingTimes;
  readonly hasher: Hasher;
  /** The library's own when absent. */
  readonly linkCrypto?: LinkCrypto;
  /** Program and version, told in the handshake. */
  readonly agent?: string;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly metrics?: NetMetrics;
}

export interface Host {
  readonly peerId: PeerId;
  multiaddrs(): string[];
  /** @throws NodeError CONFLICT when the chain is carried already, TOO_LARGE above the cap */
  addChain(chain: { readonly chain: ChainContext; readonly handlers: ChainHandlers }): Promise<ChainNetwork>;
  peers(): PeerInfo[];
  bans(): Ban[];
  /** Chains refused for their genesis, newest last. */
  refusals(): Refusal[];
  /** @throws NodeError INVALID_PARAMS | UNREACHABLE | PEER_BANNED */
  dial(address: string): Promise<PeerId>;
  stop(): Promise<void>;
}

/** How often a peer that is reached through a relay is tried directly. */
const PREFER_DIRECT_MS = 60_000;

/**
 * Listens at once; dials the persistent peers when the first chain is added, so that a handshake has something to say.
 *
 * @throws NodeError PORT_IN_USE | CONFIG | KEY_FILE
 */
export async function createHost(options: HostOptions): Promise<Host> {
  if (options.privateKeySeed.length !== 32) {
    throw new NodeError('KEY_FILE', 'the seed of a peer id has 32 bytes', {
      data: { bytes: options.privateKeySeed.length },
      hint: 'use the node key made by `aitbc init`',
    });
  }
  const privateKey = await generateKeyPairFromSeed('Ed25519', options.privateKeySeed);
  const host = new LibP2pHost(options, peerIdFromPrivateKey(privateKey).toString());
  await host.start(privateKey);
  return host;
}

class LibP2pHost implements Host {
  readonly peerId: PeerId;
  readonly #options: HostOptions;
  readonly #agent: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: NetMetrics;
  readonly #persistent: ReadonlySet<PeerId>;
  readonly #book: PeerBook;
  readonly #quotas: PeerQuotas;
  readonly #hello: HelloService;
  readonly #dialer: PersistentDialer;
  readonly #links: Links;
  readonly #load = new ServerLoad();
  readonly #chains = new Map<string, ChainNet>();
  readonly #backlog: Backlog;
  readonly #work: WorkLoad;
  readonly #records: RecordsService;
  readonly #neighbours: Neighbours;
  readonly #watch: GossipWatch;
  readonly #firstHand: FirstHand = new WeakSet();
  readonly #outreach: Outreach;
  readonly #peers: readonly PersistentPeer[];
  readonly #relaying: Relaying;
  readonly #lan: Lan | null;
  readonly #past: PastPeers;
  readonly #addresses: OwnAddresses;
  #libp2p: HostLibp2p | null = null;
  readonly #stops: (() => void)[] = [];

  constructor(options: HostOptions, peerId: PeerId) {
    this.peerId = peerId;
    this.#options = options;
    this.#agent = options.agent ?? 'aitbc';
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? nopLogger;
    this.#metrics = options.metrics ?? createNetMetrics();
    const { persistentPeers = [], relays = [] } = options;
    const relayAddresses = relays.flatMap((relay) => (relay === 'peers' ? persistentPeers : [relay]));
    const relayIds = new Set(parsePersistentPeers(relayAddresses, peerId).map(({ peer }) => peer));
    const peers = parsePersistentPeers([...new Set([...persistentPeers, ...relayAddresses])], peerId);
    this.#peers = peers;
    this.#persistent = new Set(peers.map(({ peer }) => peer));
    // Real time: a test that sets the clock ahead does not make the other side slow to answer.
    this.#links = new Links(systemClock, options.pings);
    const shared = { clock: this.#clock, log: this.#log, metrics: this.#metrics };
    this.#book = new PeerBook({
      ...shared,
      persistent: this.#persistent,
      onBan: (peer) => {
        this.#closeAll(peer, 'banned');
      },
    });
    this.#quotas = new PeerQuotas(this.#clock, this.#book);
    this.#work = new WorkLoad(this.#clock, this.#metrics);
    this.#backlog = createBacklog(() => this.#libp2p?.getConnections() ?? [], this.#clock);
    this.#hello = new HelloService({
      ...shared,
      agent: this.#agent,
      book: this.#book,
      quotas: this.#quotas,
      ourChains: () => [...this.#chains.values()].map(({ chain }) => chain),
      onShared: (peer, chainIds) => {
        for (const [chainId, net] of this.#chains) net.setShared(peer, chainIds.includes(chainId));
      },
      close: (connection) => {
        closeSoon(connection);
      },
    });
    this.#dialer = new PersistentDialer({
      ...shared,
      peers,
      dial: (peer) => this.#outreach.dialNamed(peer),
      connected: (peer) => this.#connections(peer).length > 0,
      banRemainingMs: (peer) => this.#book.banRemainingMs(peer),
      random: Math.random,
    });
    this.#records = new RecordsService({
      ...shared,
      quotas: this.#quotas,
      book: this.#book,
      peerStore: () => this.#running().peerStore,
      isConnected: (peer) => this.#connections(peer).length > 0,
    });
    this.#watch = new GossipWatch({
      ...shared,
      chains: () => this.#chains.values(),
      connections: (peer) => this.#connections(peer),
      closeAll: this.#closeAll.bind(this),
    });
    this.#neighbours = new Neighbours({
      ...shared,
      quotas: this.#quotas,
      book: this.#book,
      heard: () => [...this.#chains.values()].flatMap((net) => net.peers().filter((peer) => net.hearsGossip(peer))),
      connection: (peer) => this.#connections(peer)[0],
    });
    this.#outreach = new Outreach({
      dial: (addresses, how) => this.#running().dial(addresses, how),
      peerStore: () => this.#running().peerStore,
      connections: () => this.#open(),
      isNamed: (peer) => this.#persistent.has(peer),
      book: this.#book,
      records: this.#records,
      maxConnections: { ...DEFAULT_LIMITS, ...options.limits }.maxConnections,
    });
    this.#relaying = new Relaying({
      ...shared,
      service: options.relay ?? 'off',
      limits: options.relayLimits,
      isNamed: (peer) => this.#persistent.has(peer),
      relays: relayIds,
      multiaddrs: () => this.#libp2p?.getMultiaddrs() ?? [],
      onChange: () => {
        if (this.#libp2p) this.#addresses.publish(this.#libp2p);
      },
      quotas: this.#quotas,
    });
    this.#lan = options.mdns === true ? this.#createLan() : null;
    const { announce = [] } = options;
    this.#addresses = new OwnAddresses({
      ...shared,
      self: peerId,
      announce,
      circuits: () => this.#relaying.circuits(),
    });
    this.#past = new PastPeers((peer) => {
      const id = peerIdOf(peer);
      if (id) this.#libp2p?.peerStore.delete(id).catch(() => undefined);
    });
  }

  async start(privateKey: Ed25519PrivateKey): Promise<void> {
    const { listen, announce = [] } = this.#options;
    for (const text of [...listen, ...announce]) parseAddress(text, 'CONFIG');
    const libp2p = await this.#create(privateKey);
    this.#libp2p = libp2p;
    libp2p.addEventListener('connection:open', ({ detail }) => {
      this.#onOpen(detail);
    });
    libp2p.addEventListener('connection:close', ({ detail }) => {
      this.#onClose(detail);
    });
    libp2p.addEventListener('peer:disconnect', ({ detail }) => {
      this.#hello.onPeerGone(detail.toString());
      this.#neighbours.onPeerGone(detail.toString());
      this.#dialer.onDisconnect(detail.toString());
      if (!this.#persistent.has(detail.toString())) this.#past.onDisconnect(detail.toString());
    });
    const few = { maxInboundStreams: 4, maxOutboundStreams: 4 };
    const always = { ...few, runOnLimitedConnection: true };
    await libp2p.handle(HELLO_PROTOCOL, (stream, connection) => this.#hello.serve(stream, connection), always);
    await libp2p.handle(RECORDS_PROTOCOL, (stream, connection) => this.#records.serve(stream, connection), few);
    await libp2p.handle(NEIGHBOURS_PROTOCOL, (stream, connection) => this.#neighbours.serve(stream, connection), few);
    await this.#relaying.handle(libp2p);
    try {
      await libp2p.start();
    } catch (error) {
      await libp2p.stop();
      throw listenError(error, listen);
    }
    this.#links.start();
    this.#stops.push(
      every(this.#clock, WATCH_MS, () => {
        this.#watch.look();
        this.#neighbours.tell();
      }),
      every(this.#clock, PREFER_DIRECT_MS, () => {
        this.#outreach.preferDirect(this.#peers);
      }),
    );
  }

  multiaddrs(): string[] {
    return (this.#libp2p?.getMultiaddrs() ?? []).map(String);
  }

  async addChain({ chain, handlers }: { chain: ChainContext; handlers: ChainHandlers }): Promise<ChainNetwork> {
    if (this.#chains.has(chain.chainId)) {
      throw new NodeError('CONFLICT', 'the host carries this chain already', { data: { chainId: chain.chainId } });
    }
    if (this.#chains.size >= MAX_CHAINS) {
      throw new NodeError('TOO_LARGE', 'too many chains on one host', { data: { cap: MAX_CHAINS } });
    }
    const libp2p = this.#running();
    const shared = {
      libp2p,
      firstHand: this.#firstHand,
      connection: (peer: PeerId) => this.#connections(peer)[0],
      hasher: this.#options.hasher,
      backlog: this.#backlog,
      flush: () => {
        this.#links.flush();
      },
      dial: this.#outreach.dialMiner.bind(this.#outreach),
      onVouched: (chainId: string, vouched: readonly PeerId[]) => {
        this.#relaying.vouch(chainId, vouched);
      },
      load: this.#load,
      work: this.#work,
      book: this.#book,
      quotas: this.#quotas,
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
    };
    const net = new ChainNet(shared, chain, handlers, () => {
      this.#chains.delete(chain.chainId);
      this.#relaying.vouch(chain.chainId, []);
      void this.#lan?.remove(chain);
      this.#load.chains = this.#chains.size;
      this.#greetAll();
    });
    this.#chains.set(chain.chainId, net);
    this.#load.chains = this.#chains.size;
    await net.start();
    this.#greetAll();
    this.#dialer.start();
    this.#lan?.add(chain);
    return net;
  }

  peers(): PeerInfo[] {
    const seen = new Map<PeerId, PeerInfo>();
    for (const connection of this.#libp2p?.getConnections() ?? []) {
      const peerId = connection.remotePeer.toString();
      if (seen.has(peerId)) continue;
      seen.set(peerId, {
        peerId,
        address: connection.remoteAddr.toString(),
        isDirect: !isCircuit(connection.remoteAddr),
        direction: connection.direction,
        rttMs: this.#links.rttMs(connection),
        score: this.#book.score(peerId),
        direct: this.#persistent.has(peerId),
        chains: [...this.#chains].filter(([, net]) => net.peers().includes(peerId)).map(([chainId]) => chainId),
        agent: this.#hello.helloOf(peerId)?.agent ?? null,
      });
    }
    return [...seen.values()];
  }

  bans(): Ban[] {
    return this.#book.bans();
  }

  refusals(): Refusal[] {
    return this.#hello.refusals();
  }

  async dial(address: string): Promise<PeerId> {
    const { peer, address: target } = parsePeerAddress(address, 'INVALID_PARAMS');
    this.#book.requireNotBanned(peer);
    await this.#outreach.dialAddress(target);
    return peer;
  }

  async stop(): Promise<void> {
    const libp2p = this.#libp2p;
    if (!libp2p) return;
    for (const stop of this.#stops.splice(0)) stop();
    this.#links.stop();
    this.#dialer.stop();
    this.#relaying.stop();
    this.#hello.stop();
    this.#neighbours.stop();
    this.#libp2p = null;
    // Resetting, not closing: an orderly end would wait for peers that no longer read.
    for (const connection of libp2p.getConnections()) connection.abort(new NodeError('UNREACHABLE', 'stopping'));
    for (const net of [...this.#chains.values()]) await net.close();
    await libp2p.stop();
  }

  #create(privateKey: Ed25519PrivateKey): Promise<HostLibp2p> {
    const limits = { ...DEFAULT_LIMITS, ...this.#options.limits };
    return createNode({
      privateKey,
      agent: this.#agent,
      listen: this.#options.listen,
      announced: (found) => this.#addresses.told(found),
      links: this.#links,
      hasher: this.#options.hasher,
      linkCrypto: this.#options.linkCrypto,
      metrics: this.#metrics.library,
      gater: createGater({
        limits,
        book: this.#book,
        persistent: this.#persistent,
        connections: () => this.#libp2p?.getConnections() ?? [],
        clock: this.#clock,
        metrics: this.#metrics,
      }),
      maxConnections: limits.maxConnections + this.#persistent.size + 8,
      dialTimeoutMs: DIAL_TIMEOUT_MS,
      admitsPush: (peer) => this.#quotas.take(peer, 'addresses', ADDRESSES_QUOTA, 1),
      takesFromRelay: (relay) => this.#relaying.holds(relay),
      gossip: {
        score: (peer) => this.#book.gossipScore(peer),
        knowsTopic: (topic) => this.#libp2p?.services.gossip.topicValidators.has(topic) === true,
        firstHand: this.#firstHand,
        hearersOf: (peer) => this.#neighbours.hearersOf(peer),
      },
    });
  }

  #createLan(): Lan {
    return new Lan({
      browse: mdnsBrowser(
        () => this.#running(),
        () => this.#addresses.found(this.#running()),
      ),
      self: this.peerId,
      connected: (peer) => this.#connections(peer).length > 0,
      dial: (peer, addresses) => this.#outreach.dialNear(peer, addresses),
      clock: this.#clock,
      log: this.#log,
    });
  }

  #running(): HostLibp2p {
    if (!this.#libp2p) throw new NodeError('UNREACHABLE', 'the network host is stopped');
    return this.#libp2p;
  }

  /** By text, which the library keeps: making a peer id of it costs more than all the rest of a request here. */
  #connections(peer: PeerId): Connection[] {
    return this.#open().filter(({ remotePeer }) => remotePeer.toString() === peer);
  }

  #open(): Connection[] {
    return this.#libp2p?.getConnections().filter(({ status }) => status === 'open') ?? [];
  }

  #onOpen(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    this.#watch.onOpen(connection);
    this.#past.onConnect(peer);
    const open = this.#connections(peer);
    this.#countConnections();
    const isRelayed = isCircuit(connection.remoteAddr);
    if (!isRelayed && open.some(({ remoteAddr }) => isCircuit(remoteAddr))) {
      this.#closeAll(peer, 'a direct connection replaces a relayed one');
      return;
    }
    const same = open.filter(({ direction }) => direction === connection.direction);
    if (same.length > 1) {
      // Nobody dials a peer that it is connected to: the other side has lost the older connection, and this one has not
      // noticed. Gossip would go on writing to the dead one, so both go and the dialler comes back.
      this.#closeAll(peer, 'a newer connection replaces a stale one');
      return;
    }
    this.#log.debug('connection opened', { peer, direction: connection.direction });
    this.#dialer.onConnect(peer);
    this.#hello.onConnection(connection);
    this.#neighbours.onPeer();
    this.#relaying.onOpen(connection);
  }

  #onClose(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    this.#countConnections();
    this.#relaying.onClose(connection);
    this.#log.debug('connection closed', { peer, direction: connection.direction });
    // Two hosts that dial each other at once hold two connections. When one goes, gossip may lose its stream for good
    // although the peer stays connected: it opens streams on new connections only.
    this.#closeAll(peer, 'another connection to the peer was lost');
  }

  #closeAll(peer: PeerId, reason: string): void {
    for (const connection of this.#connections(peer)) connection.abort(new NodeError('UNREACHABLE', reason));
  }

  #countConnections(): void {
    const open = this.#libp2p?.getConnections() ?? [];
    const relayed = open.filter(({ remoteAddr }) => isCircuit(remoteAddr)).length;
    this.#metrics.connections.set(open.length);
    this.#metrics.relayedConnections.set(relayed);
  }

  #greetAll(): void {
    const greeted = new Set<PeerId>();
    for (const connection of this.#libp2p?.getConnections() ?? []) {
      const peer = connection.remotePeer.toString();
      if (greeted.has(peer)) continue;
      greeted.add(peer);
      this.#hello.greet(connection);
    }
  }
}
