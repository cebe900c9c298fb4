/**
 * A job's work as a file: all that is needed to do it again and to hold the result against what its miner signed. With the hash
 * of what came of that it is a proof, which whoever doubts it does once more.
 */
import { base64 } from '@scure/base';
import type { Hash } from '../../bytes.ts';
import { equalBytes, fromHex, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { Hasher } from '../crypto/types.ts';
import { checkKeys, jsonHex, jsonObject, jsonString } from '../json.ts';
import type { Json } from '../modules/types.ts';
import { contentHash, MAX_CONTENT_BYTES } from './content.ts';
import type { SignedJob } from './job.ts';
import { decodeJob, encodeJob, jobId } from './job.ts';
import type { ReceiptDocument, ReceiptJson } from './receipt-json.ts';
import { receiptFromJson, receiptToJson } from './receipt-json.ts';

export const WORK_FORMAT = 'aitbc-work/1';

export interface WorkDocument {
  readonly receipt: ReceiptDocument;
  readonly job: SignedJob;
  /** Encoded, with its salt. */
  readonly content: Uint8Array;
  /** Of what came of doing it again; null: not known. */
  readonly replayedHash: Hash | null;
}

export interface WorkJson {
  readonly format: typeof WORK_FORMAT;
  readonly receipt: ReceiptJson;
  /** Encoded with its signature, in hex. */
  readonly job: string;
  /** Its input, encoded with its salt, in base64: parameters and parts. */
  readonly content: string;
  /** SHA-256 of the output that doing it again gave, in hex. */
  readonly replayed_hash: string | null;
}

/** Four thirds of the largest content, and room for the rest. */
export const MAX_WORK_CHARACTERS = Math.ceil((MAX_CONTENT_BYTES * 4) / 3) + 64 * 1024;

export function workToJson(hasher: Hasher, { receipt, job, content, replayedHash }: WorkDocument): WorkJson {
  return {
    format: WORK_FORMAT,
    receipt: receiptToJson(hasher, receipt),
    job: toHex(encodeJob(job)),
    content: base64.encode(content),
    replayed_hash: replayedHash && toHex(replayedHash),
  };
}

/**
 * Verifies no signature; that job, input and receipt belong together is checked.
 *
 * @throws NodeError INVALID_PARAMS for what is no such file, BAD_RECEIPT when its parts do not belong together
 */
export function workFromJson(hasher: Hasher, json: Json): WorkDocument {
  const root = jsonObject(json, 'work');
  checkKeys(root, ['format', 'receipt', 'job', 'content', 'replayed_hash']);
  if (root['format'] !== WORK_FORMAT) {
    throw new NodeError('INVALID_PARAMS', `"format" must be ${WORK_FORMAT}`, { hint: 'a newer program wrote it' });
  }
  const receipt = receiptFromJson(hasher, root['receipt'] ?? null);
  const job = decodeJob(fromHex(jsonString(root['job'], 'job')));
  const content = contentOf(jsonString(root['content'], 'content'));
  const replayedHash = root['replayed_hash'] === null ? null : jsonHex(root['replayed_hash'], 'replayed_hash', 32);
  const { signed, chain } = receipt;
  if (!equalBytes(jobId(hasher, chain, job), signed.receipt.job)) throw notItsOwn('job');
  if (!equalBytes(contentHash(hasher, content), signed.receipt.inputHash)) throw notItsOwn('content');
  return { receipt, job, content, replayedHash };
}

function contentOf(text: string): Uint8Array {
  try {
    const content = base64.decode(text);
    if (content.length <= MAX_CONTENT_BYTES) return content;
  } catch {
    // Told below.
  }
  throw new NodeError('INVALID_PARAMS', `"content" must be base64 of at most ${MAX_CONTENT_BYTES} bytes`);
}

function notItsOwn(field: string): NodeError {
  return new NodeError('BAD_RECEIPT', `the receipt does not hold: it is about another ${field}`, {
    data: { check: field },
    hint: 'use job, input and receipt of one and the same job',
  });
}
