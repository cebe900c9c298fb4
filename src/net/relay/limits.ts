/** What a relay gives to whom. */
import type { QuotaRule } from '../../../protocols/quotas.ts';
import type { RelayLimit } from './messages.ts';

/** Whom a node relays for: nobody; named peers and validators; strangers too, within limits. */
export type RelayService = 'off' | 'known' | 'open';

export interface RelayLimits {
  /** Slots of strangers at once. */
  readonly maxStrangers: number;
  /** Of one address. Loopback is exempt. */
  readonly maxStrangersPerIp: number;
  /** Relayed connections with a stranger at either end, at once. */
  readonly maxStrangerCircuits: number;
  /** Of these, by one stranger or to one peer. */
  readonly maxStrangerCircuitsPerPeer: number;
  /** Of each of these. */
  readonly strangerCircuit: RelayLimit;
}

const MIB = 1024 * 1024;

export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  maxStrangers: 32,
  maxStrangersPerIp: 4,
  maxStrangerCircuits: 64,
  maxStrangerCircuitsPerPeer: 4,
  strangerCircuit: { seconds: 600, bytes: 64 * MIB },
};

/** Slots of named peers and validators: 128 of these, and as many whom the operator named. */
export const MAX_KNOWN_SLOTS = 256;

/** Relayed connections between two of them at once; two that dial each other have two. */
export const MAX_KNOWN_CIRCUITS_PER_PAIR = 4;
export const MAX_KNOWN_CIRCUITS = 1_024;

/** A slot ends with the connection over which it was asked for, and after this time if it is not asked for again. */
export const SLOT_S = 1_800;

/** Requests to a relay. */
export const HOP_QUOTA: QuotaRule = {
  capacity: 256,
  refillPerSecond: 64,
  unit: 'requests',
  reason:
    'of known peers: one each quarter of an hour for the slot, and one every 2.5 s for each of 128 peers that are away',
};
export const STRANGERS_HOP_QUOTA: QuotaRule = {
  capacity: 16,
  refillPerSecond: 1,
  unit: 'requests',
  reason: 'one for the slot and one for each peer that a client of the market connects to',
};

/** From the first byte of a request to its answer, the other side's included. */
export const HOP_TIMEOUT_MS = 5_000;
