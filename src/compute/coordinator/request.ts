/** From what a door asks for to a job that can be signed: checked, encoded, with its nonce. */
import type { Address, Hash } from '../../bytes.ts';
import { utf8 } from '../../bytes.ts';
import { Writer } from '../../chain/codec.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import type { JobContent, JobPart } from '../../chain/market/content.ts';
import { decodeContent, encodeContent, MAX_CONTENT_BYTES } from '../../chain/market/content.ts';
import { MAX_JOB_MS, MAX_KIND, MAX_MODEL } from '../../chain/market/job.ts';
import { MAX_OUTPUT_BYTES } from '../../chain/market/price.ts';
import type { ErrorData } from '../../errors.ts';
import { NodeError } from '../../errors.ts';
import type { JobRequest } from './coordinator.ts';
import { MAX_OWNER_BYTES } from './rows.ts';

const MAX_IDEMPOTENCY_KEY_BYTES = 255;
const ASCII = /^[\x20-\x7e]*$/;

/** @throws NodeError BAD_JOB | TOO_LARGE */
export function checkRequest(request: JobRequest): void {
  const { kind, model, owner, idempotencyKey } = request;
  for (const [name, text, max] of [
    ['kind', kind, MAX_KIND],
    ['model', model, MAX_MODEL],
    ['owner', owner, MAX_OWNER_BYTES],
  ] as const) {
    if (text.length > max || !ASCII.test(text)) throw badJob(`${name} is not up to ${max} characters of plain ASCII`);
  }
  if (kind === '') throw badJob('a job without a kind');
  for (const name of ['queueMs', 'executionMs', 'totalMs'] as const) {
    if (!isIn(request[name], 1, MAX_JOB_MS)) throw badJob(`${name} is not from 1 to ${MAX_JOB_MS}`);
  }
  if (!isIn(request.maxOutputBytes, 0, MAX_OUTPUT_BYTES)) {
    throw badJob(`maxOutputBytes is not from 0 to ${MAX_OUTPUT_BYTES}`);
  }
  if (!isIn(request.maxPriceUait, 0, Number.MAX_SAFE_INTEGER)) throw badJob('maxPriceUait is not an amount');
  if (idempotencyKey !== null && utf8(idempotencyKey).length > MAX_IDEMPOTENCY_KEY_BYTES) {
    throw badJob(`an idempotency key has up to ${MAX_IDEMPOTENCY_KEY_BYTES} bytes`);
  }
}

/** @param salt 32 bytes @throws NodeError BAD_JOB | TOO_LARGE */
export function contentOf({ params, parts }: Pick<JobContent, 'params' | 'parts'>, salt: Uint8Array): Uint8Array {
  const bytes = parts.reduce((sum, part) => sum + ('data' in part ? part.data.length : 0), 0);
  if (bytes > MAX_CONTENT_BYTES) throw tooLarge(bytes);
  let encoded: Uint8Array;
  try {
    encoded = encodeContent({ salt, params, parts });
    decodeContent(encoded);
  } catch (cause) {
    throw badJob('parts or parameters have no encoding', cause);
  }
  if (encoded.length > MAX_CONTENT_BYTES) throw tooLarge(encoded.length);
  return encoded;
}

/** The same key of the same owner gives the same nonce. */
export function nonceOf(hasher: Hasher, client: Address, owner: string, key: string): Uint8Array {
  const writer = new Writer(512).ascii8('AIT/idempotency').fixed(client, 20).ascii8(owner);
  return hasher.hash(writer.bytes16(utf8(key)).finish());
}

/** Of all that makes a request another one: its key apart, and the salt. */
export function requestHash(hasher: Hasher, request: JobRequest): Hash {
  const writer = new Writer(512).ascii8('AIT/request').ascii8(request.kind).ascii8(request.model);
  writer.u32(request.maxOutputBytes).u64(request.maxPriceUait);
  writer.u32(request.queueMs).u32(request.executionMs).u32(request.totalMs);
  const { params, parts } = request;
  const content = contentOf({ params, parts: parts.map(unsealed) }, new Uint8Array(32));
  writer.bool(request.agreement === 'single').fixed(hasher.hash(content), 32);
  return hasher.hash(writer.finish());
}

/** The same input sealed anew has another name, and is the same input. */
function unsealed(part: JobPart): JobPart {
  if ('data' in part) return part;
  return { ...part, blob: { ...part.blob, root: new Uint8Array(32), key: new Uint8Array(32) } };
}

function isIn(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

function badJob(message: string, cause?: unknown): NodeError {
  return new NodeError('BAD_JOB', message, { cause, hint: 'see what the kind takes, and correct the request' });
}

function tooLarge(bytes: number): NodeError {
  const data: ErrorData = { bytes, maxBytes: MAX_CONTENT_BYTES };
  return new NodeError('TOO_LARGE', `the content has ${bytes} bytes, ${MAX_CONTENT_BYTES} are taken`, {
    data,
    hint: 'send less input, upload a part of it as a blob, or split the job',
  });
}
