/** Finds ways to peers: the given addresses, those that they signed since, and relays, in this order. */
import type { Connection, PeerStore } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import type { AddressScope, PeerId } from '../../protocols/network.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { nearer, reachable, scopeOf } from './address-scope.ts';
import { isCircuit, parseAddress, peerIdOf } from './addresses.ts';
import type { MinerDial } from './chain-net.ts';
import type { PersistentPeer } from './dialer.ts';
import type { PeerBook } from './peers.ts';
import type { RecordsService } from './records-service.ts';
import { HOP_PROTOCOL } from './relay/messages.ts';

/** Of one address or of several together. */
export const DIAL_TIMEOUT_MS = 5_000;
/** Of direct addresses, where there is a way through a relay besides: a dead route says nothing. */
const DIRECT_TIMEOUT_MS = 3_000;
/** Addresses taken from the records of a peer, relays tried, and peers asked for records, at one dial. */
const MAX_LEARNED = 8;
const MAX_RELAYS = 3;
const MAX_ASKED = 3;

/** At once. */
const MAX_MINER_DIALS = 8;
/** How many connections there may be before no more are made for clients and to peers nearby. */
const UNNAMED_SHARE = 0.75;

export interface OutreachOptions {
  /** @throws what the library throws */
  readonly dial: (
    addresses: Multiaddr[],
    options: { readonly signal: AbortSignal; readonly force?: boolean },
  ) => Promise<unknown>;
  readonly peerStore: () => PeerStore;
  /** Open ones. */
  readonly connections: () => readonly Connection[];
  readonly isNamed: (peer: PeerId) => boolean;
  readonly book: PeerBook;
  readonly records: RecordsService;
  readonly maxConnections: number;
}

export class Outreach {
  readonly #options: OutreachOptions;
  #minerDials = 0;

  constructor(options: OutreachOptions) {
    this.#options = options;
  }

  /** @throws NodeError UNREACHABLE */
  async dialNamed({ peer, addresses }: PersistentPeer): Promise<void> {
    const given = addresses.map((text) => parseAddress(text, 'CONFIG'));
    const hasRelay = given.some(isCircuit) || this.#relayConnections(peer).length > 0;
    const limitMs = hasRelay ? DIRECT_TIMEOUT_MS : DIAL_TIMEOUT_MS;
    const direct = union(given, await this.#learned(peer)).filter((address) => !isCircuit(address));
    let failure: NodeError | null = null;
    const tried = async (targets: Multiaddr[], timeoutMs: number): Promise<boolean> => {
      if (targets.length === 0) return false;
      try {
        await this.#dial(targets, timeoutMs);
        return true;
      } catch (error) {
        failure ??= toNodeError(error);
        return false;
      }
    };
    if (await tried(direct, limitMs)) return;
    await this.#ask(peer);
    const learned = await this.#learned(peer);
    const further = union([], learned).filter((address) => !isCircuit(address) && !includes(direct, address));
    if (await tried(further, limitMs)) return;
    const circuits = union([...given, ...learned].filter(isCircuit), await this.#circuitsTo(peer));
    if (await tried(circuits, DIAL_TIMEOUT_MS)) return;
    throw failure ?? noWay(peer);
  }

  /** Tries those directly that are connected through a relay: one that answers by now is let go, and dialled anew. */
  preferDirect(peers: readonly PersistentPeer[]): void {
    for (const named of peers) {
      const open = this.#options.connections().filter(({ remotePeer }) => remotePeer.toString() === named.peer);
      if (open.length > 0 && open.every(({ remoteAddr }) => isCircuit(remoteAddr))) void this.#tryDirect(named);
    }
  }

  /** Of what anyone on the local network claims, what is there. @throws NodeError UNREACHABLE | PEER_BANNED */
  async dialNear(peer: PeerId, addresses: readonly string[]): Promise<void> {
    this.#options.book.requireNotBanned(peer);
    const targets = reachable(peer, addresses, 'private').filter((address) => scopeOf(address) === 'private');
    if (targets.length === 0 || this.#isCrowded()) throw noWay(peer);
    await this.#dial(targets, DIRECT_TIMEOUT_MS);
  }

  /** Never throws. */
  async #tryDirect({ peer, addresses }: PersistentPeer): Promise<void> {
    const given = addresses.map((text) => parseAddress(text, 'CONFIG'));
    const direct = union(given, await this.#learned(peer)).filter((address) => !isCircuit(address));
    if (direct.length === 0) return;
    const signal = AbortSignal.timeout(DIRECT_TIMEOUT_MS);
    await this.#options.dial(direct, { signal, force: true }).catch(() => undefined);
  }

  /** @throws NodeError UNREACHABLE */
  dialAddress(address: Multiaddr): Promise<void> {
    return this.#dial([address], DIAL_TIMEOUT_MS);
  }

  /** For a client: at most a few at once, and not the last places of the host. */
  async dialMiner(...[peer, addresses, toldIn, signal]: Parameters<MinerDial>): Promise<void> {
    this.#options.book.requireNotBanned(peer);
    const targets = reachable(peer, addresses, toldIn);
    if (targets.length === 0) {
      throw new NodeError('UNREACHABLE', 'the miner gives no address that this node would dial', {
        data: { peer, addresses: addresses.join(', ') },
        hint: 'a miner announces an IP address that its clients can reach: p2p.announce of its config.toml',
      });
    }
    const connections = this.#options.connections().length;
    if (this.#minerDials >= MAX_MINER_DIALS || this.#isCrowded()) {
      throw new NodeError('RATE_LIMITED', 'this node makes no further connections to miners now', {
        data: { connections, dials: this.#minerDials },
        hint: 'take a miner that is connected already, or ask another node',
      });
    }
    this.#minerDials++;
    try {
      const circuits = targets.filter(isCircuit);
      const direct = targets.filter((address) => !isCircuit(address));
      if (circuits.length === 0 || direct.length === 0) await this.#dial(targets, DIAL_TIMEOUT_MS, signal);
      else
        await this.#dial(direct, DIRECT_TIMEOUT_MS, signal).catch(() => this.#dial(circuits, DIAL_TIMEOUT_MS, signal));
    } finally {
      this.#minerDials--;
    }
  }

  /** @throws NodeError UNREACHABLE */
  async #dial(addresses: Multiaddr[], timeoutMs: number, given?: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = given ? AbortSignal.any([given, limit]) : limit;
    // The library aborts a connection to the same address as another one. Through a relay both directions have the same:
    // of two peers that dial each other at once each would abort what the other keeps.
    const force = addresses.some(isCircuit);
    if (force && addresses.some((address) => this.#isConnected(address))) return;
    try {
      await this.#options.dial(addresses, { signal, force });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NodeError('UNREACHABLE', `cannot connect to the peer: ${reason}`, {
        data: { addresses: addresses.join(', ') },
        hint: 'check that the other node runs, its address, its peer id and the firewall between',
        cause,
      });
    }
  }

  #isConnected(address: Multiaddr): boolean {
    const text = address.toString();
    return this.#options.connections().some(({ remotePeer }) => text.endsWith(`/p2p/${remotePeer.toString()}`));
  }

  #isCrowded(): boolean {
    const { connections, maxConnections } = this.#options;
    return connections().length >= maxConnections * UNNAMED_SHARE;
  }

  /** What the peer signed of itself, as far as it may be dialled from here. */
  async #learned(peer: PeerId): Promise<Multiaddr[]> {
    const id = peerIdOf(peer);
    if (!id) return [];
    try {
      const { addresses } = await this.#options.peerStore().get(id);
      const texts = addresses.flatMap(({ multiaddr: address, isCertified }) => (isCertified ? [String(address)] : []));
      const named = texts.filter((text) => /^\/dns[46]?\/[^/]+\/tcp\/\d+$/.test(text));
      const whole = named.map((text) => multiaddr(`${text}/p2p/${peer}`));
      return [...whole, ...reachable(peer, texts, this.#scope())].slice(0, MAX_LEARNED);
    } catch {
      return [];
    }
  }

  /** How near this node's surroundings are: addresses that are nearer than any named peer lead elsewhere. */
  #scope(): AddressScope {
    const { connections, isNamed } = this.#options;
    const named = connections().filter(({ remotePeer }) => isNamed(remotePeer.toString()));
    return named.map(({ remoteAddr }) => scopeOf(remoteAddr) ?? 'public').reduce(nearer, 'public');
  }

  async #ask(peer: PeerId): Promise<void> {
    const { connections, isNamed, records } = this.#options;
    const others = connections().filter(({ limits }) => limits === undefined);
    const known = others.filter(({ remotePeer }) => isNamed(remotePeer.toString()));
    const asked = [...new Set([...known, ...others])].slice(0, MAX_ASKED);
    await Promise.all(asked.map((connection) => records.learn(connection, peer)));
  }

  /** Through named peers that relay: whether they have a slot of the peer, they say at once. */
  async #circuitsTo(peer: PeerId): Promise<Multiaddr[]> {
    const circuits: Multiaddr[] = [];
    for (const { remotePeer, remoteAddr } of this.#relayConnections(peer)) {
      const { protocols } = await this.#options
        .peerStore()
        .get(remotePeer)
        .catch(() => ({ protocols: [] as string[] }));
      if (!protocols.includes(HOP_PROTOCOL)) continue;
      circuits.push(multiaddr(`${remoteAddr.toString()}/p2p-circuit/p2p/${peer}`));
      if (circuits.length === MAX_RELAYS) break;
    }
    return circuits;
  }

  #relayConnections(peer: PeerId): Connection[] {
    const { connections, isNamed } = this.#options;
    return connections().filter(({ remotePeer, remoteAddr }) => {
      const other = remotePeer.toString();
      return other !== peer && isNamed(other) && !isCircuit(remoteAddr);
    });
  }
}

function noWay(peer: PeerId): NodeError {
  return new NodeError('UNREACHABLE', 'no address of the peer is known', { data: { peer } });
}

function union(some: readonly Multiaddr[], others: readonly Multiaddr[]): Multiaddr[] {
  const all = [...some];
  for (const address of others) if (!includes(all, address)) all.push(address);
  return all;
}

function includes(addresses: readonly Multiaddr[], wanted: Multiaddr): boolean {
  return addresses.some((address) => address.equals(wanted));
}
