/** What a client wants done, signed: its id is a hash of it, so that submitting it twice is one job. */
import type { Address, Hash, PublicKey, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher, SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';
import { MAX_INPUT_BYTES } from './content.ts';
import { MAX_OUTPUT_BYTES } from './price.ts';

export interface JobSpec {
  /** Who pays. */
  readonly client: Address;
  /** Session key of the client's coordinator: signs the job, assignments, vouchers and acknowledgements. */
  readonly signer: PublicKey;
  /** 32 bytes: random, or SHA-256 of payer and idempotency key. */
  readonly nonce: Uint8Array;
  readonly kind: string;
  /** Empty: any that has the kind. */
  readonly model: string;
  /** Of the encoded content, which is sealed to the miner. */
  readonly inputHash: Hash;
  /** Of the encoded content, and of what its blobs hold. */
  readonly inputBytes: number;
  readonly maxOutputBytes: number;
  /** Over all attempts. */
  readonly maxPriceUait: number;
  readonly createdAtMs: number;
  /** Longest wait for a miner, at each turn. */
  readonly queueMs: number;
  /** Longest attempt. */
  readonly executionMs: number;
  /** From creation to the end, whatever happens. */
  readonly totalMs: number;
}

export interface SignedJob {
  readonly spec: JobSpec;
  readonly signature: Signature;
}

export const MAX_KIND = 32;
export const MAX_MODEL = 128;
export const MAX_JOB_MS = 24 * 60 * 60 * 1000;
/** Encoded, with its signature. */
export const MAX_JOB_BYTES = 512;

export function jobSignBytes(chain: ChainContext, spec: JobSpec): Uint8Array {
  return writeSpec(signBytesWriter('job', chain, 384), spec).finish();
}

export function signJob(chain: ChainContext, signer: Signer, spec: Omit<JobSpec, 'signer'>): SignedJob {
  const whole = { ...spec, signer: signer.publicKey };
  return { spec: whole, signature: signer.sign(jobSignBytes(chain, whole)) };
}

export function jobCheck(chain: ChainContext, { spec, signature }: SignedJob): SignatureCheck {
  return { message: jobSignBytes(chain, spec), signature, publicKey: spec.signer };
}

/** Bound to the chain by its sign bytes. */
export function jobId(hasher: Hasher, chain: ChainContext, { spec }: Pick<SignedJob, 'spec'>): Hash {
  return hasher.hash(jobSignBytes(chain, spec));
}

/** Each attempt's number is signed by the client alone, and grows: it fences what is left of earlier ones. */
export function attemptId(hasher: Hasher, job: Hash, attempt: number): Hash {
  return hasher.hash(new Writer(64).ascii8('AIT/attempt').fixed(job, 32).u32(attempt).finish());
}

export function writeJob(writer: Writer, { spec, signature }: SignedJob): Writer {
  return writeSpec(writer, spec).fixed(signature, 64);
}

export function encodeJob(job: SignedJob): Uint8Array {
  return writeJob(new Writer(MAX_JOB_BYTES), job).finish();
}

/** @throws NodeError CODEC */
export function decodeJob(bytes: Uint8Array): SignedJob {
  const reader = new Reader(bytes, 'job');
  const job = readJob(reader);
  reader.end();
  return job;
}

function writeSpec(writer: Writer, spec: JobSpec): Writer {
  return writer
    .fixed(spec.client, 20)
    .fixed(spec.signer, 32)
    .fixed(spec.nonce, 32)
    .ascii8(spec.kind)
    .ascii8(spec.model)
    .fixed(spec.inputHash, 32)
    .u32(spec.inputBytes)
    .u32(spec.maxOutputBytes)
    .u64(spec.maxPriceUait)
    .u64(spec.createdAtMs)
    .u32(spec.queueMs)
    .u32(spec.executionMs)
    .u32(spec.totalMs);
}

/** @throws NodeError CODEC */
export function readJob(reader: Reader): SignedJob {
  const spec: JobSpec = {
    client: reader.fixed(20),
    signer: reader.fixed(32),
    nonce: reader.fixed(32),
    kind: reader.ascii8(MAX_KIND),
    model: reader.ascii8(MAX_MODEL),
    inputHash: reader.fixed(32),
    inputBytes: reader.u32(),
    maxOutputBytes: reader.u32(),
    maxPriceUait: reader.u64(),
    createdAtMs: reader.u64(),
    queueMs: reader.u32(),
    executionMs: reader.u32(),
    totalMs: reader.u32(),
  };
  const tooLong = [spec.queueMs, spec.executionMs, spec.totalMs].some((ms) => ms === 0 || ms > MAX_JOB_MS);
  if (tooLong || spec.inputBytes > MAX_INPUT_BYTES || spec.maxOutputBytes > MAX_OUTPUT_BYTES || spec.kind === '') {
    throw reader.reject('out-of-range');
  }
  return { spec, signature: reader.fixed(64) };
}
