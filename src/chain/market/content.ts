/**
 * What a miner is given to work on, and the one encoding of it. It is sealed on its way, and the job's specification
 * holds its hash: the salt keeps that hash from being tried against guesses of a short prompt.
 */
import type { Hash } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher } from '../crypto/types.ts';
import type { BlobRef } from './blob.ts';
import { MAX_BLOB_BYTES, readBlobRef, writeBlobRef } from './blob.ts';
import { readText, writeText } from './text.ts';

/** One piece of input: a message of a conversation, a module, its standard input, … */
export interface ContentPart {
  /** `system`, `user`, `assistant`, `tool`; what the kind says it is; or empty. */
  readonly role: string;
  /** e.g. `text/plain` (always UTF-8), `application/wasm`. */
  readonly mediaType: string;
  readonly data: Uint8Array;
}

/** The same, with its data elsewhere. */
export interface BlobPart extends Omit<ContentPart, 'data'> {
  readonly blob: BlobRef;
}

export type JobPart = ContentPart | BlobPart;

/** Named by the kind; values are texts, numbers among them integers in decimal: `max_tokens`, `temperature_milli`, … */
export interface ContentParam {
  readonly name: string;
  readonly value: string;
}

export interface JobContent {
  /** 32 random bytes. */
  readonly salt: Uint8Array;
  /** In the order given; a name may come again (`stop`, `arg`). */
  readonly params: readonly ContentParam[];
  readonly parts: readonly JobPart[];
}

/** Encoded: what travels with the job. */
export const MAX_CONTENT_BYTES = 1024 * 1024;
/** What is paid for: encoded content, and what its blobs hold. */
export const MAX_INPUT_BYTES = MAX_CONTENT_BYTES + MAX_BLOB_BYTES;
export const MAX_CONTENT_PARTS = 256;
export const MAX_CONTENT_PARAMS = 64;
const MAX_PARAM_BYTES = 4096;
const MAX_ROLE = 32;
const MAX_NAME = 64;
const MAX_MEDIA_TYPE = 128;
/** In place of a length that no data has: the name of a blob follows. */
const BLOB_MARK = 0xff_ff_ff_ff;

export function encodeContent({ salt, params, parts }: JobContent): Uint8Array {
  const writer = new Writer(1024).fixed(salt, 32).u16(params.length);
  for (const { name, value } of params) writeText(writer.ascii8(name), value);
  writer.u16(parts.length);
  for (const part of parts) {
    writer.ascii8(part.role).ascii8(part.mediaType);
    if ('blob' in part) writeBlobRef(writer.u32(BLOB_MARK), part.blob);
    else writer.bytes32(part.data);
  }
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeContent(bytes: Uint8Array): JobContent {
  const reader = new Reader(bytes, 'job content');
  const salt = reader.fixed(32);
  const params: ContentParam[] = [];
  for (let left = reader.count16(MAX_CONTENT_PARAMS, 3); left > 0; left--) {
    params.push({ name: reader.ascii8(MAX_NAME), value: readText(reader, MAX_PARAM_BYTES) });
  }
  const parts: JobPart[] = [];
  for (let left = reader.count16(MAX_CONTENT_PARTS, 6); left > 0; left--) parts.push(readPart(reader));
  if (blobBytesOf(parts) > MAX_BLOB_BYTES) throw reader.reject('over-cap');
  reader.end();
  return { salt, params, parts };
}

/** The blobs among parts, in their order. */
export function blobsOf(parts: readonly JobPart[]): BlobRef[] {
  return parts.flatMap((part) => ('blob' in part ? [part.blob] : []));
}

/** What they hold together. */
export function blobBytesOf(parts: readonly JobPart[]): number {
  return blobsOf(parts).reduce((sum, { bytes }) => sum + bytes, 0);
}

function readPart(reader: Reader): JobPart {
  const role = reader.ascii8(MAX_ROLE);
  const mediaType = reader.ascii8(MAX_MEDIA_TYPE);
  const length = reader.u32();
  if (length === BLOB_MARK) return { role, mediaType, blob: readBlobRef(reader) };
  if (length > MAX_CONTENT_BYTES) throw reader.reject('over-cap');
  return { role, mediaType, data: reader.fixed(length) };
}

export function contentHash(hasher: Hasher, encoded: Uint8Array): Hash {
  return hasher.hash(encoded);
}

/** The last value of a name. */
export function paramOf({ params }: Pick<JobContent, 'params'>, name: string): string | undefined {
  return params.findLast((param) => param.name === name)?.value;
}

export function paramsOf({ params }: Pick<JobContent, 'params'>, name: string): string[] {
  return params.filter((param) => param.name === name).map(({ value }) => value);
}
