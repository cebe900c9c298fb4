/** How gossipsub is set up, and how much waits in its streams. */
import { createHash } from 'node:crypto';
import type { GossipSub, GossipSubComponents, GossipsubOpts } from '@chainsafe/libp2p-gossipsub';
import { gossipsub, StrictNoSign } from '@chainsafe/libp2p-gossipsub';
import type { Connection } from '@libp2p/interface';
import type { PeerId } from '../../protocols/network.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';

const MIB = 1024 * 1024;

/**
 * Bytes that may wait for one peer. A stream that exceeds it is reset, and the peer's own watch over its subscriptions
 * closes the connection and starts afresh: a peer that cannot follow must not hold the others' memory.
 */
const MAX_WAITING_BYTES_PER_PEER = 16 * MIB;

/** Largest RPC: gossipsub loses larger ones without a word. Our largest message is below 1 MiB. */
const MAX_RPC_BYTES = 4 * MIB;

/** Subscriptions that one peer may hold: 16 chains of 6 topics, twice. */
const MAX_SUBSCRIPTIONS = 192;

/**
 * Milliseconds. A node that joins is grafted when its subscriptions arrive and every own message is flooded, so the
 * heartbeat only repairs; half a second keeps the repair of a lost message within one interval of a block.
 */
const HEARTBEAT_MS = 500;

/** Messages of which peers tell each other that they have them: smaller ones cost less than saying so. */
const IDONTWANT_BYTES = 32 * 1024;

export interface GossipServiceOptions {
  /** Points of a peer, BAN_SCORE to SCORE_CAP. */
  readonly score: (peer: PeerId) => number;
  readonly knowsTopic: (topic: string) => boolean;
  readonly firstHand: FirstHand;
  /** Peers that hear this one themselves. */
  readonly hearersOf: (peer: PeerId) => readonly PeerId[];
}

/** Messages that came from their author, by their bytes as gossipsub handed them over. */
export type FirstHand = WeakSet<Uint8Array>;

/** Of the library, private there: it has no other way to choose whom a message is relayed to. */
interface Forwarding {
  forwardMessage: (id: string, message: { data?: Uint8Array }, source: PeerId, except?: Set<PeerId>) => void;
}

export function createGossipService(options: GossipServiceOptions): (components: GossipSubComponents) => GossipSub {
  const create = gossipsub(gossipOptions(options));
  return (components) => {
    const service = create(components);
    spareHearers(service as unknown as Forwarding, options);
    return service;
  };
}

/** What an author sent is not relayed to those that it reaches itself. @throws NodeError INTERNAL of another library version */
function spareHearers(service: Forwarding, { firstHand, hearersOf }: GossipServiceOptions): void {
  if (typeof service.forwardMessage !== 'function') {
    throw new NodeError('INTERNAL', 'this version of gossipsub does not forward messages where it used to');
  }
  const forward = service.forwardMessage.bind(service);
  service.forwardMessage = (id, message, source, except) => {
    const isFirstHand = message.data !== undefined && firstHand.has(message.data);
    forward(id, message, source, isFirstHand ? new Set([...(except ?? []), ...hearersOf(source)]) : except);
  };
}

function gossipOptions({ score, knowsTopic }: GossipServiceOptions): Partial<GossipsubOpts> {
  return {
    // Payloads are signed themselves, and content ids let equal messages of several senders be one.
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: ({ topic, data }) => messageId(topic, data),
    msgIdToStrFn: (id) => Buffer.from(id).toString('base64'),

    // Own messages reach every subscriber in one hop, whatever the state of the mesh. Peers that the operator named are
    // in the mesh like others, not gossipsub's "direct" ones: those need both sides to name each other, or one prunes
    // the other for ever, and IDONTWANT goes to the mesh only. Measured on 4 hosts, 64 KiB messages: 1.1 copies for each
    // receiver and 3.8 ms of CPU in all, against 3.0 and 8.6 ms.
    floodPublish: true,
    D: 8,
    Dlo: 6,
    Dhi: 12,
    Dscore: 4,
    Dout: 2,
    Dlazy: 6,
    fallbackToFloodsub: false,
    emitSelf: false,
    doPX: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    batchPublish: true,
    idontwantMinDataSize: IDONTWANT_BYTES,
    heartbeatInterval: HEARTBEAT_MS,
    mcacheLength: 12,
    mcacheGossip: 6,
    seenTTL: 60_000,
    pruneBackoff: 10_000,
    unsubcribeBackoff: 1_000,

    // Messages are forwarded when their topic's validator, which may take its time, has accepted them.
    asyncValidation: false,
    awaitRpcHandler: false,
    awaitRpcMessageHandler: false,
    // A message of a topic that nobody here follows must not enter the caches.
    dataTransform: {
      inboundTransform: (topic, data) => {
        if (!knowsTopic(topic)) throw new NodeError('PEER_PROTOCOL', 'gossip of an unknown topic');
        return data;
      },
      outboundTransform: (_, data) => data,
    },

    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    maxOutboundBufferSize: MAX_WAITING_BYTES_PER_PEER,
    maxInboundDataLength: MAX_RPC_BYTES,
    maxTopicBytesPerPeer: 256 * 1024,
    decodeRpcLimits: {
      maxSubscriptions: MAX_SUBSCRIPTIONS,
      maxMessages: 5_000,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 1_024,
      maxPeerInfos: 16,
    },

    // One score for gossip and requests: the topics' own counters (P1 to P4) are off, rejected messages cost points in
    // the same book, and the thresholds lie between a few faults and the ban.
    scoreParams: {
      topics: {},
      appSpecificScore: score,
      appSpecificWeight: 1,
      // Sites share one address behind NAT; connections by address are capped where they are accepted.
      IPColocationFactorWeight: 0,
      behaviourPenaltyWeight: -1,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyDecay: 0.9,
      decayInterval: 1_000,
      decayToZero: 0.1,
      retainScore: 600_000,
    },
    scoreThresholds: {
      gossipThreshold: -40,
      publishThreshold: -60,
      graylistThreshold: -80,
      acceptPXThreshold: 1_000,
      opportunisticGraftThreshold: 0,
    },
  };
}

/** SHA-256 of topic and data, cut to 20 bytes as other gossip networks do. */
export function messageId(topic: string, data: Uint8Array): Uint8Array {
  return createHash('sha256').update(topic).update(data).digest().subarray(0, 20);
}

/** How long a measurement of the streams stands. */
const BACKLOG_AGE_MS = 10;

export interface Backlog {
  /** Bytes published that no transport has taken yet, over all peers. */
  bytes(): number;
  /** Counts what is being published before the next measurement. */
  add(bytes: number): void;
}

/** gossipsub has no backpressure: what a slow peer cannot take waits in its stream, and is to be seen there only. */
export function createBacklog(connections: () => readonly Connection[], clock: Clock): Backlog {
  let measured = 0;
  let atMs = -Infinity;
  return {
    bytes() {
      const nowMs = clock.monotonic();
      if (nowMs - atMs < BACKLOG_AGE_MS) return measured;
      atMs = nowMs;
      measured = 0;
      for (const connection of connections()) {
        for (const stream of connection.streams) {
          if (stream.protocol.startsWith('/meshsub/')) measured += stream.writeBufferLength;
        }
      }
      return measured;
    },
    add(bytes) {
      measured += bytes;
    },
  };
}
