/** What the sign guard keeps, and its bytes. */
import type { Hash, PublicKey } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { ChainContext } from '../chain/signing.ts';
import { MAX_CHAIN_ID_BYTES } from '../chain/signing.ts';
import { MAX_VALIDATORS } from '../chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../chain/votes.ts';
import {
  encodeCertificate,
  MIN_VOTE_BYTES,
  readCertificate,
  readProposal,
  readVote,
  writeProposal,
  writeVote,
} from '../chain/votes.ts';
import { NodeError } from '../errors.ts';

export type GuardStep = 'propose' | 'prevote' | 'precommit';

/** Everything a validator must not forget, as of its newest signature, which is at (height, round, step). */
export interface GuardRecord {
  readonly height: number;
  readonly round: number;
  readonly step: GuardStep;
  /** −1 and null: none. */
  readonly lockedRound: number;
  readonly lockedId: Hash | null;
  readonly validRound: number;
  readonly validId: Hash | null;
  /** What this key signed at this height, the newest included; of rounds more than KEPT_ROUNDS back nothing is kept. */
  readonly signedVotes: readonly Vote[];
  readonly signedProposals: readonly Proposal[];
  /** Votes of any validators that justified entering this round. */
  readonly justification: readonly Vote[];
  /** Quorum of prevotes for the valid value. */
  readonly polka: Certificate | null;
  /** The newest own proposal as it went out, opaque here. */
  readonly proposalMessage: Uint8Array | null;
}

/** Never signed again, and of no use to peers: votes so far below the round of the record are left out. */
export const KEPT_ROUNDS = 16;
const MAX_JUSTIFICATION = 4 * MAX_VALIDATORS;
const MAX_PROPOSAL_MESSAGE_BYTES = 1024 * 1024;

const STEPS: readonly GuardStep[] = ['propose', 'prevote', 'precommit'];
const MAX_SIGNED_VOTES = 2 * (KEPT_ROUNDS + 1);
const MAX_SIGNED_PROPOSALS = KEPT_ROUNDS + 1;
const MIN_PROPOSAL_BYTES = 8 + 4 + 4 + 32 + 32 + 64;
const MAX_VALUE_REFS = 3;

/** Whose signatures a guard is about. */
export interface GuardIdentity extends ChainContext {
  readonly publicKey: PublicKey;
}

/** Names the bytes of a value that lie in a file of their own. */
export interface ValueRef {
  readonly blockId: Hash;
  readonly payloadHash: Hash;
}

/** `floor`: nothing is remembered but that no signature may be made at or below this height. */
export type GuardEntry =
  | { readonly kind: 'floor'; readonly height: number }
  | { readonly kind: 'record'; readonly record: GuardRecord; readonly values: readonly ValueRef[] };

export function stepIndex(step: GuardStep): number {
  return STEPS.indexOf(step);
}

/** Ids of the blocks whose bodies a record needs: locked, valid, and the newest own proposal; each once. */
export function valueIds(record: GuardRecord): Hash[] {
  const own = record.signedProposals.reduce<Proposal | null>(
    (newest, proposal) => (newest === null || proposal.round > newest.round ? proposal : newest),
    null,
  );
  const ids: Hash[] = [];
  for (const id of [record.lockedId, record.validId, own?.blockId ?? null]) {
    if (id !== null && !ids.some((known) => equalBytes(known, id))) ids.push(id);
  }
  return ids;
}

/** The record without what is too old to matter. */
export function pruned(record: GuardRecord): GuardRecord {
  const kept = (signed: { readonly round: number }): boolean => signed.round >= record.round - KEPT_ROUNDS;
  return {
    ...record,
    signedVotes: record.signedVotes.filter(kept),
    signedProposals: record.signedProposals.filter(kept),
  };
}

/** @throws NodeError INTERNAL when a list or the proposal message is above its cap */
export function encodeEntry(identity: GuardIdentity, entry: GuardEntry): Uint8Array {
  const writer = new Writer(1_024)
    .ascii8(identity.chainId)
    .fixed(identity.genesisHash, 32)
    .fixed(identity.publicKey, 32)
    .u8(entry.kind === 'floor' ? 1 : 2);
  if (entry.kind === 'floor') return writer.u64(entry.height).finish();
  writeRecord(writer, entry.record);
  writer.u8(entry.values.length);
  for (const { blockId, payloadHash } of entry.values) writer.fixed(blockId, 32).fixed(payloadHash, 32);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeEntry(payload: Uint8Array): { identity: GuardIdentity; entry: GuardEntry } {
  const reader = new Reader(payload, 'sign guard');
  const identity = {
    chainId: reader.ascii8(MAX_CHAIN_ID_BYTES),
    genesisHash: reader.fixed(32),
    publicKey: reader.fixed(32),
  };
  const kind = reader.u8();
  let entry: GuardEntry;
  if (kind === 1) entry = { kind: 'floor', height: reader.u64() };
  else if (kind === 2) entry = { kind: 'record', record: readRecord(reader), values: readValueRefs(reader) };
  else throw reader.reject('non-canonical');
  reader.end();
  return { identity, entry };
}

export function sameIdentity(a: GuardIdentity, b: GuardIdentity): boolean {
  return a.chainId === b.chainId && equalBytes(a.genesisHash, b.genesisHash) && equalBytes(a.publicKey, b.publicKey);
}

function writeRecord(writer: Writer, record: GuardRecord): void {
  const { signedVotes, signedProposals, justification, polka, proposalMessage } = record;
  checkCap('signed votes', signedVotes.length, MAX_SIGNED_VOTES);
  checkCap('signed proposals', signedProposals.length, MAX_SIGNED_PROPOSALS);
  checkCap('justifying votes', justification.length, MAX_JUSTIFICATION);
  checkCap('bytes of the proposal', proposalMessage?.length ?? 0, MAX_PROPOSAL_MESSAGE_BYTES);
  writer.u64(record.height).u32(record.round).u8(stepIndex(record.step));
  writeMaybeHash(writer.i32(record.lockedRound), record.lockedId);
  writeMaybeHash(writer.i32(record.validRound), record.validId);
  writer.u16(signedVotes.length);
  for (const vote of signedVotes) writeVote(writer, vote);
  writer.u16(signedProposals.length);
  for (const proposal of signedProposals) writeProposal(writer, proposal);
  writer.u16(justification.length);
  for (const vote of justification) writeVote(writer, vote);
  writer.bool(polka !== null);
  if (polka !== null) writer.raw(encodeCertificate(polka));
  writer.bool(proposalMessage !== null);
  if (proposalMessage !== null) writer.bytes32(proposalMessage);
}

function readRecord(reader: Reader): GuardRecord {
  const height = reader.u64();
  const round = reader.u32();
  const step = STEPS[reader.u8()];
  if (step === undefined) throw reader.reject('non-canonical');
  const lockedRound = reader.i32();
  const lockedId = readMaybeHash(reader);
  const validRound = reader.i32();
  const validId = readMaybeHash(reader);
  const votes = reader.count16(MAX_SIGNED_VOTES, MIN_VOTE_BYTES);
  const signedVotes = Array.from({ length: votes }, () => readVote(reader));
  const proposals = reader.count16(MAX_SIGNED_PROPOSALS, MIN_PROPOSAL_BYTES);
  const signedProposals = Array.from({ length: proposals }, () => readProposal(reader));
  const justifying = reader.count16(MAX_JUSTIFICATION, MIN_VOTE_BYTES);
  const justification = Array.from({ length: justifying }, () => readVote(reader));
  const polka = reader.bool() ? readCertificate(reader) : null;
  const proposalMessage = reader.bool() ? reader.bytes32(MAX_PROPOSAL_MESSAGE_BYTES) : null;
  return {
    height,
    round,
    step,
    lockedRound,
    lockedId,
    validRound,
    validId,
    signedVotes,
    signedProposals,
    justification,
    polka,
    proposalMessage,
  };
}

function readValueRefs(reader: Reader): ValueRef[] {
  const count = reader.u8();
  if (count > MAX_VALUE_REFS) throw reader.reject('over-cap');
  return Array.from({ length: count }, () => ({ blockId: reader.fixed(32), payloadHash: reader.fixed(32) }));
}

function writeMaybeHash(writer: Writer, hash: Hash | null): void {
  writer.bool(hash !== null);
  if (hash !== null) writer.fixed(hash, 32);
}

function readMaybeHash(reader: Reader): Hash | null {
  return reader.bool() ? reader.fixed(32) : null;
}

function checkCap(what: string, count: number, cap: number): void {
  if (count > cap) throw new NodeError('INTERNAL', `too many ${what} for the sign guard`, { data: { count, cap } });
}
