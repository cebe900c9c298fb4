/** The forms of the values in a chain's database, and how a block becomes records. Keys: src/store/keys.ts. */
import type { Hash, PublicKey } from '../bytes.ts';
import { bytesKey, equalBytes } from '../bytes.ts';
import type { Header } from '../chain/block.ts';
import { encodeBlock, MAX_BLOCK_TXS, readHeader } from '../chain/block.ts';
import { Reader, Writer } from '../chain/codec.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import type { Receipt } from '../chain/receipt.ts';
import { readReceipt, skipReceipt, writeReceipt } from '../chain/receipt.ts';
import type { StateChanges } from '../chain/state.ts';
import type { Transaction } from '../chain/tx.ts';
import { encodeValidatorSet } from '../chain/validator-set.ts';
import { encodeCertificate } from '../chain/votes.ts';
import type { WriteBatch } from './db.ts';
import { bytesKeyOf, encodeU64, heightKey, KEY, stateDbKey } from './keys.ts';
import type { CommittedBlock, StoredTransaction } from './types.ts';

/** Least encoded size of a receipt, for counts. */
const MIN_RECEIPT_BYTES = 32 + 2 + 8 + 1;

/** Height u64, index u32. */
const PLACE_BYTES = 8 + 4;

/** Above any header of this version. */
const MAX_HEADER_BYTES = 512;

export function putBlock(batch: WriteBatch, committed: CommittedBlock): void {
  const { block, blockId: id, certificate, receipts, changes } = committed;
  const { height, validatorsHash, nextValidatorsHash } = block.header;
  batch.put(heightKey(KEY.BLOCK, height), encodeBlock(block));
  batch.put(heightKey(KEY.CERTIFICATE, height), encodeCertificate(certificate));
  batch.put(heightKey(KEY.RECEIPTS, height), encodeReceipts(receipts));
  batch.put(bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, id), encodeU64(height));
  putPlaces(batch, height, block.txs);
  // The state keeps the sets of three heights; light clients ask for older ones, by the hash in a header.
  if (!equalBytes(validatorsHash, nextValidatorsHash)) {
    const { current } = getSets({ get: (key) => changes.get(key) });
    batch.put(bytesKeyOf(KEY.VALIDATOR_SET, nextValidatorsHash), encodeValidatorSet(current));
  }
}

/** Keys and values are copied when they are put, so that one of each serves all. */
function putPlaces(batch: WriteBatch, height: number, txs: readonly Transaction[]): void {
  const place = new Writer(PLACE_BYTES).u64(height).u32(0).finish();
  const view = new DataView(place.buffer, place.byteOffset, PLACE_BYTES);
  const key = new Uint8Array(1 + 32);
  key[0] = KEY.TRANSACTION;
  txs.forEach((tx, index) => {
    view.setUint32(PLACE_BYTES - 4, index);
    for (let i = 0; i < 32; i++) key[1 + i] = tx.key.charCodeAt(i);
    batch.put(key, place);
  });
}

/** A mark is never lowered: a guard that lost its newest record must not pass for one that is up to date. */
export function putGuardMarks(
  batch: WriteBatch,
  blocks: readonly CommittedBlock[],
  stored: (publicKey: PublicKey) => number,
): void {
  const highest = new Map<string, number>();
  for (const { guard } of blocks) {
    if (!guard) continue;
    const name = bytesKey(guard.publicKey);
    const known = highest.get(name) ?? stored(guard.publicKey);
    if (guard.sequence <= known) continue;
    highest.set(name, guard.sequence);
    batch.put(bytesKeyOf(KEY.GUARD, guard.publicKey), encodeU64(guard.sequence));
  }
}

export function putState(batch: WriteBatch, changes: StateChanges): void {
  changes.forEach((value, key) => {
    if (value === undefined) batch.del(stateDbKey(key));
    else batch.put(stateDbKey(key), value);
  });
}

/** A key that several blocks change is written once. */
export function mergeChanges(blocks: readonly CommittedBlock[]): StateChanges {
  const [first] = blocks;
  if (first && blocks.length === 1) return first.changes;
  return new Map(blocks.flatMap(({ changes }) => [...changes]));
}

function encodeReceipts(receipts: readonly Receipt[]): Uint8Array {
  const writer = new Writer(4 + receipts.length * 64).u32(receipts.length);
  for (const receipt of receipts) writeReceipt(writer, receipt);
  return writer.finish();
}

export function decodeReceipts(bytes: Uint8Array): Receipt[] {
  const reader = new Reader(bytes, 'receipts');
  const count = reader.count32(MAX_BLOCK_TXS, MIN_RECEIPT_BYTES);
  const receipts = Array.from({ length: count }, () => readReceipt(reader));
  reader.end();
  return receipts;
}

/** One of them, without decoding the others; undefined beyond the last. */
export function decodeReceiptOf(bytes: Uint8Array, index: number): Receipt | undefined {
  const reader = new Reader(bytes, 'receipts');
  if (index >= reader.count32(MAX_BLOCK_TXS, MIN_RECEIPT_BYTES)) return undefined;
  for (let i = 0; i < index; i++) skipReceipt(reader);
  return readReceipt(reader);
}

/** Its byte strings are copies, so that a header does not keep its whole block in memory. */
export function decodeHeaderOfBlock(bytes: Uint8Array): Header {
  return readHeader(new Reader(bytes.slice(0, MAX_HEADER_BYTES), 'header'));
}

export function decodePlace(bytes: Uint8Array): StoredTransaction {
  const reader = new Reader(bytes, 'place of a transaction');
  const place = { height: reader.u64(), index: reader.u32() };
  reader.end();
  return place;
}

export function encodeHead(height: number, id: Hash): Uint8Array {
  return new Writer(40).u64(height).fixed(id, 32).finish();
}

export function decodeHead(bytes: Uint8Array): { height: number; id: Hash } {
  const reader = new Reader(bytes, 'head');
  const head = { height: reader.u64(), id: reader.fixed(32) };
  reader.end();
  return head;
}
