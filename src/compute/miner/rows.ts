/**
 * What a miner keeps, in the chain's codec. Keys begin with a table's number, never reused:
 *
 * | table | key                     | value                                                            |
 * | ----- | ----------------------- | ---------------------------------------------------------------- |
 * | 1     | agreement               | its ledger, with the highest voucher                             |
 * | 2     | attempt                 | job, assignment, opening, terms of the quote; how it ended        |
 * | 3     | agreement, number u32   | receipt and, once it came, acknowledgement                       |
 * | 4     | attempt                 | output, as long as the client may want it again                  |
 * | 5     | nonce u64               | a signed settlement                                              |
 * | 6     | none                    | sums over agreements that are closed                             |
 * | 7     | made at, ms u64         | the secret of a sealing key                                      |
 */
import type { Hash, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../../chain/codec.ts';
import { decodeAssignment, encodeAssignment, ASSIGNMENT_BYTES } from '../../chain/market/assignment.ts';
import { MAX_KIND, MAX_MODEL, readJob, writeJob } from '../../chain/market/job.ts';
import { MAX_OUTPUT_BYTES, readPrice, writePrice } from '../../chain/market/price.ts';
import type { SignedReceipt } from '../../chain/market/receipt.ts';
import { decodeReceipt, encodeReceipt, MAX_OPEN_BYTES, MAX_RECEIPT_BYTES } from '../../chain/market/receipt.ts';
import { readVoucher, writeVoucher } from '../../chain/modules/compute/voucher.ts';
import { MAX_TX_BYTES } from '../../chain/tx.ts';
import type { Row } from '../coordinator/ports.ts';
import type { AttemptTerms } from './attempt.ts';
import type { Ledger, Taking } from './ledger.ts';
import { MAX_RECEIPTS } from './ledger.ts';

export const TABLE = { LEDGER: 1, ATTEMPT: 2, RECEIPT: 3, OUTPUT: 4, TRANSACTION: 5, SUMS: 6, SEAL_SECRET: 7 } as const;

const STATES = ['open', 'closing', 'closed'] as const;

/** How far an attempt is, as far as a restart must know. */
export type StoredPhase =
  | { readonly name: 'work' }
  | { readonly name: 'ended'; readonly receipt: SignedReceipt; readonly atMs: number };

export interface StoredAttempt {
  readonly terms: AttemptTerms;
  readonly phase: StoredPhase;
}

export interface StoredTransaction {
  readonly nonce: number;
  readonly agreement: Hash;
  readonly taking: Taking;
  readonly bytes: Uint8Array;
  readonly validUntilHeight: number;
}

export interface SealSecret {
  readonly madeAtMs: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** Over all agreements that are closed. */
export interface Sums {
  readonly agreements: number;
  readonly receipts: number;
  readonly earnedUait: number;
}

export function ledgerRow(ledger: Ledger): Row {
  const writer = new Writer(512)
    .fixed(ledger.client, 20)
    .fixed(ledger.signer, 32)
    .u64(ledger.capUait)
    .u64(ledger.paidUait)
    .u64(ledger.expiresAtMs)
    .u8(STATES.indexOf(ledger.chainState))
    .u64(ledger.dueUait);
  writeVoucher(writer, ledger.voucher);
  writer.bool(ledger.isSingle).u64(ledger.awaitedUntilMs).u64(ledger.lastUsedMs).u32(ledger.receipts.length);
  return { key: keyOf(TABLE.LEDGER, ledger.agreement), value: writer.finish() };
}

/** @returns its receipts apart from it: their ids are not in the row. @throws NodeError CODEC */
export function readLedger(key: Uint8Array, value: Uint8Array): { readonly ledger: Ledger; readonly receipts: number } {
  const agreement = key.slice(1);
  const reader = new Reader(value, 'ledger');
  const client = reader.fixed(20);
  const signer = reader.fixed(32);
  const capUait = reader.u64();
  const paidUait = reader.u64();
  const expiresAtMs = reader.u64();
  const chainState = STATES[reader.u8()];
  if (!chainState) throw reader.reject('non-canonical');
  const ledger: Ledger = {
    ...{ agreement, client, signer, capUait, paidUait, expiresAtMs, chainState },
    dueUait: reader.u64(),
    active: null,
    voucher: readVoucher(reader, agreement),
    isSingle: reader.bool(),
    awaitedUntilMs: reader.u64(),
    lastUsedMs: reader.u64(),
    receipts: [],
  };
  const receipts = reader.u32();
  if (receipts > MAX_RECEIPTS) throw reader.reject('over-cap');
  reader.end();
  return { ledger, receipts };
}

export function attemptRow({ terms, phase }: StoredAttempt): Row {
  const { job, assignment, open, quote } = terms;
  const writer = writeJob(new Writer(2048), job).fixed(encodeAssignment(assignment), ASSIGNMENT_BYTES).bytes16(open);
  writer
    .ascii8(quote.kind)
    .ascii8(quote.model)
    .bool(quote.modelDigest !== null);
  if (quote.modelDigest) writer.fixed(quote.modelDigest, 32);
  writePrice(writer, quote.price)
    .u64(quote.tickUait)
    .bool(phase.name === 'ended');
  if (phase.name === 'ended') writer.bytes16(encodeReceipt(phase.receipt)).u64(phase.atMs);
  return { key: keyOf(TABLE.ATTEMPT, terms.id), value: writer.finish() };
}

/** @throws NodeError CODEC */
export function readAttempt(key: Uint8Array, value: Uint8Array): StoredAttempt {
  const reader = new Reader(value, 'attempt');
  const terms: AttemptTerms = {
    id: key.slice(1),
    job: readJob(reader),
    assignment: decodeAssignment(reader.fixed(ASSIGNMENT_BYTES)),
    open: reader.bytes16(MAX_OPEN_BYTES),
    quote: {
      kind: reader.ascii8(MAX_KIND),
      model: reader.ascii8(MAX_MODEL),
      modelDigest: reader.bool() ? reader.fixed(32) : null,
      price: readPrice(reader),
      tickUait: reader.u64(),
    },
  };
  const phase: StoredPhase = reader.bool()
    ? { name: 'ended', receipt: decodeReceipt(reader.bytes16(MAX_RECEIPT_BYTES)), atMs: reader.u64() }
    : { name: 'work' };
  reader.end();
  return { terms, phase };
}

export function receiptRow(agreement: Hash, number: number, receipt: SignedReceipt, ack: Signature | null): Row {
  const writer = new Writer(MAX_RECEIPT_BYTES + 80).bytes16(encodeReceipt(receipt)).bool(ack !== null);
  if (ack) writer.fixed(ack, 64);
  return { key: receiptKey(agreement, number), value: writer.finish() };
}

export function receiptKey(agreement: Hash, number: number): Uint8Array {
  return new Writer(37).u8(TABLE.RECEIPT).fixed(agreement, 32).u32(number).finish();
}

/** @throws NodeError CODEC */
export function readReceipt(value: Uint8Array): {
  readonly receipt: SignedReceipt;
  readonly acknowledgement: Signature | null;
} {
  const reader = new Reader(value, 'kept receipt');
  const receipt = decodeReceipt(reader.bytes16(MAX_RECEIPT_BYTES));
  const acknowledgement = reader.bool() ? reader.fixed(64) : null;
  reader.end();
  return { receipt, acknowledgement };
}

export function outputRow(attempt: Hash, pieces: readonly Uint8Array[]): Row {
  const writer = new Writer(1024).u32(pieces.length);
  for (const piece of pieces) writer.bytes32(piece);
  return { key: keyOf(TABLE.OUTPUT, attempt), value: writer.finish() };
}

/** @throws NodeError CODEC */
export function readOutput(value: Uint8Array): Uint8Array[] {
  const reader = new Reader(value, 'kept output');
  const pieces: Uint8Array[] = [];
  for (let left = reader.count32(MAX_OUTPUT_BYTES, 5); left > 0; left--) pieces.push(reader.bytes32(MAX_OUTPUT_BYTES));
  reader.end();
  return pieces;
}

export function transactionRow({ nonce, agreement, taking, bytes, validUntilHeight }: StoredTransaction): Row {
  const writer = new Writer(512)
    .fixed(agreement, 32)
    .bool(taking.kind === 'release')
    .u64(taking.totalUait);
  return { key: transactionKey(nonce), value: writer.u64(validUntilHeight).bytes32(bytes).finish() };
}

export function transactionKey(nonce: number): Uint8Array {
  return new Writer(9).u8(TABLE.TRANSACTION).u64(nonce).finish();
}

/** @throws NodeError CODEC */
export function readTransaction(key: Uint8Array, value: Uint8Array): StoredTransaction {
  const nonce = new Reader(key.slice(1), 'nonce').u64();
  const reader = new Reader(value, 'kept settlement');
  const agreement = reader.fixed(32);
  const kind = reader.bool() ? 'release' : 'settle';
  const taking: Taking = { kind, totalUait: reader.u64() };
  const validUntilHeight = reader.u64();
  const bytes = reader.bytes32(MAX_TX_BYTES);
  reader.end();
  return { nonce, agreement, taking, bytes, validUntilHeight };
}

export function sumsRow({ agreements, receipts, earnedUait }: Sums): Row {
  const value = new Writer(24).u64(agreements).u64(receipts).u64(earnedUait).finish();
  return { key: Uint8Array.of(TABLE.SUMS), value };
}

/** @throws NodeError CODEC */
export function readSums(value: Uint8Array): Sums {
  const reader = new Reader(value, 'sums');
  const sums = { agreements: reader.u64(), receipts: reader.u64(), earnedUait: reader.u64() };
  reader.end();
  return sums;
}

export function sealSecretRow({ madeAtMs, secret }: SealSecret): Row {
  return { key: sealSecretKey(madeAtMs), value: new Writer(32).fixed(secret, 32).finish() };
}

export function sealSecretKey(madeAtMs: number): Uint8Array {
  return new Writer(9).u8(TABLE.SEAL_SECRET).u64(madeAtMs).finish();
}

/** @throws NodeError CODEC */
export function readSealSecret(key: Uint8Array, value: Uint8Array): SealSecret {
  const madeAtMs = new Reader(key.slice(1), 'time of a sealing key').u64();
  const reader = new Reader(value, 'sealing key');
  const secret = reader.fixed(32);
  reader.end();
  return { madeAtMs, secret };
}

export function gone(table: (typeof TABLE)[keyof typeof TABLE], id: Hash): Row {
  return { key: keyOf(table, id), value: null };
}

function keyOf(table: number, id: Hash): Uint8Array {
  return Uint8Array.of(table, ...id);
}
