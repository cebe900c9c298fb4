/** What a receipt must say: nothing but what the client asked for, agreed to and received. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { WorkReceipt } from '../../chain/market/receipt.ts';

/** Agreed to before the work. */
export type ReceiptTerms = Pick<
  WorkReceipt,
  | 'job'
  | 'attempt'
  | 'agreement'
  | 'quote'
  | 'client'
  | 'signer'
  | 'miner'
  | 'kind'
  | 'model'
  | 'modelDigest'
  | 'inputHash'
  | 'inputBytes'
  | 'price'
  | 'open'
>;

/** Received and counted. */
export interface ReceiptCount extends Pick<WorkReceipt, 'chunks' | 'outputBytes' | 'link' | 'outputHash' | 'dueUait'> {
  readonly isStopping: boolean;
}

/** @returns what is wrong with it, in words; null when it is in order */
export function receiptFault(receipt: WorkReceipt, terms: ReceiptTerms, count: ReceiptCount): string | null {
  const wrong = (what: string): string => `its receipt has another ${what}`;
  for (const name of ['job', 'agreement', 'quote', 'client', 'signer', 'miner', 'inputHash', 'open'] as const) {
    if (!equalBytes(receipt[name], terms[name])) return wrong(name);
  }
  for (const name of ['attempt', 'kind', 'model', 'inputBytes'] as const) {
    if (receipt[name] !== terms[name]) return wrong(name);
  }
  if (!isSameDigest(receipt.modelDigest, terms.modelDigest)) return wrong('modelDigest');
  for (const name of ['fixedUait', 'inputUaitPerKib', 'outputUaitPerKib'] as const) {
    if (receipt.price[name] !== terms.price[name]) return wrong('price');
  }
  for (const name of ['chunks', 'outputBytes', 'dueUait'] as const) {
    if (receipt[name] !== count[name]) return `its receipt has ${receipt[name]} as ${name} where it is ${count[name]}`;
  }
  if (!equalBytes(receipt.outputHash, count.outputHash)) return wrong('outputHash');
  if (!equalBytes(receipt.link, count.link)) return wrong('link');
  if (receipt.finish === 'canceled' && !count.isStopping) return 'it ended the work as canceled, unasked';
  return null;
}

function isSameDigest(a: Hash | null, b: Hash | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}
