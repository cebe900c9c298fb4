/**
 * The messages of circuit relay v2 (libp2p/specs, relay/circuit-v2.md), protobuf with a varint length in front. Fields
 * that nobody here needs, the voucher among them, are passed over.
 */
import type { Stream } from '@libp2p/interface';
import { byteStream } from '@libp2p/utils';
import { concatBytes } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { plainBytes } from '../plain-bytes.ts';

/** To a relay: reserve a slot, or connect to one who has. */
export const HOP_PROTOCOL = '/libp2p/circuit/relay/0.2.0/hop';
/** From a relay: somebody connects. */
export const STOP_PROTOCOL = '/libp2p/circuit/relay/0.2.0/stop';

export const MAX_RELAY_MESSAGE_BYTES = 4_096;
/** Addresses in one message; further ones are passed over. */
export const MAX_RELAY_ADDRESSES = 16;

export const RELAY_STATUS = {
  ok: 100,
  reservationRefused: 200,
  resourceLimitExceeded: 201,
  permissionDenied: 202,
  connectionFailed: 203,
  noReservation: 204,
  malformedMessage: 400,
  unexpectedMessage: 401,
} as const;

export type RelayStatus = (typeof RELAY_STATUS)[keyof typeof RELAY_STATUS];

export const HOP_TYPE = { reserve: 0, connect: 1, status: 2 } as const;
const STOP_TYPE = { connect: 0, status: 1 } as const;

/** Of one relayed connection, both ways together. 0: none. */
export interface RelayLimit {
  readonly seconds: number;
  readonly bytes: number;
}

export interface HopMessage {
  readonly type: number;
  /** Multihash of the peer meant. */
  readonly peer: Uint8Array | null;
  readonly reservation: Reservation | null;
  readonly status: number | null;
}

export interface Reservation {
  /** Wall clock, seconds since 1970. */
  readonly expireS: number;
  /** Multiaddrs of the relay. */
  readonly addresses: readonly Uint8Array[];
}

/** Reads and writes these messages on a stream; `unwrap` gives the stream back, unread bytes included. */
export function relayMessages(stream: Stream) {
  const bytes = byteStream(stream, { maxBufferSize: 2 * 1024 * 1024 });
  const one = async (signal: AbortSignal): Promise<number> => {
    const byte = (await bytes.read({ bytes: 1, signal })).get(0);
    return byte;
  };
  return {
    /** @throws NodeError PEER_PROTOCOL when the length exceeds the cap; the stream's error */
    read: async (signal: AbortSignal): Promise<Uint8Array> => {
      const low = await one(signal);
      const length = low < 0x80 ? low : (low & 0x7f) | ((await one(signal)) << 7);
      if (length > MAX_RELAY_MESSAGE_BYTES) {
        throw new NodeError('PEER_PROTOCOL', 'a relay message exceeds the cap', { data: { bytes: length } });
      }
      if (length === 0) return new Uint8Array();
      return plainBytes((await bytes.read({ bytes: length, signal })).subarray());
    },
    write: (message: Uint8Array, signal: AbortSignal): Promise<void> =>
      bytes.write(concatBytes([varint(message.length), message]), { signal }),
    unwrap: (): Stream => bytes.unwrap(),
  };
}

export function encodeReserve(): Uint8Array {
  return number(1, HOP_TYPE.reserve);
}

export function encodeHopStatus(
  status: RelayStatus,
  { reservation, limit }: { readonly reservation?: Reservation; readonly limit?: RelayLimit | null } = {},
): Uint8Array {
  const parts = [number(1, HOP_TYPE.status)];
  if (reservation) {
    const addresses = reservation.addresses.map((address) => block(2, address));
    parts.push(block(3, concatBytes([number(1, reservation.expireS), ...addresses])));
  }
  if (limit) parts.push(block(4, encodeLimit(limit)));
  return concatBytes([...parts, number(5, status)]);
}

/** @param source multihash of who connects */
export function encodeStopConnect(source: Uint8Array, limit: RelayLimit | null): Uint8Array {
  const parts = [number(1, STOP_TYPE.connect), block(2, block(1, source))];
  if (limit) parts.push(block(3, encodeLimit(limit)));
  return concatBytes(parts);
}

/** @throws NodeError PEER_PROTOCOL */
export function decodeHop(bytes: Uint8Array): HopMessage {
  const fields = decodeFields(bytes);
  const reservation = blockOf(fields, 3);
  const peer = blockOf(fields, 2);
  return {
    type: numberOf(fields, 1) ?? -1,
    peer: peer && blockOf(decodeFields(peer), 1),
    reservation: reservation && decodeReservation(reservation),
    status: numberOf(fields, 5),
  };
}

/** @returns its status; null for another message @throws NodeError PEER_PROTOCOL */
export function decodeStopStatus(bytes: Uint8Array): number | null {
  const fields = decodeFields(bytes);
  return numberOf(fields, 1) === STOP_TYPE.status ? numberOf(fields, 4) : null;
}

function encodeLimit({ seconds, bytes }: RelayLimit): Uint8Array {
  return concatBytes([number(1, seconds), number(2, bytes)]);
}

function decodeReservation(bytes: Uint8Array): Reservation {
  const fields = decodeFields(bytes);
  const addresses = fields.flatMap(({ field, value }) => (field === 2 && value instanceof Uint8Array ? [value] : []));
  return { expireS: numberOf(fields, 1) ?? 0, addresses: addresses.slice(0, MAX_RELAY_ADDRESSES) };
}

// Protobuf, as far as these messages need it

interface Field {
  readonly field: number;
  readonly value: number | Uint8Array;
}

const VARINT = 0;
const BLOCK = 2;

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function number(field: number, value: number): Uint8Array {
  return concatBytes([varint(field * 8 + VARINT), varint(value)]);
}

function block(field: number, value: Uint8Array): Uint8Array {
  return concatBytes([varint(field * 8 + BLOCK), varint(value.length), value]);
}

/** @throws NodeError PEER_PROTOCOL */
function decodeFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const wrong = (): NodeError => new NodeError('PEER_PROTOCOL', 'a relay message does not decode');
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; scale <= 0x80 ** 7; scale *= 0x80) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw wrong();
  };
  while (at < bytes.length) {
    const key = readVarint();
    const value = readVarint();
    if (key % 8 === VARINT) {
      fields.push({ field: Math.floor(key / 8), value });
    } else if (key % 8 === BLOCK && value <= bytes.length - at) {
      fields.push({ field: Math.floor(key / 8), value: bytes.subarray(at, at + value) });
      at += value;
    } else {
      throw wrong();
    }
  }
  return fields;
}

function numberOf(fields: readonly Field[], wanted: number): number | null {
  const value = fields.findLast(({ field }) => field === wanted)?.value;
  return typeof value === 'number' ? value : null;
}

function blockOf(fields: readonly Field[], wanted: number): Uint8Array | null {
  const value = fields.findLast(({ field }) => field === wanted)?.value;
  return value instanceof Uint8Array ? value : null;
}
