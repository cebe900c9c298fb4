/** The libp2p host of a node: one for all its chains. Nothing outside this folder knows libp2p. */
import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Identify } from '@libp2p/identify';
import { identify } from '@libp2p/identify';
import type { Connection, Ed25519PrivateKey, Libp2p } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { Ping } from '@libp2p/ping';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { HELLO_PROTOCOL, MAX_CHAINS } from '../../protocols/hello.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../../protocols/network.ts';
import { WORK } from '../../protocols/registry.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { every, systemClock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { nopLogger } from '../log.ts';
import { parseAddress, parsePeerAddress, parsePersistentPeers, peerIdOf } from './addresses.ts';
import { reachable } from './address-scope.ts';
import type { MinerDial } from './chain-net.ts';
import { ChainNet } from './chain-net.ts';
import { PersistentDialer } from './dialer.ts';
import type { ConnectionLimits } from './gater.ts';
import { createGater, DEFAULT_LIMITS } from './gater.ts';
import type { Backlog } from './gossip-service.ts';
import { createBacklog, createGossipService } from './gossip-service.ts';
import type { Refusal } from './hello-service.ts';
import { HelloService } from './hello-service.ts';
import { joinedNoise } from './joined-writes.ts';
import { Links } from './links.ts';
import type { NetMetrics } from './metrics.ts';
import { createNetMetrics } from './metrics.ts';
import { PeerQuotas } from './peer-quotas.ts';
import type { Ban } from './peers.ts';
import { PeerBook } from './peers.ts';
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
  readonly hasher: Hasher;
  /** Program and version, told in the handshake. */
  readonly agent?: string;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly metrics?: NetMetrics;
}

export interface PeerInfo {
  readonly peerId: PeerId;
  readonly address: string;
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

/** How often a connected peer's subscriptions are looked for, and how long it may take to send them. */
const WATCH_MS = 5_000;

const DIAL_TIMEOUT_MS = 5_000;

/** Dials of miners at once, and how many connections there may be before no more are made for the sake of clients. */
const MAX_MINER_DIALS = 8;
const MINER_DIAL_SHARE = 0.75;

/**
 * Requests and gossip, and as many work streams as one peer may hold. What waits unread in a stream is reset beyond 4 MiB,
 * which a sender that keeps to the window cannot reach.
 */
const MUXER = {
  maxInboundStreams: 128 + WORK.maxStreams / 2,
  maxOutboundStreams: 128 + WORK.maxStreams / 2,
  streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 },
};

type Services = { readonly gossip: GossipSub; readonly identify: Identify; readonly ping: Ping };
type HostLibp2p = Libp2p<Services>;

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
  /** Real time: a test that sets the clock ahead does not make the other side slow to answer. */
  readonly #links = new Links(systemClock);
  readonly #load = new ServerLoad();
  readonly #chains = new Map<string, ChainNet>();
  readonly #backlog: Backlog;
  readonly #work: WorkLoad;
  #minerDials = 0;
  /** Monotonic. */
  readonly #openedMs = new WeakMap<Connection, number>();
  #libp2p: HostLibp2p | null = null;
  #stopWatch: () => void = () => undefined;

  constructor(options: HostOptions, peerId: PeerId) {
    this.peerId = peerId;
    this.#options = options;
    this.#agent = options.agent ?? 'aitbc';
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? nopLogger;
    this.#metrics = options.metrics ?? createNetMetrics();
    const peers = parsePersistentPeers(options.persistentPeers ?? [], peerId);
    this.#persistent = new Set(peers.map(({ peer }) => peer));
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
      dial: ({ addresses }) => this.#dialAny(addresses.map((text) => parseAddress(text, 'CONFIG'))),
      connected: (peer) => this.#connections(peer).length > 0,
      banRemainingMs: (peer) => this.#book.banRemainingMs(peer),
      random: Math.random,
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
      this.#dialer.onDisconnect(detail.toString());
    });
    await libp2p.handle(HELLO_PROTOCOL, (stream, connection) => this.#hello.serve(stream, connection), {
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
    });
    try {
      await libp2p.start();
    } catch (error) {
      await libp2p.stop();
      throw listenError(error, listen);
    }
    this.#links.start();
    this.#stopWatch = every(this.#clock, WATCH_MS, () => {
      this.#watchGossip();
    });
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
      connection: (peer: PeerId) => this.#connections(peer)[0],
      hasher: this.#options.hasher,
      backlog: this.#backlog,
      flush: () => {
        this.#links.flush();
      },
      dial: (...asked: Parameters<MinerDial>) => this.#dialMiner(...asked),
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
      this.#load.chains = this.#chains.size;
      this.#greetAll();
    });
    this.#chains.set(chain.chainId, net);
    this.#load.chains = this.#chains.size;
    await net.start();
    this.#greetAll();
    this.#dialer.start();
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
    this.#requireNotBanned(peer);
    await this.#dialAny([target]);
    return peer;
  }

  #requireNotBanned(peer: PeerId): void {
    if (!this.#book.banned(peer)) return;
    throw new NodeError('PEER_BANNED', 'the peer is banned', {
      data: { peer, seconds: Math.ceil(this.#book.banRemainingMs(peer) / 1_000) },
    });
  }

  /** For a client: at most a few at once, and not the last places of the host. */
  async #dialMiner(...[peer, addresses, toldIn, signal]: Parameters<MinerDial>): Promise<void> {
    this.#requireNotBanned(peer);
    const targets = reachable(peer, addresses, toldIn);
    if (targets.length === 0) {
      throw new NodeError('UNREACHABLE', 'the miner gives no address that this node would dial', {
        data: { peer, addresses: addresses.join(', ') },
        hint: 'a miner announces an IP address that its clients can reach: p2p.announce of its config.toml',
      });
    }
    const { maxConnections } = { ...DEFAULT_LIMITS, ...this.#options.limits };
    const connections = this.#running().getConnections().length;
    if (this.#minerDials >= MAX_MINER_DIALS || connections >= maxConnections * MINER_DIAL_SHARE) {
      throw new NodeError('RATE_LIMITED', 'this node makes no further connections to miners now', {
        data: { connections, dials: this.#minerDials },
        hint: 'take a miner that is connected already, or ask another node',
      });
    }
    this.#minerDials++;
    try {
      await this.#dialAny(targets, signal);
    } finally {
      this.#minerDials--;
    }
  }

  async stop(): Promise<void> {
    const libp2p = this.#libp2p;
    if (!libp2p) return;
    this.#stopWatch();
    this.#links.stop();
    this.#dialer.stop();
    this.#hello.stop();
    this.#libp2p = null;
    // Resetting, not closing: an orderly end would wait for peers that no longer read.
    for (const connection of libp2p.getConnections()) connection.abort(new NodeError('UNREACHABLE', 'stopping'));
    for (const net of [...this.#chains.values()]) await net.close();
    await libp2p.stop();
  }

  #create(privateKey: Ed25519PrivateKey): Promise<HostLibp2p> {
    const { listen, announce = [] } = this.#options;
    const limits = { ...DEFAULT_LIMITS, ...this.#options.limits };
    const socket = { noDelay: true, keepAlive: true };
    return createLibp2p<Services>({
      start: false,
      privateKey,
      nodeInfo: { userAgent: this.#agent },
      addresses: { listen: [...listen], announce: [...announce] },
      transports: [tcp({ dialOpts: socket, listenOpts: socket })],
      connectionEncrypters: [joinedNoise()],
      streamMuxers: [this.#links.muxer(MUXER)],
      connectionGater: createGater({
        limits,
        book: this.#book,
        persistent: this.#persistent,
        connections: () => this.#libp2p?.getConnections() ?? [],
        clock: this.#clock,
        metrics: this.#metrics,
      }),
      connectionManager: {
        // The gater holds the caps: it knows loopback and the persistent peers.
        maxConnections: limits.maxConnections + this.#persistent.size + 8,
        inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
        maxIncomingPendingConnections: 64,
        dialTimeout: DIAL_TIMEOUT_MS,
        inboundUpgradeTimeout: 5_000,
      },
      connectionMonitor: { enabled: false },
      services: {
        identify: identify(),
        ping: ping(),
        gossip: createGossipService({
          score: (peer) => this.#book.gossipScore(peer),
          knowsTopic: (topic) => this.#libp2p?.services.gossip.topicValidators.has(topic) === true,
        }),
      },
    });
  }

  #running(): HostLibp2p {
    if (!this.#libp2p) throw new NodeError('UNREACHABLE', 'the network host is stopped');
    return this.#libp2p;
  }

  /** None for what is no peer id: others tell them too. */
  #connections(peer: PeerId): Connection[] {
    const id = peerIdOf(peer);
    if (!id) return [];
    return this.#libp2p?.getConnections(id).filter(({ status }) => status === 'open') ?? [];
  }

  async #dialAny(addresses: Multiaddr[], given?: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(DIAL_TIMEOUT_MS);
    try {
      await this.#running().dial(addresses, { signal: given ? AbortSignal.any([given, limit]) : limit });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NodeError('UNREACHABLE', `cannot connect to the peer: ${reason}`, {
        data: { addresses: addresses.join(', ') },
        hint: 'check that the other node runs, its address, its peer id and the firewall between',
        cause,
      });
    }
  }

  #onOpen(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    this.#openedMs.set(connection, this.#clock.monotonic());
    const open = this.#connections(peer);
    this.#metrics.connections.set(this.#libp2p?.getConnections().length ?? 0);
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
  }

  #onClose(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    this.#metrics.connections.set(this.#libp2p?.getConnections().length ?? 0);
    this.#log.debug('connection closed', { peer, direction: connection.direction });
    // Two hosts that dial each other at once hold two connections. When one goes, gossip may lose its stream for good
    // although the peer stays connected: it opens streams on new connections only.
    this.#closeAll(peer, 'another connection to the peer was lost');
  }

  #closeAll(peer: PeerId, reason: string): void {
    for (const connection of this.#connections(peer)) connection.abort(new NodeError('UNREACHABLE', reason));
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

  /** Gossip that fell silent while the connection lives is not noticed by anyone else: start afresh. */
  #watchGossip(): void {
    const nowMs = this.#clock.monotonic();
    for (const net of this.#chains.values()) {
      for (const peer of net.peers()) {
        const openedMs = Math.max(...this.#connections(peer).map((open) => this.#openedMs.get(open) ?? nowMs));
        if (nowMs - openedMs < 2 * WATCH_MS || net.hearsGossip(peer)) continue;
        this.#log.warn('no gossip subscriptions from a connected peer, reconnecting', {
          peer,
          chain: net.chain.chainId,
        });
        this.#closeAll(peer, 'no gossip subscriptions');
      }
    }
  }
}

/** In order if the peer goes along, else by reset. */
function closeSoon(connection: Connection): void {
  connection.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {
    connection.abort(new NodeError('UNREACHABLE', 'close timed out'));
  });
}

/** What kept the host from listening, in words of the operator. */
function listenError(error: unknown, listen: readonly string[]): NodeError {
  const reason = error instanceof Error ? error.message : String(error);
  const addresses = listen.join(', ');
  if (reason.includes('EADDRINUSE')) {
    return new NodeError('PORT_IN_USE', `cannot listen on ${addresses}: the port is in use`, {
      data: { addresses },
      hint: 'stop the other program, or choose another port with p2p.listen',
      cause: error,
    });
  }
  return new NodeError('CONFIG', `cannot listen on ${addresses}`, {
    data: { addresses, reason },
    hint: 'check the addresses of p2p.listen: this machine must own them',
    cause: error,
  });
}
