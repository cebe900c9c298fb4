/** What a transaction did: one receipt each, in block order. Code numbers are never reused. */
import type { Hash } from '../bytes.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';
import { listRootOfKeys } from './list-root.ts';

/** Outcomes of a transaction that is in a block. Zero is success; all others rolled back its effects but nonce and fee. */
export const RECEIPT_CODES = {
  OK: 0,
  INSUFFICIENT_FUNDS: 1,
  NOT_AUTHORISED: 2,
  NOT_FOUND: 3,
  ALREADY_DONE: 4,
  EXPIRED: 5,
  LIMIT: 6,
  BAD_PROOF: 7,
  NOT_APPLICABLE: 8,
  FEE_TOO_LOW: 9,
} as const;

export type ReceiptCodeName = keyof typeof RECEIPT_CODES;
export type ReceiptCode = (typeof RECEIPT_CODES)[ReceiptCodeName];

export const MAX_EVENTS = 16;
export const MAX_EVENT_BYTES = 256;

/** A fact that is not evident from the transaction itself; `kind` and `data` are the module's. */
export interface ChainEvent {
  readonly module: number;
  readonly kind: number;
  readonly data: Uint8Array;
}

export interface Receipt {
  readonly txId: Hash;
  readonly code: number;
  readonly feeUait: number;
  readonly events: readonly ChainEvent[];
}

/** Thrown by a module's `apply`: the transaction fails, its effects are rolled back, nonce and fee stay. */
export class TxFailure extends Error {
  override readonly name = 'TxFailure';
  readonly code: ReceiptCode;

  constructor(code: Exclude<ReceiptCodeName, 'OK'>, message: string) {
    super(message);
    this.code = RECEIPT_CODES[code];
  }
}

export function receiptCodeName(code: number): ReceiptCodeName | undefined {
  return (Object.keys(RECEIPT_CODES) as ReceiptCodeName[]).find((name) => RECEIPT_CODES[name] === code);
}

export function encodeReceipt(receipt: Receipt): Uint8Array {
  return writeReceipt(new Writer(64), receipt).finish();
}

export function writeReceipt(writer: Writer, { txId, code, feeUait, events }: Receipt): Writer {
  writer.fixed(txId, 32).u16(code).u64(feeUait).u8(events.length);
  for (const event of events) writer.u8(event.module).u8(event.kind).bytes16(event.data);
  return writer;
}

export function readReceipt(reader: Reader): Receipt {
  const txId = reader.fixed(32);
  const code = reader.u16();
  const feeUait = reader.u64();
  const count = reader.u8();
  if (count > MAX_EVENTS) throw reader.reject('over-cap');
  const events = Array.from({ length: count }, () => ({
    module: reader.u8(),
    kind: reader.u8(),
    data: reader.bytes16(MAX_EVENT_BYTES),
  }));
  return { txId, code, feeUait, events };
}

/** For readers of one receipt in a list: the form alone is looked at. */
export function skipReceipt(reader: Reader): void {
  reader.skip(32 + 2 + 8);
  const count = reader.u8();
  for (let i = 0; i < count; i++) {
    reader.skip(2);
    reader.bytes16(MAX_EVENT_BYTES);
  }
}

export function decodeReceipt(bytes: Uint8Array): Receipt {
  const reader = new Reader(bytes, 'receipt');
  const receipt = readReceipt(reader);
  reader.end();
  return receipt;
}

export function receiptsRoot(hasher: Hasher, receipts: readonly Receipt[]): Hash {
  const writer = new Writer(receipts.length * 64);
  const ends = receipts.map((receipt) => writeReceipt(writer, receipt).length);
  const bytes = writer.finish();
  return listRootOfKeys(
    hasher,
    ends.map((end, i) => hasher.hashKey(bytes.subarray(ends[i - 1] ?? 0, end))),
  );
}
