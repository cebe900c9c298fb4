/**
 * The relay: keeps slots for peers that cannot be reached, and joins others to them (circuit relay v2, the side of the
 * relay). Between two known peers, named by the operator or vouched for by a validator's signature, nothing is limited
 * but number; wherever a stranger takes part, time and bytes are too. The limits are by pair and streams are paced by
 * their slower side, neither of which the library's server does.
 */
import type { Connection, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface';
import type { PeerId } from '../../../protocols/network.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { isCircuit, peerIdOfMultihash } from '../addresses.ts';
import { deadline } from '../deadline.ts';
import { ipOf, isLoopback, lineOf } from '../gater.ts';
import type { NetMetrics } from '../metrics.ts';
import type { PeerQuotas } from '../peer-quotas.ts';
import { joinStreams } from './circuit.ts';
import type { RelayLimits, RelayService } from './limits.ts';
import {
  HOP_QUOTA,
  HOP_TIMEOUT_MS,
  MAX_KNOWN_CIRCUITS,
  MAX_KNOWN_CIRCUITS_PER_PAIR,
  MAX_KNOWN_SLOTS,
  SLOT_S,
  STRANGERS_HOP_QUOTA,
} from './limits.ts';
import type { HopMessage, RelayLimit, RelayStatus } from './messages.ts';
import {
  decodeHop,
  decodeStopStatus,
  encodeHopStatus,
  encodeStopConnect,
  HOP_TYPE,
  RELAY_STATUS,
  relayMessages,
  STOP_PROTOCOL,
} from './messages.ts';

export interface RelayServerOptions {
  readonly service: Exclude<RelayService, 'off'>;
  readonly limits: RelayLimits;
  /** Named by the operator, or a validator of a chain here. */
  readonly isKnown: (peer: PeerId) => boolean;
  /** Multiaddrs of this host, relayed ones not among them. */
  readonly addresses: () => readonly Uint8Array[];
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
}

interface Slot {
  readonly connection: Connection;
  readonly untilMs: number;
}

interface Circuit {
  readonly source: PeerId;
  readonly destination: PeerId;
  readonly isLimited: boolean;
  end: (reason: string) => void;
}

export class RelayServer {
  readonly #options: RelayServerOptions;
  readonly #slots = new Map<PeerId, Slot>();
  readonly #circuits = new Set<Circuit>();

  constructor(options: RelayServerOptions) {
    this.#options = options;
  }

  /** Handler of HOP_PROTOCOL. Never throws. */
  async serve(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString();
    const { clock, quotas, log } = this.#options;
    const limit = deadline(clock, HOP_TIMEOUT_MS);
    const messages = relayMessages(stream);
    try {
      const quota = this.#options.isKnown(peer) ? HOP_QUOTA : STRANGERS_HOP_QUOTA;
      if (!quotas.take(peer, `relay ${quota.capacity}`, quota, 1)) {
        stream.abort(new Error('too many requests to the relay'));
        return;
      }
      const request = decodeHop(await messages.read(limit.signal));
      const refused = await this.#answer(request, connection, messages, limit.signal);
      if (refused === null) return;
      await messages.write(encodeHopStatus(refused), limit.signal);
      await stream.close({ signal: limit.signal });
    } catch (error) {
      log.debug('request to the relay failed', { peer, error });
      stream.abort(error instanceof Error ? error : new Error('failed'));
    } finally {
      limit.clear();
    }
  }

  /** A peer's connection is gone: so is the slot asked for over it. */
  onClose(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (this.#slots.get(peer)?.connection !== connection) return;
    this.#slots.delete(peer);
    this.#count();
  }

  stop(): void {
    this.#slots.clear();
    for (const circuit of [...this.#circuits]) circuit.end('the relay stops');
  }

  /** @returns what to answer when it is refused; null when it was answered */
  async #answer(
    request: HopMessage,
    connection: Connection,
    messages: ReturnType<typeof relayMessages>,
    signal: AbortSignal,
  ): Promise<RelayStatus | null> {
    if (isCircuit(connection.remoteAddr)) return RELAY_STATUS.permissionDenied;
    if (request.type === HOP_TYPE.reserve) {
      const status = this.#reserve(connection);
      if (status !== RELAY_STATUS.ok) return status;
      const expireS = Math.floor(this.#options.clock.now() / 1_000) + SLOT_S;
      const reservation = { expireS, addresses: this.#options.addresses() };
      // A slot's own limit is that of strangers; whom it does not hold for learns so when it connects.
      const limit = this.#limitOf(connection.remotePeer.toString(), connection.remotePeer.toString());
      await messages.write(encodeHopStatus(status, { reservation, limit }), signal);
      await messages.unwrap().close({ signal });
      return null;
    }
    if (request.type === HOP_TYPE.connect) return this.#connect(request, connection, messages, signal);
    return RELAY_STATUS.unexpectedMessage;
  }

  #reserve(connection: Connection): RelayStatus {
    const { isKnown, service, limits, clock } = this.#options;
    const peer = connection.remotePeer.toString();
    this.#forgetExpired();
    if (!this.#slots.has(peer)) {
      const others = [...this.#slots].filter(([other]) => isKnown(other) === isKnown(peer));
      if (isKnown(peer)) {
        if (others.length >= MAX_KNOWN_SLOTS) return RELAY_STATUS.reservationRefused;
      } else {
        if (service !== 'open') return RELAY_STATUS.permissionDenied;
        const line = lineOf(connection.remoteAddr);
        const sameIp = others.filter(([, slot]) => lineOf(slot.connection.remoteAddr) === line).length;
        const crowded = !isLoopback(ipOf(connection.remoteAddr)) && sameIp >= limits.maxStrangersPerIp;
        if (others.length >= limits.maxStrangers || crowded) return RELAY_STATUS.reservationRefused;
      }
    }
    this.#slots.set(peer, { connection, untilMs: clock.monotonic() + SLOT_S * 1_000 });
    this.#count();
    return RELAY_STATUS.ok;
  }

  async #connect(
    { peer: multihash }: HopMessage,
    connection: Connection,
    messages: ReturnType<typeof relayMessages>,
    signal: AbortSignal,
  ): Promise<RelayStatus | null> {
    const source = connection.remotePeer;
    const target = multihash && peerIdOfMultihash(multihash);
    if (!target) return RELAY_STATUS.malformedMessage;
    const destination = target.toString();
    this.#forgetExpired();
    const slot = this.#slots.get(destination);
    if (!slot || slot.connection.status !== 'open' || target.equals(source)) return RELAY_STATUS.noReservation;
    const limit = this.#limitOf(source.toString(), destination);
    if (limit && this.#options.service !== 'open') return RELAY_STATUS.permissionDenied;
    if (!this.#hasRoom(source.toString(), destination, limit !== null)) return RELAY_STATUS.resourceLimitExceeded;
    const circuit: Circuit = {
      source: source.toString(),
      destination,
      isLimited: limit !== null,
      end: () => undefined,
    };
    this.#circuits.add(circuit);
    this.#count();
    let far: Stream | null = null;
    let isJoined = false;
    try {
      far = await this.#stop(slot.connection, source, limit, signal);
      if (!far) return RELAY_STATUS.connectionFailed;
      await messages.write(encodeHopStatus(RELAY_STATUS.ok, { limit }), signal);
      isJoined = true;
      this.#join(circuit, messages.unwrap(), far, limit);
      return null;
    } catch (error) {
      far?.abort(new Error('the peer that connects is gone'));
      throw error;
    } finally {
      if (!isJoined) this.#drop(circuit);
    }
  }

  #join(circuit: Circuit, near: Stream, far: Stream, limit: RelayLimit | null): void {
    const { clock, metrics, log } = this.#options;
    const { source, destination, isLimited } = circuit;
    log.debug('relaying a connection', { source, destination, isLimited });
    circuit.end = joinStreams(near, far, {
      ...{ limit, clock },
      onBytes: (bytes) => {
        metrics.relayedBytes.inc({ kind: isLimited ? 'limited' : 'known' }, bytes);
      },
      onEnd: () => {
        this.#drop(circuit);
      },
    });
  }

  /** Asks the one with the slot. @returns null when it does not want to */
  async #stop(
    connection: Connection,
    source: Libp2pPeerId,
    limit: RelayLimit | null,
    signal: AbortSignal,
  ): Promise<Stream | null> {
    const stream = await connection.newStream(STOP_PROTOCOL, { signal, maxOutboundStreams: MAX_KNOWN_CIRCUITS });
    try {
      const messages = relayMessages(stream);
      await messages.write(encodeStopConnect(source.toMultihash().bytes, limit), signal);
      if (decodeStopStatus(await messages.read(signal)) === RELAY_STATUS.ok) return messages.unwrap();
      await stream.close({ signal });
      return null;
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('failed'));
      throw error;
    }
  }

  #limitOf(source: PeerId, destination: PeerId): RelayLimit | null {
    const { isKnown, limits } = this.#options;
    return isKnown(source) && isKnown(destination) ? null : limits.strangerCircuit;
  }

  #hasRoom(source: PeerId, destination: PeerId, isLimited: boolean): boolean {
    const { limits } = this.#options;
    const alike = [...this.#circuits].filter((circuit) => circuit.isLimited === isLimited);
    if (!isLimited) {
      const pair = alike.filter((circuit) => circuit.source === source && circuit.destination === destination);
      return alike.length < MAX_KNOWN_CIRCUITS && pair.length < MAX_KNOWN_CIRCUITS_PER_PAIR;
    }
    const most = limits.maxStrangerCircuitsPerPeer;
    return (
      alike.length < limits.maxStrangerCircuits &&
      alike.filter((circuit) => circuit.source === source).length < most &&
      alike.filter((circuit) => circuit.destination === destination).length < most
    );
  }

  #drop(circuit: Circuit): void {
    if (this.#circuits.delete(circuit)) this.#count();
  }

  #forgetExpired(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [peer, { untilMs }] of this.#slots) if (untilMs <= nowMs) this.#slots.delete(peer);
  }

  #count(): void {
    const { metrics, isKnown } = this.#options;
    const known = [...this.#slots.keys()].filter(isKnown).length;
    metrics.relaySlots.set(known, { kind: 'known' });
    metrics.relaySlots.set(this.#slots.size - known, { kind: 'limited' });
    const limited = [...this.#circuits].filter(({ isLimited }) => isLimited).length;
    metrics.relayCircuits.set(this.#circuits.size - limited, { kind: 'known' });
    metrics.relayCircuits.set(limited, { kind: 'limited' });
  }
}
