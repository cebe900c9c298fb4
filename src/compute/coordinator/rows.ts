/**
 * What a coordinator keeps, and how. Keys are a table's number and an id; numbers are never reused. What changes often is
 * small and lies apart from what is written once.
 */
import type { Hash } from '../../bytes.ts';
import { concatBytes } from '../../bytes.ts';
import { Reader, Writer } from '../../chain/codec.ts';
import type { SignedAssignment } from '../../chain/market/assignment.ts';
import { ASSIGNMENT_BYTES, decodeAssignment, encodeAssignment } from '../../chain/market/assignment.ts';
import type { SignedJob } from '../../chain/market/job.ts';
import { decodeJob, encodeJob, MAX_JOB_BYTES } from '../../chain/market/job.ts';
import type { SignedQuote } from '../../chain/market/quote.ts';
import { decodeQuote, encodeQuote, MAX_QUOTE_BYTES } from '../../chain/market/quote.ts';
import { MAX_CONTENT_BYTES } from '../../chain/market/content.ts';
import type { SignedReceipt } from '../../chain/market/receipt.ts';
import { decodeReceipt, encodeReceipt, MAX_OPEN_BYTES, MAX_RECEIPT_BYTES } from '../../chain/market/receipt.ts';
import { isErrorCode } from '../../errors.ts';
import type { JobState } from './coordinator.ts';
import type { JobProgress } from './job-machine.ts';
import type { Ledger } from './ledger.ts';
import type { Row } from './ports.ts';
import type { WrongResult } from './replay.ts';

export const TABLE = {
  /** Secrets of the session key and of the key that output is sealed to. */
  keys: 1,
  job: 2,
  content: 3,
  /** Where a job is. */
  progress: 4,
  /** Quote and assignment of the attempt under way. */
  attempt: 5,
  agreement: 6,
  ledger: 7,
  /** Receipt and acknowledgement. */
  result: 8,
  output: 9,
  record: 10,
  contradiction: 11,
  /** Results that were wrong, with all that shows it. */
  wrongResult: 12,
  /** Agreement and number u32: the receipt's id. */
  receiptPlace: 13,
} as const;

function rowKey(table: number, id: Uint8Array): Uint8Array {
  return concatBytes([new Uint8Array([table]), id]);
}

export function put(table: number, id: Uint8Array, value: Uint8Array): Row {
  return { key: rowKey(table, id), value };
}

export function drop(table: number, id: Uint8Array): Row {
  return { key: rowKey(table, id), value: null };
}

export interface JobRow {
  readonly job: SignedJob;
  readonly owner: string;
  readonly isSingle: boolean;
  /** Of the request, to tell another one under the same key; null without a key. */
  readonly requestHash: Hash | null;
}

export const MAX_OWNER_BYTES = 128;

export function encodeJobRow({ job, owner, isSingle, requestHash }: JobRow): Uint8Array {
  const writer = new Writer(MAX_JOB_BYTES).bytes16(encodeJob(job)).ascii8(owner).bool(isSingle);
  writer.bool(requestHash !== null);
  if (requestHash) writer.fixed(requestHash, 32);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeJobRow(bytes: Uint8Array): JobRow {
  const reader = new Reader(bytes, 'kept job');
  const row = {
    job: decodeJob(reader.bytes16(MAX_JOB_BYTES)),
    owner: reader.ascii8(MAX_OWNER_BYTES),
    isSingle: reader.bool(),
    requestHash: reader.bool() ? reader.fixed(32) : null,
  };
  reader.end();
  return row;
}

const STATES: readonly JobState[] = [
  ...(['submitted', 'queued', 'matched', 'funded', 'leased', 'running'] as const),
  ...(['delivered', 'completed', 'canceling', 'canceled', 'failed', 'expired'] as const),
];

export interface ProgressRow extends JobProgress {
  readonly endedAtMs: number | null;
  /** Of transactions that set money aside for it. */
  readonly feesUait: number;
  /** Last event. */
  readonly sequence: number;
}

const MAX_FAULT_BYTES = 512;

export function encodeProgress(row: ProgressRow): Uint8Array {
  const writer = new Writer(96).u8(STATES.indexOf(row.state)).u32(row.attempt).u64(row.spentUait);
  writer
    .u32(row.losses)
    .u32(row.blamed)
    .u32(row.sequence)
    .u64(row.endedAtMs ?? 0);
  writer.bool(row.fault !== null);
  if (row.fault) writer.ascii8(row.fault.code).bytes16(new TextEncoder().encode(row.fault.message.slice(0, 128)));
  if (row.feesUait > 0) writer.u64(row.feesUait);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeProgress(bytes: Uint8Array): ProgressRow {
  const reader = new Reader(bytes, 'progress of a job');
  const state = STATES[reader.u8()];
  if (!state) throw reader.reject('non-canonical');
  const row = {
    state,
    attempt: reader.u32(),
    spentUait: reader.u64(),
    losses: reader.u32(),
    blamed: reader.u32(),
    sequence: reader.u32(),
    endedAtMs: reader.u64(),
  };
  const fault = reader.bool() ? { code: reader.ascii8(32), text: reader.bytes16(MAX_FAULT_BYTES) } : null;
  const whole = { ...row, endedAtMs: row.endedAtMs || null, feesUait: reader.remaining > 0 ? reader.u64() : 0 };
  reader.end();
  if (fault === null) return { ...whole, fault: null };
  const code = isErrorCode(fault.code) ? fault.code : 'INTERNAL';
  return { ...whole, fault: { code, message: new TextDecoder().decode(fault.text) } };
}

export interface AttemptRow {
  readonly quote: SignedQuote;
  readonly assignment: SignedAssignment;
}

export function encodeAttempt({ quote, assignment }: AttemptRow): Uint8Array {
  const writer = new Writer(1024).bytes16(encodeQuote(quote));
  return writer.fixed(encodeAssignment(assignment), ASSIGNMENT_BYTES).finish();
}

/** @throws NodeError CODEC */
export function decodeAttempt(bytes: Uint8Array): AttemptRow {
  const reader = new Reader(bytes, 'kept attempt');
  const quote = decodeQuote(reader.bytes16(MAX_QUOTE_BYTES));
  const assignment = decodeAssignment(reader.fixed(ASSIGNMENT_BYTES));
  reader.end();
  return { quote, assignment };
}

export interface AgreementRow {
  /** Account key. */
  readonly miner: Uint8Array;
  readonly open: Uint8Array;
  readonly expiresAtMs: number;
  /** The job that it was opened for and is for alone; null: for a session. */
  readonly job: Hash | null;
}

export function encodeAgreementRow({ miner, open, expiresAtMs, job }: AgreementRow): Uint8Array {
  const writer = new Writer(512)
    .fixed(miner, 32)
    .bytes16(open)
    .u64(expiresAtMs)
    .bool(job !== null);
  if (job) writer.fixed(job, 32);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeAgreementRow(bytes: Uint8Array): AgreementRow {
  const reader = new Reader(bytes, 'kept agreement');
  const row = {
    miner: reader.fixed(32),
    open: reader.bytes16(MAX_OPEN_BYTES),
    expiresAtMs: reader.u64(),
    job: reader.bool() ? reader.fixed(32) : null,
  };
  reader.end();
  return row;
}

const PHASES = ['opening', 'open', 'retired'] as const;

export type AgreementPhase = (typeof PHASES)[number];

export interface LedgerRow extends Ledger {
  readonly phase: AgreementPhase;
  /** The job whose attempt runs under it. */
  readonly running: Hash | null;
}

export function encodeLedger(row: LedgerRow): Uint8Array {
  const writer = new Writer(80).u8(PHASES.indexOf(row.phase)).u64(row.capUait).u64(row.baseUait).u64(row.givenUait);
  writer.bool(row.running !== null && row.runningMaxUait !== null);
  if (row.running !== null && row.runningMaxUait !== null) writer.fixed(row.running, 32).u64(row.runningMaxUait);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeLedger(bytes: Uint8Array): LedgerRow {
  const reader = new Reader(bytes, 'ledger of an agreement');
  const phase = PHASES[reader.u8()];
  if (!phase) throw reader.reject('non-canonical');
  const row = { phase, capUait: reader.u64(), baseUait: reader.u64(), givenUait: reader.u64() };
  const running = reader.bool() ? { job: reader.fixed(32), maxUait: reader.u64() } : null;
  reader.end();
  return { ...row, running: running?.job ?? null, runningMaxUait: running?.maxUait ?? null };
}

export interface ResultRow {
  readonly receipt: SignedReceipt;
  readonly acknowledgement: Uint8Array;
}

export function encodeResult({ receipt, acknowledgement }: ResultRow): Uint8Array {
  return new Writer(1024).bytes16(encodeReceipt(receipt)).fixed(acknowledgement, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeResult(bytes: Uint8Array): ResultRow {
  const reader = new Reader(bytes, 'kept result');
  const receipt = decodeReceipt(reader.bytes16(MAX_RECEIPT_BYTES));
  const acknowledgement = reader.fixed(64);
  reader.end();
  return { receipt, acknowledgement };
}

export function encodeWrongResult({ job, content, receipt, outputHash }: WrongResult): Uint8Array {
  const writer = new Writer(content.length + 2_048).bytes16(encodeJob(job)).bytes32(content);
  return writer.bytes16(encodeReceipt(receipt)).fixed(outputHash, 32).finish();
}

/** @throws NodeError CODEC */
export function decodeWrongResult(bytes: Uint8Array): WrongResult {
  const reader = new Reader(bytes, 'kept wrong result');
  const wrong = {
    job: decodeJob(reader.bytes16(MAX_JOB_BYTES)),
    content: reader.bytes32(MAX_CONTENT_BYTES),
    receipt: decodeReceipt(reader.bytes16(MAX_RECEIPT_BYTES)),
    outputHash: reader.fixed(32),
  };
  reader.end();
  return wrong;
}
