/**
 * The frame of every file of the sign guard. Header: "AITGUARD", version u16, sequence u64, length u32, SHA-256 of the
 * payload, SHA-256 of the header so far. The payload follows at byte 128.
 *
 * The payload is on the disk before the header that announces it, and the header lies within one sector. So a process
 * killed while it writes, or a power cut, leaves the old header, whole, over a payload that it does not fit: that tells an
 * interrupted write, whose signature never left, from damage. One sync for both would be quicker by a fraction of a
 * millisecond, and a power cut of several machines could then stop a height for good.
 */
import { hash } from 'node:crypto';
import type { Hash } from '../bytes.ts';
import { equalBytes, utf8 } from '../bytes.ts';
import { Writer } from '../chain/codec.ts';
import { NodeError } from '../errors.ts';
import type { DiskPart } from './guard-disk.ts';

const MAGIC = utf8('AITGUARD');
const VERSION = 1;
const SEALED_BYTES = MAGIC.length + 2 + 8 + 4 + 32;
const HEADER_BYTES = SEALED_BYTES + 32;

export const PAYLOAD_AT = 128;
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
export const MAX_FRAME_BYTES = PAYLOAD_AT + MAX_PAYLOAD_BYTES;

/** `damaged`: `sequence` is that of the header where the header itself is whole. */
export type Frame =
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly sequence: number | null }
  | { readonly kind: 'valid'; readonly sequence: number; readonly payload: Uint8Array; readonly payloadHash: Hash };

export function sha256(bytes: Uint8Array): Hash {
  return hash('sha256', bytes, 'buffer');
}

/** What to write, in order. */
export function frameParts(sequence: number, payload: Uint8Array, payloadHash: Hash = sha256(payload)): DiskPart[] {
  const sealed = new Writer(HEADER_BYTES)
    .raw(MAGIC)
    .u16(VERSION)
    .u64(sequence)
    .u32(payload.length)
    .fixed(payloadHash, 32)
    .finish();
  const header = new Writer(HEADER_BYTES).raw(sealed).raw(sha256(sealed)).finish();
  return [
    { at: PAYLOAD_AT, bytes: payload },
    { at: 0, bytes: header },
  ];
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
  const version = view.getUint16(0);
  if (version > VERSION) {
    throw new NodeError('DATA_TOO_NEW', `the sign guard has version ${version}, this program knows ${VERSION}`, {
      data: { version, known: VERSION },
      hint: 'start the newer program',
    });
  }
  const sequence = Number(view.getBigUint64(2));
  const length = view.getUint32(10);
  const payloadHash = sealed.slice(SEALED_BYTES - 32);
  const payload = bytes.subarray(PAYLOAD_AT, PAYLOAD_AT + length);
  if (payload.length !== length || !equalBytes(sha256(payload), payloadHash)) return { kind: 'damaged', sequence };
  return { kind: 'valid', sequence, payload, payloadHash };
}
