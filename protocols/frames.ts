/**
 * Frames of the request protocols. A stream carries frames of `u32 length ‖ u32 request id ‖ u8 kind ‖ payload`, where
 * the length counts what follows it. The stream's opener sends requests and the other side answers, in any order.
 */
import { utf8 } from '../src/bytes.ts';
import { Reader, Writer } from '../src/chain/codec.ts';
import type { ErrorCode } from '../src/errors.ts';
import { ERRORS, NodeError } from '../src/errors.ts';

/** Request id and kind. */
export const FRAME_HEAD_BYTES = 5;
export const MAX_ERROR_TEXT_BYTES = 256;
const MAX_ERROR_CODE_BYTES = 32;
/** The largest error frame, without its length. */
export const MAX_ERROR_FRAME_BYTES = FRAME_HEAD_BYTES + 1 + MAX_ERROR_CODE_BYTES + 2 + MAX_ERROR_TEXT_BYTES;

export type FrameKind = 'request' | 'response' | 'error';

export interface Frame {
  readonly id: number;
  readonly kind: FrameKind;
  readonly payload: Uint8Array;
}

const KINDS: readonly FrameKind[] = ['request', 'response', 'error'];

/** Without the length, which the stream writes. */
export function encodeFrame(frame: Frame): Uint8Array {
  return new Writer(FRAME_HEAD_BYTES + frame.payload.length)
    .u32(frame.id)
    .u8(KINDS.indexOf(frame.kind) + 1)
    .raw(frame.payload)
    .finish();
}

/** The payload is a view. @throws NodeError CODEC */
export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new Reader(bytes, 'frame');
  const id = reader.u32();
  const kind = KINDS[reader.u8() - 1];
  if (kind === undefined) throw reader.reject('non-canonical');
  return { id, kind, payload: reader.fixed(reader.remaining) };
}

/** Payload of an error frame: ascii8 code, then the text in UTF-8 with a u16 length. */
export function encodeErrorPayload(code: ErrorCode, text: string): Uint8Array {
  const bytes = utf8(text);
  return new Writer(64).ascii8(code).bytes16(bytes.subarray(0, MAX_ERROR_TEXT_BYTES)).finish();
}

/**
 * The peer's error as ours. A code that this program does not know becomes PEER_PROTOCOL. The text is the peer's: it is
 * kept in the data, without control characters, and is not for logs at level info or above.
 *
 * @throws NodeError CODEC
 */
export function decodeErrorPayload(bytes: Uint8Array): NodeError {
  const reader = new Reader(bytes, 'error frame');
  const code = reader.ascii8(MAX_ERROR_CODE_BYTES);
  const text = new TextDecoder().decode(reader.bytes16(MAX_ERROR_TEXT_BYTES)).replaceAll(/\p{C}/gu, ' ');
  reader.end();
  const known = isErrorCode(code) ? code : 'PEER_PROTOCOL';
  return new NodeError(known, `the peer answered: ${ERRORS[known].title}`, { data: { peerText: text } });
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
