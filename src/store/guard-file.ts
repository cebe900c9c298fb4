/**
 * The frame of a block that the sign guard keeps. Header: "AITGUARD", version u16, sequence u64, length u32, SHA-256 of the
 * payload, SHA-256 of the header so far. The payload follows at byte 128. Slots had this form before guard-slot.ts: then
 * the payload was synced before its header, so that the header of an older record over another payload tells an
 * interrupted write.
 */
import { hash } from 'node:crypto';
import type { Hash } from '../bytes.ts';
import { equalBytes, utf8 } from '../bytes.ts';
import { Writer } from '../chain/codec.ts';
import { NodeError } from '../errors.ts';

export const MAGIC = utf8('AITGUARD');
export const FRAME_VERSION = 1;
const SEALED_BYTES = MAGIC.length + 2 + 8 + 4 + 32;
const HEADER_BYTES = SEALED_BYTES + 32;

const PAYLOAD_AT = 128;
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
export const MAX_FRAME_BYTES = PAYLOAD_AT + MAX_PAYLOAD_BYTES;

/**
 * - damaged: `sequence` is that of the header, or of the first sector, where that itself is whole
 * - interrupted: whole parts of several records; `sequence` is the highest of them
 */
export type Frame =
  | { readonly kind: 'absent' }
  | { readonly kind: 'interrupted'; readonly sequence: number }
  | { readonly kind: 'damaged'; readonly sequence: number | null }
  | { readonly kind: 'valid'; readonly sequence: number; readonly payload: Uint8Array; readonly payloadHash: Hash };

export function sha256(bytes: Uint8Array): Hash {
  return hash('sha256', bytes, 'buffer');
}

export function frameBytes(payload: Uint8Array, payloadHash: Hash): Uint8Array {
  const sealed = new Writer(HEADER_BYTES)
    .raw(MAGIC)
    .u16(FRAME_VERSION)
    .u64(0)
    .u32(payload.length)
    .fixed(payloadHash, 32)
    .finish();
  const bytes = new Uint8Array(PAYLOAD_AT + payload.length);
  bytes.set(sealed);
  bytes.set(sha256(sealed), SEALED_BYTES);
  bytes.set(payload, PAYLOAD_AT);
  return bytes;
}

/** Of a frame or a sector; null of anything else. */
export function versionOf(bytes: Uint8Array): number | null {
  if (bytes.length < MAGIC.length + 2 || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return null;
  return new DataView(bytes.buffer, bytes.byteOffset + MAGIC.length, 2).getUint16(0);
}

/** @throws NodeError DATA_TOO_NEW */
export function refuseNewer(version: number, known: number): void {
  if (version <= known) return;
  throw new NodeError('DATA_TOO_NEW', `the sign guard has version ${version}, this program knows ${known}`, {
    data: { version, known },
    hint: 'start the newer program',
  });
}

/** @throws NodeError DATA_TOO_NEW */
export function parseFrame(bytes: Uint8Array | undefined): Frame {
  if (bytes === undefined) return { kind: 'absent' };
  const sealed = bytes.subarray(0, SEALED_BYTES);
  const intact =
    bytes.length >= HEADER_BYTES &&
    equalBytes(sealed.subarray(0, MAGIC.length), MAGIC) &&
    equalBytes(sha256(sealed), bytes.subarray(SEALED_BYTES, HEADER_BYTES));
  if (!intact) return { kind: 'damaged', sequence: null };
  const view = new DataView(bytes.buffer, bytes.byteOffset + MAGIC.length, HEADER_BYTES - MAGIC.length);
  refuseNewer(view.getUint16(0), FRAME_VERSION);
  const sequence = Number(view.getBigUint64(2));
  const length = view.getUint32(10);
  const payloadHash = sealed.slice(SEALED_BYTES - 32);
  const payload = bytes.subarray(PAYLOAD_AT, PAYLOAD_AT + length);
  if (payload.length !== length || !equalBytes(sha256(payload), payloadHash)) return { kind: 'damaged', sequence };
  return { kind: 'valid', sequence, payload, payloadHash };
}
