/**
 * Frames of a work stream, on which a client has a miner do one attempt after the other. They travel sealed, in the records
 * of work-channel.ts; README.md is normative.
 */
import type { Hash, Signature } from '../../src/bytes.ts';
import { utf8 } from '../../src/bytes.ts';
import { Reader, Writer } from '../../src/chain/codec.ts';
import type { SignedAssignment } from '../../src/chain/market/assignment.ts';
import { ASSIGNMENT_BYTES, decodeAssignment, encodeAssignment } from '../../src/chain/market/assignment.ts';
import type { SignedJob } from '../../src/chain/market/job.ts';
import { readJob, writeJob } from '../../src/chain/market/job.ts';
import type { SignedReceipt } from '../../src/chain/market/receipt.ts';
import { decodeReceipt, encodeReceipt, MAX_OPEN_BYTES, MAX_RECEIPT_BYTES } from '../../src/chain/market/receipt.ts';
import type { SignedTick } from '../../src/chain/market/tick.ts';
import { readText, writeText } from '../../src/chain/market/text.ts';
import { readTick, writeTick } from '../../src/chain/market/tick.ts';
import type { Voucher } from '../../src/chain/modules/compute/voucher.ts';
import { readVoucher, writeVoucher } from '../../src/chain/modules/compute/voucher.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { isErrorCode } from '../../src/errors.ts';

/** Of one piece of input or output. */
export const MAX_PIECE_BYTES = 64 * 1024;
/** Of any frame, before it is sealed. */
export const MAX_WORK_FRAME_BYTES = MAX_PIECE_BYTES + 1024;
/** A side that has nothing else to send for so long pings; one that is silent for LEASE_MS is lost. */
export const PING_MS = 5_000;
export const LEASE_MS = 15_000;
const MAX_TEXT_BYTES = 256;

/** What a client sends. `attempt` is the attempt's id. */
export type ClientFrame =
  /** `open`: the signed `agreement.open`. The voucher covers base, fixed price, input and one tick. */
  | {
      readonly type: 'assign';
      readonly job: SignedJob;
      readonly assignment: SignedAssignment;
      readonly voucher: Voucher;
      readonly open: Uint8Array;
    }
  /** A piece of the encoded content, in order; the last one completes `inputBytes` of the job. */
  | { readonly type: 'input'; readonly attempt: Hash; readonly piece: Uint8Array }
  | { readonly type: 'credit'; readonly attempt: Hash; readonly voucher: Voucher }
  /** Stop the work; an `end` with `canceled`, or with whatever came first, follows. */
  | { readonly type: 'stop'; readonly attempt: Hash }
  /** Acknowledges the receipt; the voucher covers all of it. */
  | { readonly type: 'acknowledge'; readonly attempt: Hash; readonly signature: Signature; readonly voucher: Voucher }
  /** On a new stream: go on with what follows that many pieces. */
  | { readonly type: 'resume'; readonly attempt: Hash; readonly chunks: number; readonly voucher: Voucher };

/** What a miner sends. */
export type MinerFrame =
  | { readonly type: 'accept'; readonly attempt: Hash }
  /** Work did not begin, nothing is due. */
  | {
      readonly type: 'refuse';
      readonly attempt: Hash;
      readonly code: ErrorCode;
      /** 0: not worth trying again here. */
      readonly afterMs: number;
      readonly text: string;
    }
  | { readonly type: 'start'; readonly attempt: Hash; readonly startedAtMs: number }
  | { readonly type: 'output'; readonly attempt: Hash; readonly chunk: number; readonly piece: Uint8Array }
  | { readonly type: 'tick'; readonly tick: SignedTick }
  | { readonly type: 'end'; readonly receipt: SignedReceipt }
  /** Work began and failed; due is what the tick says. */
  | { readonly type: 'fail'; readonly tick: SignedTick; readonly code: ErrorCode; readonly text: string }
  /** The receipt's acknowledgement is kept: the attempt is over, the stream free for the next one. */
  | { readonly type: 'done'; readonly attempt: Hash };

const CLIENT = { assign: 2, input: 3, credit: 4, stop: 5, acknowledge: 6, resume: 7 } as const;
const MINER = { accept: 34, refuse: 35, start: 36, output: 37, tick: 38, end: 39, fail: 40, done: 41 } as const;

export function encodeClientFrame(frame: ClientFrame): Uint8Array {
  const writer = new Writer(1024).u8(CLIENT[frame.type]);
  switch (frame.type) {
    case 'assign':
      writeJob(writer, frame.job).fixed(encodeAssignment(frame.assignment), ASSIGNMENT_BYTES);
      return voucherInto(writer, frame.voucher).bytes16(frame.open).finish();
    case 'input':
      return writer.fixed(frame.attempt, 32).bytes32(frame.piece).finish();
    case 'credit':
      return voucherInto(writer.fixed(frame.attempt, 32), frame.voucher).finish();
    case 'stop':
      return writer.fixed(frame.attempt, 32).finish();
    case 'acknowledge':
      return voucherInto(writer.fixed(frame.attempt, 32).fixed(frame.signature, 64), frame.voucher).finish();
    case 'resume':
      return voucherInto(writer.fixed(frame.attempt, 32).u32(frame.chunks), frame.voucher).finish();
  }
}

/** @returns null for a type above 127, which a later version may send and this one passes over @throws NodeError CODEC */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame | null {
  const reader = new Reader(bytes, 'work frame');
  const type = reader.u8();
  if (type > 127) return null;
  const frame = readClientFrame(reader, type);
  reader.end();
  return frame;
}

function readClientFrame(reader: Reader, type: number): ClientFrame {
  switch (type) {
    case CLIENT.assign: {
      const job = readJob(reader);
      const assignment = decodeAssignment(reader.fixed(ASSIGNMENT_BYTES));
      return { type: 'assign', job, assignment, voucher: voucherFrom(reader), open: reader.bytes16(MAX_OPEN_BYTES) };
    }
    case CLIENT.input:
      return { type: 'input', attempt: reader.fixed(32), piece: reader.bytes32(MAX_PIECE_BYTES) };
    case CLIENT.credit:
      return { type: 'credit', attempt: reader.fixed(32), voucher: voucherFrom(reader) };
    case CLIENT.stop:
      return { type: 'stop', attempt: reader.fixed(32) };
    case CLIENT.acknowledge: {
      const attempt = reader.fixed(32);
      return { type: 'acknowledge', attempt, signature: reader.fixed(64), voucher: voucherFrom(reader) };
    }
    case CLIENT.resume: {
      const attempt = reader.fixed(32);
      return { type: 'resume', attempt, chunks: reader.u32(), voucher: voucherFrom(reader) };
    }
    default:
      throw reader.reject('non-canonical');
  }
}

export function encodeMinerFrame(frame: MinerFrame): Uint8Array {
  const writer = new Writer(1024).u8(MINER[frame.type]);
  switch (frame.type) {
    case 'accept':
    case 'done':
      return writer.fixed(frame.attempt, 32).finish();
    case 'refuse':
      writer.fixed(frame.attempt, 32).ascii8(frame.code).u32(frame.afterMs);
      return writeText(writer, shortText(frame.text)).finish();
    case 'start':
      return writer.fixed(frame.attempt, 32).u64(frame.startedAtMs).finish();
    case 'output':
      return writer.fixed(frame.attempt, 32).u32(frame.chunk).bytes32(frame.piece).finish();
    case 'tick':
      return writeTick(writer, frame.tick).finish();
    case 'end':
      return writer.bytes16(encodeReceipt(frame.receipt)).finish();
    case 'fail':
      return writeText(writeTick(writer, frame.tick).ascii8(frame.code), shortText(frame.text)).finish();
  }
}

/** @returns null for a type above 127 @throws NodeError CODEC */
export function decodeMinerFrame(bytes: Uint8Array): MinerFrame | null {
  const reader = new Reader(bytes, 'work frame');
  const type = reader.u8();
  if (type > 127) return null;
  const frame = readMinerFrame(reader, type);
  reader.end();
  return frame;
}

function readMinerFrame(reader: Reader, type: number): MinerFrame {
  switch (type) {
    case MINER.accept:
      return { type: 'accept', attempt: reader.fixed(32) };
    case MINER.refuse: {
      const attempt = reader.fixed(32);
      const code = readCode(reader);
      return { type: 'refuse', attempt, code, afterMs: reader.u32(), text: readText(reader, MAX_TEXT_BYTES) };
    }
    case MINER.start:
      return { type: 'start', attempt: reader.fixed(32), startedAtMs: reader.u64() };
    case MINER.output: {
      const attempt = reader.fixed(32);
      return { type: 'output', attempt, chunk: reader.u32(), piece: reader.bytes32(MAX_PIECE_BYTES) };
    }
    case MINER.tick:
      return { type: 'tick', tick: readTick(reader) };
    case MINER.end:
      return { type: 'end', receipt: decodeReceipt(reader.bytes16(MAX_RECEIPT_BYTES)) };
    case MINER.fail:
      return { type: 'fail', tick: readTick(reader), code: readCode(reader), text: readText(reader, MAX_TEXT_BYTES) };
    case MINER.done:
      return { type: 'done', attempt: reader.fixed(32) };
    default:
      throw reader.reject('non-canonical');
  }
}

function voucherInto(writer: Writer, voucher: Voucher): Writer {
  writeVoucher(writer.fixed(voucher.agreement, 32), voucher);
  return writer;
}

function voucherFrom(reader: Reader): Voucher {
  return readVoucher(reader, reader.fixed(32));
}

/** A code of a later version is a failure of the peer like any other. */
function readCode(reader: Reader): ErrorCode {
  const code = reader.ascii8(32);
  return isErrorCode(code) ? code : 'PEER_PROTOCOL';
}

/** Cut at a whole character. */
function shortText(text: string): string {
  let length = 0;
  let short = '';
  for (const character of text) {
    length += utf8(character).length;
    if (length > MAX_TEXT_BYTES) return short;
    short += character;
  }
  return short;
}
