/** How the libp2p node is put together. */
import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import type { Identify } from '@libp2p/identify';
import { identify, identifyPush } from '@libp2p/identify';
import type { Connection, ConnectionGater, Ed25519PrivateKey, Libp2p, Metrics } from '@libp2p/interface';
import type { Ping } from '@libp2p/ping';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import type { YamuxMuxerInit } from '@libp2p/yamux';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { PeerId } from '../../protocols/network.ts';
import { WORK } from '../../protocols/registry.ts';
import type { Hasher, LinkCrypto } from '../chain/crypto/types.ts';
import { NodeError } from '../errors.ts';
import { fenced } from './fence.ts';
import type { GossipServiceOptions } from './gossip-service.ts';
import { createGossipService } from './gossip-service.ts';
import type { Links } from './links.ts';
import { createNoise } from './noise.ts';
import { relayTransport } from './relay/transport.ts';

/**
 * Requests and gossip, and as many work streams as one peer may hold. What waits unread in a stream is reset beyond 4 MiB,
 * which a sender that keeps to the window cannot reach.
 */
export const MAX_STREAMS = 128 + WORK.maxStreams / 2;
const MUXER: YamuxMuxerInit = {
  maxInboundStreams: MAX_STREAMS,
  maxOutboundStreams: MAX_STREAMS,
  streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 },
};

export type HostLibp2p = Libp2p<{
  readonly gossip: GossipSub;
  readonly identify: Identify;
  readonly identifyPush: unknown;
  readonly ping: Ping;
}>;

export interface Libp2pOptions {
  readonly privateKey: Ed25519PrivateKey;
  /** Program and version. */
  readonly agent: string;
  /** Multiaddrs. */
  readonly listen: readonly string[];
  /** What others are told, of the addresses that the node finds for itself. */
  readonly announced: (found: Multiaddr[]) => Multiaddr[];
  readonly links: Links;
  readonly hasher: Hasher;
  readonly linkCrypto: LinkCrypto | undefined;
  readonly metrics: Metrics;
  readonly gater: ConnectionGater;
  /** The library's own, above which it closes connections by itself: the gater holds ours, which knows named peers. */
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  /** Whether a peer may tell of new addresses once more. */
  readonly admitsPush: (peer: PeerId) => boolean;
  readonly takesFromRelay: (relay: PeerId) => boolean;
  readonly gossip: GossipServiceOptions;
}

export function createNode(options: Libp2pOptions): Promise<HostLibp2p> {
  const { privateKey, agent, listen, announced, gater, dialTimeoutMs } = options;
  const socket = { noDelay: true, keepAlive: true };
  return createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { userAgent: agent },
    addresses: { listen: [...listen], announceFilter: announced },
    transports: [tcp({ dialOpts: socket, listenOpts: socket }), relayTransport(options.takesFromRelay)],
    connectionEncrypters: [createNoise(options.hasher, options.linkCrypto)],
    streamMuxers: [options.links.muxer(MUXER)],
    metrics: () => options.metrics,
    connectionGater: gater,
    connectionManager: {
      maxConnections: options.maxConnections,
      inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
      maxIncomingPendingConnections: 64,
      dialTimeout: dialTimeoutMs,
      inboundUpgradeTimeout: 5_000,
    },
    // The links ping by themselves, and cost less.
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      identifyPush: (components: Parameters<ReturnType<typeof identifyPush>>[0]) =>
        identifyPush()(fenced(components, (_, { remotePeer }) => options.admitsPush(remotePeer.toString()))),
      ping: ping(),
      gossip: createGossipService(options.gossip),
    },
  });
}

/** In order if the peer goes along, else by reset. */
export function closeSoon(connection: Connection): void {
  connection.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {
    connection.abort(new NodeError('UNREACHABLE', 'close timed out'));
  });
}

/** What kept the host from listening, in words of the operator. */
export function listenError(error: unknown, listen: readonly string[]): NodeError {
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
