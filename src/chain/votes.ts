/** Votes, proposals' signatures and certificates: what validators sign, and the proof that a quorum did. */
import type { Hash, PublicKey, Signature } from '../bytes.ts';
import { compareBytes, equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { Reader, Writer } from './codec.ts';
import type { SignatureCheck, Verifier } from './crypto/types.ts';
import type { ChainContext } from './signing.ts';
import { signBytesWriter } from './signing.ts';
import type { ValidatorSet } from './validator-set.ts';
import { hasQuorum, MAX_VALIDATORS, validatorIndex } from './validator-set.ts';

export type VoteType = 'prevote' | 'precommit';

/** A signed vote. `blockId` null is a vote for nil. */
export interface Vote {
  readonly type: VoteType;
  readonly height: number;
  readonly round: number;
  readonly blockId: Hash | null;
  readonly validator: PublicKey;
  readonly signature: Signature;
}

/** The signed core of a proposal. `polRound` −1: fresh value; otherwise the round whose polka justifies it. */
export interface Proposal {
  readonly height: number;
  readonly round: number;
  readonly polRound: number;
  readonly blockId: Hash;
  readonly proposer: PublicKey;
  readonly signature: Signature;
}

/**
 * A quorum of signatures on one block id in one round: of precommits it is the commit certificate stored with each
 * block (the light client's proof), of prevotes it is a polka certificate. Signers are indexes into the set of that
 * height, strictly ascending.
 */
export interface Certificate {
  readonly type: VoteType;
  readonly height: number;
  readonly round: number;
  readonly blockId: Hash;
  readonly signers: readonly number[];
  readonly signatures: readonly Signature[];
}

export function voteSignBytes(
  chain: ChainContext,
  vote: Pick<Vote, 'type' | 'height' | 'round' | 'blockId'>,
): Uint8Array {
  const writer = signBytesWriter(vote.type, chain)
    .u64(vote.height)
    .u32(vote.round)
    .bool(vote.blockId !== null);
  if (vote.blockId !== null) writer.fixed(vote.blockId, 32);
  return writer.finish();
}

export function proposalSignBytes(
  chain: ChainContext,
  proposal: Pick<Proposal, 'height' | 'round' | 'polRound' | 'blockId'>,
): Uint8Array {
  return signBytesWriter('proposal', chain)
    .u64(proposal.height)
    .u32(proposal.round)
    .i32(proposal.polRound)
    .fixed(proposal.blockId, 32)
    .finish();
}

export function voteCheck(chain: ChainContext, vote: Vote): SignatureCheck {
  return { message: voteSignBytes(chain, vote), signature: vote.signature, publicKey: vote.validator };
}

export function proposalCheck(chain: ChainContext, proposal: Proposal): SignatureCheck {
  return {
    message: proposalSignBytes(chain, proposal),
    signature: proposal.signature,
    publicKey: proposal.proposer,
  };
}

// Codec

export function writeVote(writer: Writer, vote: Vote): void {
  writer
    .u8(vote.type === 'prevote' ? 1 : 2)
    .u64(vote.height)
    .u32(vote.round)
    .bool(vote.blockId !== null);
  if (vote.blockId !== null) writer.fixed(vote.blockId, 32);
  writer.fixed(vote.validator, 32).fixed(vote.signature, 64);
}

export function readVote(reader: Reader): Vote {
  const type = readVoteType(reader);
  const height = reader.u64();
  const round = reader.u32();
  const blockId = reader.bool() ? reader.fixed(32) : null;
  return { type, height, round, blockId, validator: reader.fixed(32), signature: reader.fixed(64) };
}

/** Least encoded size of a vote, for counts. */
export const MIN_VOTE_BYTES = 1 + 8 + 4 + 1 + 32 + 64;

export function encodeVote(vote: Vote): Uint8Array {
  const writer = new Writer(160);
  writeVote(writer, vote);
  return writer.finish();
}

export function decodeVote(bytes: Uint8Array): Vote {
  const reader = new Reader(bytes, 'vote');
  const vote = readVote(reader);
  reader.end();
  return vote;
}

export function writeProposal(writer: Writer, proposal: Proposal): void {
  writer
    .u64(proposal.height)
    .u32(proposal.round)
    .i32(proposal.polRound)
    .fixed(proposal.blockId, 32)
    .fixed(proposal.proposer, 32)
    .fixed(proposal.signature, 64);
}

export function readProposal(reader: Reader): Proposal {
  const height = reader.u64();
  const round = reader.u32();
  const polRound = reader.i32();
  if (polRound < -1 || polRound >= round) throw reader.reject('non-canonical');
  return {
    height,
    round,
    polRound,
    blockId: reader.fixed(32),
    proposer: reader.fixed(32),
    signature: reader.fixed(64),
  };
}

export function writeCertificate(writer: Writer, certificate: Certificate): void {
  writer
    .u8(certificate.type === 'prevote' ? 1 : 2)
    .u64(certificate.height)
    .u32(certificate.round)
    .fixed(certificate.blockId, 32)
    .u16(certificate.signers.length);
  certificate.signers.forEach((signer, i) => {
    writer.u16(signer).fixed(certificate.signatures[i] ?? new Uint8Array(), 64);
  });
}

export function readCertificate(reader: Reader): Certificate {
  const type = readVoteType(reader);
  const height = reader.u64();
  const round = reader.u32();
  const blockId = reader.fixed(32);
  const count = reader.count16(MAX_VALIDATORS, 66);
  const signers: number[] = [];
  const signatures: Signature[] = [];
  for (let i = 0; i < count; i++) {
    const signer = reader.u16();
    if (signer >= MAX_VALIDATORS || signer <= (signers.at(-1) ?? -1)) throw reader.reject('non-canonical');
    signers.push(signer);
    signatures.push(reader.fixed(64));
  }
  return { type, height, round, blockId, signers, signatures };
}

export function encodeCertificate(certificate: Certificate): Uint8Array {
  const writer = new Writer(64 + certificate.signers.length * 66);
  writeCertificate(writer, certificate);
  return writer.finish();
}

export function decodeCertificate(bytes: Uint8Array): Certificate {
  const reader = new Reader(bytes, 'certificate');
  const certificate = readCertificate(reader);
  reader.end();
  return certificate;
}

function readVoteType(reader: Reader): VoteType {
  const type = reader.u8();
  if (type !== 1 && type !== 2) throw reader.reject('non-canonical');
  return type === 1 ? 'prevote' : 'precommit';
}

// Certificates

/** Builds a certificate from votes that agree on (type, height, round, blockId), without those of strangers and repeats. */
export function certificateFromVotes(set: ValidatorSet, votes: readonly Vote[]): Certificate {
  const first = votes[0];
  if (!first || first.blockId === null) throw new NodeError('INTERNAL', 'a certificate needs votes for a block');
  const entries = votes
    .map((vote) => ({ signer: validatorIndex(set, vote.validator), vote }))
    .filter(({ signer }) => signer >= 0)
    .sort((a, b) => a.signer - b.signer)
    .filter(({ signer }, i, all) => signer !== all[i - 1]?.signer);
  return {
    type: first.type,
    height: first.height,
    round: first.round,
    blockId: first.blockId,
    signers: entries.map(({ signer }) => signer),
    signatures: entries.map(({ vote }) => vote.signature),
  };
}

/** The votes a certificate consists of. @throws NodeError BAD_CERTIFICATE when an index lies outside the set */
export function votesOfCertificate(set: ValidatorSet, certificate: Certificate): Vote[] {
  return certificate.signers.map((signer, i) => {
    const validator = set.validators[signer];
    const signature = certificate.signatures[i];
    if (!validator || !signature) throw badCertificate('signer outside the validator set', certificate);
    return {
      type: certificate.type,
      height: certificate.height,
      round: certificate.round,
      blockId: certificate.blockId,
      validator: validator.publicKey,
      signature,
    };
  });
}

/** The signatures to check for a certificate whose structure and power were checked by `checkCertificatePower`. */
export function certificateChecks(chain: ChainContext, set: ValidatorSet, certificate: Certificate): SignatureCheck[] {
  const message = voteSignBytes(chain, certificate);
  return votesOfCertificate(set, certificate).map((vote) => ({
    message,
    signature: vote.signature,
    publicKey: vote.validator,
  }));
}

/** @throws NodeError BAD_CERTIFICATE unless distinct signers of the set hold a quorum of its power */
export function checkCertificatePower(set: ValidatorSet, certificate: Certificate): void {
  let power = 0;
  let previous = -1;
  for (const signer of certificate.signers) {
    const validator = set.validators[signer];
    if (!validator) throw badCertificate('signer outside the validator set', certificate);
    if (signer <= previous) throw badCertificate('signers not strictly ascending', certificate);
    previous = signer;
    power += validator.power;
  }
  if (!hasQuorum(set, power)) throw badCertificate('not a quorum of the power', certificate);
}

/** Power and every signature. @throws NodeError BAD_CERTIFICATE */
export function verifyCertificate(
  verifier: Verifier,
  chain: ChainContext,
  set: ValidatorSet,
  certificate: Certificate,
): void {
  checkCertificatePower(set, certificate);
  for (const check of certificateChecks(chain, set, certificate)) {
    if (!verifier.verify(check.message, check.signature, check.publicKey)) {
      throw badCertificate('a signature does not verify', certificate);
    }
  }
}

function badCertificate(reason: string, certificate: Certificate): NodeError {
  return new NodeError('BAD_CERTIFICATE', `certificate of height ${certificate.height}: ${reason}`, {
    data: { height: certificate.height, round: certificate.round, reason },
  });
}

/** Same value voted for, nil included. */
export function sameBlockId(a: Hash | null, b: Hash | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}

/** Orders two votes of an equivocation, so that one offence has one encoding. */
export function compareVotes(a: Vote, b: Vote): number {
  return compareBytes(encodeVote(a), encodeVote(b));
}
