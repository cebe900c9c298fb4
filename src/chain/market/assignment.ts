/** The client's word that starts work, and nothing else does: one attempt at one job, by one miner, under one agreement. */
import type { Address, Hash, PublicKey, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';

export interface Assignment {
  readonly job: Hash;
  /** From 1; grows with each, so that it fences earlier ones. */
  readonly attempt: number;
  readonly agreement: Hash;
  readonly quote: Hash;
  readonly miner: Address;
  /** What the client counts as due under the agreement before this attempt: the voucher that comes with it is above that. */
  readonly baseUait: number;
  /** Most that this attempt may cost. */
  readonly maxUait: number;
  /** Longest time from assignment to end. */
  readonly executionMs: number;
  /** X25519 of the client: what the output is sealed to. */
  readonly sealTo: Uint8Array;
  /** No further job comes under this agreement: the miner releases it when this one has ended. */
  readonly single: boolean;
}

export interface SignedAssignment {
  readonly assignment: Assignment;
  readonly signature: Signature;
}

export const ASSIGNMENT_BYTES = 32 + 4 + 32 + 32 + 20 + 8 + 8 + 4 + 32 + 1 + 64;

export function assignmentSignBytes(chain: ChainContext, assignment: Assignment): Uint8Array {
  return writeAssignment(signBytesWriter('assignment', chain, 320), assignment).finish();
}

export function signAssignment(chain: ChainContext, signer: Signer, assignment: Assignment): SignedAssignment {
  return { assignment, signature: signer.sign(assignmentSignBytes(chain, assignment)) };
}

/** @param signer the agreement's session key */
export function assignmentCheck(chain: ChainContext, signed: SignedAssignment, signer: PublicKey): SignatureCheck {
  return {
    message: assignmentSignBytes(chain, signed.assignment),
    signature: signed.signature,
    publicKey: signer,
  };
}

export function encodeAssignment({ assignment, signature }: SignedAssignment): Uint8Array {
  return writeAssignment(new Writer(ASSIGNMENT_BYTES), assignment).fixed(signature, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeAssignment(bytes: Uint8Array): SignedAssignment {
  const reader = new Reader(bytes, 'assignment');
  const assignment: Assignment = {
    job: reader.fixed(32),
    attempt: reader.u32(),
    agreement: reader.fixed(32),
    quote: reader.fixed(32),
    miner: reader.fixed(20),
    baseUait: reader.u64(),
    maxUait: reader.u64(),
    executionMs: reader.u32(),
    sealTo: reader.fixed(32),
    single: reader.bool(),
  };
  if (assignment.attempt === 0) throw reader.reject('out-of-range');
  const signature = reader.fixed(64);
  reader.end();
  return { assignment, signature };
}

function writeAssignment(writer: Writer, assignment: Assignment): Writer {
  return writer
    .fixed(assignment.job, 32)
    .u32(assignment.attempt)
    .fixed(assignment.agreement, 32)
    .fixed(assignment.quote, 32)
    .fixed(assignment.miner, 20)
    .u64(assignment.baseUait)
    .u64(assignment.maxUait)
    .u32(assignment.executionMs)
    .fixed(assignment.sealTo, 32)
    .bool(assignment.single);
}
