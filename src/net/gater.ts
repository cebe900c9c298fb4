/** Who may connect: bans, the caps on connections in all and by address, and the rate of new ones. */
import type { Connection, ConnectionGater, MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { TokenBucket } from '../../protocols/quotas.ts';
import type { PeerId } from '../../protocols/network.ts';
import type { Clock } from '../clock.ts';
import { isCircuit, lastPeerOf } from './addresses.ts';
import type { NetMetrics } from './metrics.ts';
import type { PeerBook } from './peers.ts';

export interface ConnectionLimits {
  /** In and out. Peers that the operator named are let in above it. */
  readonly maxConnections: number;
  /** Inbound, by remote IPv4 address or IPv6 network of 64 bits. Loopback is exempt: a local cluster lives there. */
  readonly maxPerIp: number;
  /** New inbound connections, by the same. Loopback is exempt. */
  readonly inboundPerSecond: number;
  /** Inbound through relays, of peers that the operator did not name. Their rate counts by relay, loopback or not. */
  readonly maxRelayed: number;
}

export const DEFAULT_LIMITS: ConnectionLimits = {
  maxConnections: 100,
  maxPerIp: 8,
  inboundPerSecond: 5,
  maxRelayed: 32,
};

/** Addresses whose rate is tracked. */
export const MAX_TRACKED_IPS = 1_024;

export interface GaterOptions {
  readonly limits: ConnectionLimits;
  readonly book: PeerBook;
  readonly persistent: ReadonlySet<PeerId>;
  readonly connections: () => readonly Pick<Connection, 'remoteAddr' | 'direction'>[];
  readonly clock: Clock;
  readonly metrics: NetMetrics;
}

export function createGater(
  options: GaterOptions,
): Required<Pick<ConnectionGater, 'denyDialPeer' | 'denyInboundConnection' | 'denyInboundEncryptedConnection'>> {
  const { limits, book, persistent, connections, clock, metrics } = options;
  const buckets = new Map<string, TokenBucket>();

  const refuse = (reason: string): true => {
    metrics.refusedConnections.inc({ reason });
    return true;
  };

  const withinRate = (ip: string): boolean => {
    const nowMs = clock.monotonic();
    let bucket = buckets.get(ip);
    if (bucket === undefined) {
      const rule = { capacity: 2 * limits.inboundPerSecond, refillPerSecond: limits.inboundPerSecond };
      bucket = new TokenBucket(rule, nowMs);
      const oldest = buckets.keys().next();
      if (buckets.size >= MAX_TRACKED_IPS && oldest.done !== true) buckets.delete(oldest.value);
    } else {
      buckets.delete(ip);
    }
    buckets.set(ip, bucket);
    return bucket.take(1, nowMs);
  };

  return {
    denyDialPeer: (peerId) => book.banned(peerId.toString()),

    denyInboundConnection: ({ remoteAddr }: MultiaddrConnection) => {
      const ip = ipOf(remoteAddr);
      if (isCircuit(remoteAddr)) {
        // Of whom the relay speaks: the handshake fails if it is somebody else.
        if (persistent.has(lastPeerOf(remoteAddr))) return false;
        if (!withinRate(`relay ${ip}`)) return refuse('rate');
        const relayed = connections().filter((open) => open.direction === 'inbound' && isCircuit(open.remoteAddr));
        return relayed.length >= limits.maxRelayed && refuse('relayed');
      }
      if (isLoopback(ip)) return false;
      const line = lineOf(remoteAddr);
      if (!withinRate(line)) return refuse('rate');
      const sameIp = connections().filter(
        (open) => open.direction === 'inbound' && !isCircuit(open.remoteAddr) && lineOf(open.remoteAddr) === line,
      );
      return sameIp.length >= limits.maxPerIp && refuse('per-ip');
    },

    denyInboundEncryptedConnection: (peerId) => {
      const peer = peerId.toString();
      if (book.banned(peer)) return refuse('banned');
      return connections().length >= limits.maxConnections && !persistent.has(peer) && refuse('full');
    },
  };
}

/** The host part of an address, '' when it has none. */
export function ipOf(address: Multiaddr): string {
  return address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')?.value ?? '';
}

/** Whose line it is: an IPv4 address, or the 64 bits of an IPv6 address that one line has, whatever it does with the rest. */
export function lineOf(address: Multiaddr): string {
  const ip = ipOf(address);
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}

export function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1' || ip.startsWith('::ffff:127.');
}
