/**
 * The slots of this node at relays, through which others reach it: asked for over each direct connection to a relay,
 * renewed before they run out, and asked for again when relay or connection was lost (circuit relay v2, the side of the
 * client).
 */
import type { Connection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../../../protocols/network.ts';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { reachable, scopeOf } from '../address-scope.ts';
import { isCircuit } from '../addresses.ts';
import { deadline } from '../deadline.ts';
import type { LogLimit } from '../log-limit.ts';
import { createLogLimit } from '../log-limit.ts';
import { HOP_TIMEOUT_MS } from './limits.ts';
import { decodeHop, encodeReserve, HOP_PROTOCOL, HOP_TYPE, RELAY_STATUS, relayMessages } from './messages.ts';

/** Slots held at once; further relays wait until one is lost. */
export const MAX_SLOTS = 3;
/** Addresses told of one relay. */
export const MAX_ADDRESSES_PER_RELAY = 2;

const FIRST_RETRY_MS = 1_000;
/** A relay that refuses or does not relay may be configured otherwise by then, or learn that this node is a validator. */
const MAX_RETRY_MS = 60_000;
/** A relay's clock may be wrong: what it says of the end is believed within these bounds. */
const LEAST_RENEW_MS = 30_000;
const MOST_RENEW_MS = 3_600_000;

export interface RelaySlotsOptions {
  readonly isRelay: (peer: PeerId) => boolean;
  /** The addresses have changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

interface State {
  readonly connection: Connection;
  failures: number;
  /** Whole, up to and including /p2p-circuit; empty while there is no slot. */
  addresses: readonly Multiaddr[];
  cancel: () => void;
}

export class RelaySlots {
  readonly #options: RelaySlotsOptions;
  readonly #limit: LogLimit;
  readonly #states = new Map<PeerId, State>();

  constructor(options: RelaySlotsOptions) {
    this.#options = options;
    this.#limit = createLogLimit(options.log, options.clock, MAX_RETRY_MS);
  }

  /** Addresses at which relays take connections for this node, ending in /p2p-circuit. */
  addresses(): Multiaddr[] {
    return [...this.#states.values()].flatMap(({ addresses }) => addresses);
  }

  holds(relay: PeerId): boolean {
    return (this.#states.get(relay)?.addresses.length ?? 0) > 0;
  }

  onOpen(connection: Connection): void {
    const relay = connection.remotePeer.toString();
    if (!this.#options.isRelay(relay) || this.#states.has(relay) || isCircuit(connection.remoteAddr)) return;
    const state: State = { connection, failures: 0, addresses: [], cancel: () => undefined };
    this.#states.set(relay, state);
    this.#ask(relay, state);
  }

  onClose(connection: Connection): void {
    const relay = connection.remotePeer.toString();
    const state = this.#states.get(relay);
    if (state?.connection !== connection) return;
    state.cancel();
    this.#states.delete(relay);
    if (state.addresses.length > 0) this.#options.onChange();
  }

  stop(): void {
    for (const { cancel } of this.#states.values()) cancel();
    this.#states.clear();
  }

  #ask(relay: PeerId, state: State): void {
    const { clock, log, onChange } = this.#options;
    const held = [...this.#states.values()].filter(({ addresses }) => addresses.length > 0).length;
    if (state.addresses.length === 0 && held >= MAX_SLOTS) {
      this.#later(relay, state, MAX_RETRY_MS);
      return;
    }
    reserve(state.connection, clock).then(
      ({ addresses, expireMs }) => {
        if (this.#states.get(relay) !== state) return;
        const isNew = state.addresses.join() !== addresses.join();
        if (state.addresses.length === 0)
          log.info('reachable through a relay', { relay, addresses: addresses.map(String) });
        state.failures = 0;
        state.addresses = addresses;
        const leftMs = expireMs - clock.now();
        this.#later(relay, state, Math.min(MOST_RENEW_MS, Math.max(LEAST_RENEW_MS, leftMs / 2)));
        if (isNew) onChange();
      },
      (error: unknown) => {
        if (this.#states.get(relay) !== state) return;
        const hadOne = state.addresses.length > 0;
        state.failures += 1;
        state.addresses = [];
        const reason = error instanceof Error ? error.message : String(error);
        this.#limit.log('info', relay, 'no slot at a relay', { relay, reason });
        this.#later(relay, state, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(state.failures - 1, 10)));
        if (hadOne) onChange();
      },
    );
  }

  #later(relay: PeerId, state: State, ms: number): void {
    state.cancel = this.#options.clock.after(ms, () => {
      this.#ask(relay, state);
    });
  }
}

/** @throws NodeError UNREACHABLE when the relay refuses; PEER_PROTOCOL; the stream's error */
async function reserve(
  connection: Connection,
  clock: Clock,
): Promise<{ readonly addresses: readonly Multiaddr[]; readonly expireMs: number }> {
  const limit = deadline(clock, HOP_TIMEOUT_MS);
  try {
    const stream = await connection.newStream(HOP_PROTOCOL, { signal: limit.signal });
    try {
      const messages = relayMessages(stream);
      await messages.write(encodeReserve(), limit.signal);
      const { type, status, reservation } = decodeHop(await messages.read(limit.signal));
      if (type !== HOP_TYPE.status || status !== RELAY_STATUS.ok || !reservation) {
        throw new NodeError('UNREACHABLE', 'the relay refuses', { data: { status: status ?? type } });
      }
      await stream.close({ signal: limit.signal });
      return { addresses: circuitsAt(connection, reservation.addresses), expireMs: reservation.expireS * 1_000 };
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('failed'));
      throw error;
    }
  } finally {
    limit.clear();
  }
}

/** At the address where this node found the relay, then at those that the relay tells, none nearer than the relay is. */
function circuitsAt(connection: Connection, told: readonly Uint8Array[]): Multiaddr[] {
  const relay = connection.remotePeer.toString();
  const scope = scopeOf(connection.remoteAddr) ?? 'public';
  const found = connection.direction === 'outbound' ? [connection.remoteAddr] : [];
  const texts = told.flatMap((bytes) => {
    try {
      return [multiaddr(bytes).toString()];
    } catch {
      return [];
    }
  });
  const whole = [...found, ...reachable(relay, texts, scope)].map((address) => `${address.toString()}/p2p-circuit`);
  const addresses = [...new Set(whole)].slice(0, MAX_ADDRESSES_PER_RELAY);
  if (addresses.length > 0) return addresses.map((text) => multiaddr(text));
  throw new NodeError('UNREACHABLE', 'the relay tells no address at which others could find it');
}
