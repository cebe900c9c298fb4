/**
 * Every request method and gossip topic of a chain with its caps, timeout and quota. Nothing else decides these figures,
 * and README.md lists them all.
 */
import { MAX_BLOCK_TXS } from '../src/chain/block.ts';
import { MAX_BLOCK_BYTES } from '../src/chain/block.ts';
import { LEAF_BYTES } from '../src/chain/market/blob.ts';
import { MAX_OFFER_BYTES } from '../src/chain/market/offer.ts';
import { MAX_QUOTE_BYTES, MAX_QUOTE_REQUEST_BYTES } from '../src/chain/market/quote.ts';
import { MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES } from '../src/chain/state-chunks.ts';
import { ANSWER_BYTES, MAX_BATCH_BYTES, MAX_JOIN_ANSWER_BYTES, MAX_TX_IDS } from './codec.ts';
import { MAX_WORK_RECORD_BYTES } from './market/work-channel.ts';
import { LEASE_MS, PING_MS } from './market/work-frames.ts';
import type { Method, Methods, Topic } from './messages.ts';
import type { QuotaRule } from './quotas.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface MethodRule<M extends Method> {
  readonly name: M;
  /** Of the encoded message, without the frame. */
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  /** From the request's first byte to the answer's last. */
  readonly timeoutMs: number;
  /** Requests of one peer that may be open at once, on each side. */
  readonly maxInFlight: number;
  /** By asking peer. */
  readonly quota: QuotaRule;
  readonly cost: (request: Methods[M]['request']) => number;
}

export interface TopicRule {
  readonly name: Topic;
  readonly maxBytes: number;
  /** Messages of a topic whose check is not finished; more are ignored. */
  readonly maxInFlight: number;
  /** By the peer that sent or relayed the message; above it messages are ignored. */
  readonly quota: QuotaRule;
  readonly cost: (bytes: number) => number;
}

const one = (): number => 1;

export const METHODS: { readonly [M in Method]: MethodRule<M> } = {
  status: {
    name: 'status',
    maxRequestBytes: 16 * KIB,
    maxResponseBytes: 16 * KIB,
    timeoutMs: 3_000,
    maxInFlight: 4,
    quota: {
      capacity: 16,
      refillPerSecond: 2,
      unit: 'requests',
      reason: 'asked on connect, at a new head when behind, and every few seconds otherwise: twice a second is ample',
    },
    cost: one,
  },
  blocks: {
    name: 'blocks',
    maxRequestBytes: 64,
    // A block of the largest size exceeds what several blocks may fill together, and must still be served.
    maxResponseBytes: Math.max(ANSWER_BYTES, MAX_BLOCK_BYTES + MAX_BLOCK_TXS * 4) + 64 * KIB,
    timeoutMs: 8_000,
    maxInFlight: 4,
    quota: {
      capacity: 8_192,
      refillPerSecond: 4_096,
      unit: 'blocks',
      reason: 'catching up runs at 1,000 blocks/s and more, and one honest peer must be enough: four times that',
    },
    cost: (request) => request.count,
  },
  txs: {
    name: 'txs',
    maxRequestBytes: 2 + MAX_TX_IDS * 32,
    maxResponseBytes: ANSWER_BYTES + 32 * KIB,
    timeoutMs: 2_000,
    maxInFlight: 16,
    quota: {
      capacity: 2 * MAX_BLOCK_TXS,
      refillPerSecond: MAX_BLOCK_TXS,
      unit: 'transactions',
      reason: 'a proposal names up to 20,000, all of which may be missing: two such at once, one a second',
    },
    cost: (request) => request.ids.length,
  },
  votes: {
    name: 'votes',
    maxRequestBytes: 64,
    maxResponseBytes: ANSWER_BYTES + 128 * KIB,
    timeoutMs: 2_000,
    maxInFlight: 4,
    quota: {
      capacity: 32,
      refillPerSecond: 8,
      unit: 'requests',
      reason: 'a validator without progress asks every 500 ms, and a restarted one asks each peer at once',
    },
    cost: one,
  },
  light: {
    name: 'light',
    maxRequestBytes: 64,
    // A header, a certificate of 128 signatures and two sets of 128 validators.
    maxResponseBytes: 40 * KIB,
    timeoutMs: 3_000,
    maxInFlight: 4,
    quota: {
      capacity: 512,
      refillPerSecond: 8,
      unit: 'requests',
      reason: 'a node that joins walks up to 256 steps from what it trusts to a snapshot, and may have to try twice',
    },
    cost: one,
  },
  snapshot: {
    name: 'snapshot',
    maxRequestBytes: 64,
    maxResponseBytes: MAX_MANIFEST_BYTES,
    timeoutMs: 8_000,
    maxInFlight: 2,
    quota: {
      capacity: 16,
      refillPerSecond: 1,
      unit: 'requests',
      reason: 'few snapshots are kept, and asked for when a node joins',
    },
    cost: one,
  },
  chunk: {
    name: 'chunk',
    maxRequestBytes: 64,
    maxResponseBytes: MAX_CHUNK_BYTES,
    timeoutMs: 8_000,
    maxInFlight: 4,
    quota: {
      capacity: 512,
      refillPerSecond: 256,
      unit: 'chunks',
      reason: 'some 200 KiB each: what one asker may draw in bytes, and twice as many small ones',
    },
    cost: one,
  },
  quote: {
    name: 'quote',
    maxRequestBytes: MAX_QUOTE_REQUEST_BYTES,
    maxResponseBytes: MAX_QUOTE_BYTES,
    timeoutMs: 3_000,
    maxInFlight: 64,
    quota: {
      capacity: 1_024,
      refillPerSecond: 256,
      unit: 'quotes',
      reason: 'one for each job that a coordinator considers a miner for, and a node relays those of its clients',
    },
    cost: one,
  },
  blob: {
    name: 'blob',
    maxRequestBytes: 64,
    maxResponseBytes: LEAF_BYTES,
    timeoutMs: 30_000,
    maxInFlight: 8,
    quota: {
      capacity: 512,
      refillPerSecond: 128,
      unit: 'parts',
      reason: 'of 256 KiB: the two largest inputs at once, then what one asker may draw in bytes',
    },
    cost: one,
  },
  join: {
    name: 'join',
    maxRequestBytes: 0,
    maxResponseBytes: MAX_JOIN_ANSWER_BYTES,
    timeoutMs: 8_000,
    maxInFlight: 1,
    quota: {
      capacity: 4,
      refillPerSecond: 1,
      unit: 'requests',
      reason: 'asked once, by who knows chain and genesis hash and nothing else of the network',
    },
    cost: one,
  },
};

/** Charged after each answer, over all methods: what one peer may pull from us. In debt, its requests are refused. */
export const ANSWER_QUOTA: QuotaRule = {
  capacity: 64 * MIB,
  refillPerSecond: 32 * MIB,
  unit: 'bytes',
  reason: 'catching up over full blocks of 2 MiB at 16 blocks/s; above that one peer would crowd out the others',
};

/** Refusals forgiven: a peer that goes on asking after it was told no is reported. */
export const REFUSAL_QUOTA: QuotaRule = {
  capacity: 16,
  refillPerSecond: 1,
  unit: 'refusals',
  reason: 'pipelined requests are refused together, before the asker can know',
};

export const HELLO_QUOTA: QuotaRule = {
  capacity: 32,
  refillPerSecond: 1,
  unit: 'handshakes',
  reason: 'one or two a connection and one for each chain that a host adds or drops; a peer that restarts in a loop',
};

export const RECORDS_QUOTA: QuotaRule = {
  capacity: 64,
  refillPerSecond: 4,
  unit: 'requests',
  reason: 'one for each named peer that does not answer, at every dial of it, every 2.5 s at most',
};

export const NEIGHBOURS_QUOTA: QuotaRule = {
  capacity: 64,
  refillPerSecond: 2,
  unit: 'messages',
  reason: 'one for each peer that comes or goes, those of half a second together where they come',
};

export const ADDRESSES_QUOTA: QuotaRule = {
  capacity: 16,
  refillPerSecond: 0.2,
  unit: 'messages',
  reason: 'identify push: one for each chain and each relay that a host adds or loses',
};

export const RECORDS_TIMEOUT_MS = 3_000;
export const NEIGHBOURS_TIMEOUT_MS = 3_000;

/** Both ways of the handshake. A connection without one after this time is closed. */
export const HELLO_TIMEOUT_MS = 5_000;

export const TOPICS: { readonly [T in Topic]: TopicRule } = {
  tx: {
    name: 'tx',
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: 256,
    quota: {
      capacity: 16 * MIB,
      refillPerSecond: 4 * MIB,
      unit: 'bytes',
      reason: 'a peer may relay what the whole network sends: 20,000 transfers/s of 200 bytes',
    },
    cost: (bytes) => bytes,
  },
  proposal: {
    name: 'proposal',
    // 20,000 ids of 32 bytes, two certificates of 128 signatures, 16 pieces of evidence.
    maxBytes: 704 * KIB,
    maxInFlight: 16,
    quota: {
      capacity: 64,
      refillPerSecond: 16,
      unit: 'messages',
      reason: 'two rounds a second, each rebroadcast by every holder twice a second in the worst case',
    },
    cost: one,
  },
  vote: {
    name: 'vote',
    maxBytes: 76 * KIB,
    maxInFlight: 1_024,
    quota: {
      capacity: 4_096,
      refillPerSecond: 1_024,
      unit: 'messages',
      reason: '128 validators, two votes each, two rounds a second = 512/s, twice that for rebroadcasts',
    },
    cost: one,
  },
  evidence: {
    name: 'evidence',
    maxBytes: KIB,
    maxInFlight: 16,
    quota: {
      capacity: 32,
      refillPerSecond: 2,
      unit: 'messages',
      reason: 'one key offends once; 16 pieces fill a block',
    },
    cost: one,
  },
  status: {
    name: 'status',
    maxBytes: 256,
    maxInFlight: 256,
    quota: {
      capacity: 1_024,
      refillPerSecond: 512,
      unit: 'messages',
      reason: '128 validators, one every 5 s and one at every head, two heads a second',
    },
    cost: one,
  },
  offer: {
    name: 'offer',
    maxBytes: MAX_OFFER_BYTES,
    maxInFlight: 256,
    quota: {
      capacity: 1_024,
      refillPerSecond: 256,
      unit: 'messages',
      reason: '1,024 miners, each with a new one every 4 s at its busiest, all relayed by one peer',
    },
    cost: one,
  },
};

/** Work streams: long-lived, each for one attempt after the other. */
export const WORK = {
  maxRecordBytes: MAX_WORK_RECORD_BYTES,
  /**
   * Open at once over all peers and chains of a host, each direction for itself. One peer may hold as many as are left
   * over, so that one alone gets half, and there is always room for another one.
   */
  maxStreams: 2_048,
  /** Read ahead on one stream; what comes beyond stays with its sender. At least one frame. */
  readAheadBytes: 128 * KIB,
  /** Over all streams, also what waits to be sent: beyond, those of the peer that holds most are reset. */
  maxHeldBytes: 64 * MIB,
  openMs: 5_000,
  pingMs: PING_MS,
  leaseMs: LEASE_MS,
  /** One that takes nothing for so long is reset. */
  stallMs: 30_000,
  /** By the peer that opens them. */
  quota: {
    capacity: 1_024,
    refillPerSecond: 64,
    unit: 'streams',
    reason: 'streams are kept for further attempts: a coordinator that starts opens what it needs, later ones are few',
  } satisfies QuotaRule,
} as const;
