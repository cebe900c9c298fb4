/**
 * Bytes of every message in messages.ts, in the chain's one canonical encoding. Decoders throw NodeError CODEC, check
 * counts and lengths against their caps before they allocate, and keep views of the bytes they were given, except of
 * single transactions.
 */
import type { Hash } from '../src/bytes.ts';
import { MAX_BLOCK_TXS, readBlock, readBodyHead, readHeader, writeBodyHead, writeHeader } from '../src/chain/block.ts';
import { Reader, Writer } from '../src/chain/codec.ts';
import type { Hasher } from '../src/chain/crypto/types.ts';
import { decodeEvidence, encodeEvidence } from '../src/chain/evidence.ts';
import type { ChainContext } from '../src/chain/signing.ts';
import { signBytesWriter } from '../src/chain/signing.ts';
import { decodeOffer, encodeOffer } from '../src/chain/market/offer.ts';
import { decodeQuote, decodeQuoteRequest, encodeQuote, encodeQuoteRequest } from '../src/chain/market/quote.ts';
import type { StateManifest } from '../src/chain/state-chunks.ts';
import { decodeManifest, encodeManifest, MAX_CHUNK_BYTES } from '../src/chain/state-chunks.ts';
import type { Transaction } from '../src/chain/tx.ts';
import { decodeTransaction, MAX_TX_BYTES, MIN_TX_BYTES } from '../src/chain/tx.ts';
import { readValidatorSet, writeValidatorSet } from '../src/chain/validator-set.ts';
import type { Vote } from '../src/chain/votes.ts';
import {
  MIN_VOTE_BYTES,
  readCertificate,
  readProposal,
  readVote,
  writeCertificate,
  writeProposal,
  writeVote,
} from '../src/chain/votes.ts';
import { NodeError } from '../src/errors.ts';
import { cappedBlobResponse, decodeBlobRequest, encodeBlobRequest } from './blob.ts';
import type {
  Answer,
  BlocksRequest,
  CertifiedBlock,
  ChunkRequest,
  LightAnswer,
  LightRequest,
  EncodedBlock,
  Method,
  Methods,
  PeerStatus,
  ProposalMessage,
  SignedStatus,
  SnapshotRequest,
  Topic,
  Topics,
  TxsRequest,
  TxBatch,
  VoteBatch,
  VotesRequest,
  VotesResponse,
} from './messages.ts';

export const MAX_BATCH_TXS = 1_024;
export const MAX_BATCH_BYTES = 128 * 1024;
export const MAX_VOTES = 512;
export const MAX_BLOCKS = 256;
export const MAX_TX_IDS = 2_048;
export const MAX_VOTES_PROPOSALS = 8;
export const MAX_PEER_ID_BYTES = 64;

/** Answers of several items stop before the item that would exceed this; the first item always fits. */
export const ANSWER_BYTES = 2 * 1024 * 1024;
/** A genesis of 1 MiB, and the lists of a join document at their caps. */
export const MAX_JOIN_ANSWER_BYTES = (1024 + 256) * 1024;

const MIN_CERTIFICATE_BYTES = 1 + 8 + 4 + 32 + 2;
const MIN_HEADER_BYTES = 2 + 1 + 8 + 8 + 9 * 32;
const MIN_BLOCK_BYTES = MIN_HEADER_BYTES + 1 + 2 + 4;
const MIN_PROPOSAL_MESSAGE_BYTES = 2 + (8 + 4 + 4 + 32 + 32 + 64) + MIN_HEADER_BYTES + 1 + 2 + 4 + 1;

export interface Codec<T, E = T> {
  /** @throws NodeError CODEC when the value has no encoding */
  encode(value: E): Uint8Array;
  /** @throws NodeError CODEC */
  decode(hasher: Hasher, bytes: Uint8Array): T;
}

export const TOPIC_CODECS: { readonly [T in Topic]: Codec<Topics[T]> } = {
  tx: { encode: encodeTxBatch, decode: decodeTxBatch },
  proposal: { encode: encodeProposalMessage, decode: (_, bytes) => decodeProposalMessage(bytes) },
  vote: { encode: encodeVoteBatch, decode: (_, bytes) => decodeVoteBatch(bytes) },
  evidence: { encode: encodeEvidence, decode: (_, bytes) => decodeEvidence(bytes) },
  status: { encode: encodeSignedStatus, decode: (_, bytes) => decodeSignedStatus(bytes) },
  offer: { encode: encodeOffer, decode: (_, bytes) => decodeOffer(bytes) },
};

export const METHOD_CODECS: {
  readonly [M in Method]: {
    readonly request: Codec<Methods[M]['request']>;
    readonly response: Codec<Methods[M]['response'], Answer<M>>;
  };
} = {
  status: {
    request: { encode: encodePeerStatus, decode: (_, bytes) => decodePeerStatus(bytes) },
    response: { encode: encodePeerStatus, decode: (_, bytes) => decodePeerStatus(bytes) },
  },
  blocks: {
    request: { encode: encodeBlocksRequest, decode: (_, bytes) => decodeBlocksRequest(bytes) },
    response: { encode: encodeBlocksResponse, decode: decodeBlocksResponse },
  },
  txs: {
    request: { encode: encodeTxsRequest, decode: (_, bytes) => decodeTxsRequest(bytes) },
    response: { encode: encodeTxsResponse, decode: decodeTxsResponse },
  },
  votes: {
    request: { encode: encodeVotesRequest, decode: (_, bytes) => decodeVotesRequest(bytes) },
    response: { encode: encodeVotesResponse, decode: (_, bytes) => decodeVotesResponse(bytes) },
  },
  light: {
    request: { encode: encodeLightRequest, decode: (_, bytes) => decodeLightRequest(bytes) },
    response: { encode: encodeLightAnswer, decode: (_, bytes) => decodeLightAnswer(bytes) },
  },
  snapshot: {
    request: { encode: encodeSnapshotRequest, decode: (_, bytes) => decodeSnapshotRequest(bytes) },
    response: { encode: encodeSnapshotResponse, decode: decodeSnapshotResponse },
  },
  chunk: {
    request: { encode: encodeChunkRequest, decode: (_, bytes) => decodeChunkRequest(bytes) },
    response: { encode: encodeChunkResponse, decode: (_, bytes) => decodeChunkResponse(bytes) },
  },
  quote: {
    request: { encode: encodeQuoteRequest, decode: (_, bytes) => decodeQuoteRequest(bytes) },
    response: { encode: encodeQuote, decode: (_, bytes) => decodeQuote(bytes) },
  },
  blob: {
    request: { encode: encodeBlobRequest, decode: (_, bytes) => decodeBlobRequest(bytes) },
    response: { encode: cappedBlobResponse, decode: (_, bytes) => cappedBlobResponse(bytes) },
  },
  join: {
    request: { encode: () => new Uint8Array(), decode: (_, bytes) => decodeJoinRequest(bytes) },
    response: { encode: cappedJoinResponse, decode: (_, bytes) => cappedJoinResponse(bytes) },
  },
};

// Gossip

export function encodeTxBatch({ attempt, origin, txs }: TxBatch): Uint8Array {
  const writer = new Writer(5 + origin.length + txs.reduce((sum, tx) => sum + 4 + tx.bytes.length, 0));
  writer.u16(attempt).ascii8(origin);
  writer.u16(capped(txs.length, MAX_BATCH_TXS, 'transaction batch'));
  for (const tx of txs) writer.bytes32(tx.bytes);
  return writer.finish();
}

export function decodeTxBatch(hasher: Hasher, bytes: Uint8Array): TxBatch {
  const reader = new Reader(bytes, 'transaction batch');
  const attempt = reader.u16();
  const origin = reader.ascii8(MAX_PEER_ID_BYTES);
  const txs = readTxs(reader, hasher, reader.count16(MAX_BATCH_TXS, MIN_TX_BYTES + 4));
  if (txs.length === 0) throw reader.reject('non-canonical');
  reader.end();
  return { attempt, origin, txs };
}

export function encodeProposalMessage(message: ProposalMessage): Uint8Array {
  const writer = new Writer(1_024 + message.txIds.length * 32);
  writeProposalMessage(writer, message);
  return writer.finish();
}

export function decodeProposalMessage(bytes: Uint8Array): ProposalMessage {
  const reader = new Reader(bytes, 'proposal message');
  const message = readProposalMessage(reader);
  reader.end();
  return message;
}

export function encodeVoteBatch(batch: VoteBatch): Uint8Array {
  const writer = new Writer(4 + batch.votes.length * (MIN_VOTE_BYTES + 32)).u16(batch.attempt);
  writer.u16(capped(batch.votes.length, MAX_VOTES, 'vote batch'));
  for (const vote of batch.votes) writeVote(writer, vote);
  return writer.finish();
}

export function decodeVoteBatch(bytes: Uint8Array): VoteBatch {
  const reader = new Reader(bytes, 'vote batch');
  const attempt = reader.u16();
  const votes = readVotes(reader);
  if (votes.length === 0) throw reader.reject('non-canonical');
  reader.end();
  return { attempt, votes };
}

function encodeSignedStatus(status: SignedStatus): Uint8Array {
  const writer = new Writer(256);
  writeStatusFields(writer, status);
  return writer.fixed(status.validator, 32).fixed(status.signature, 64).finish();
}

function decodeSignedStatus(bytes: Uint8Array): SignedStatus {
  const reader = new Reader(bytes, 'signed status');
  const status = {
    height: reader.u64(),
    blockId: reader.fixed(32),
    timeMs: reader.u64(),
    peerId: reader.ascii8(MAX_PEER_ID_BYTES),
    validator: reader.fixed(32),
    signature: reader.fixed(64),
  };
  reader.end();
  return status;
}

/** What the validator's key signs: all fields but the key and the signature. */
export function statusSignBytes(
  chain: ChainContext,
  status: Omit<SignedStatus, 'validator' | 'signature'>,
): Uint8Array {
  const writer = signBytesWriter('status', chain);
  writeStatusFields(writer, status);
  return writer.finish();
}

// Requests

function encodePeerStatus(status: PeerStatus): Uint8Array {
  const writer = new Writer(512)
    .fixed(status.genesisHash, 32)
    .u64(status.baseHeight)
    .u64(status.height)
    .fixed(status.blockId, 32)
    .bool(status.certificate !== null);
  if (status.certificate !== null) writeCertificate(writer, status.certificate);
  return writer.finish();
}

function decodePeerStatus(bytes: Uint8Array): PeerStatus {
  const reader = new Reader(bytes, 'peer status');
  const genesisHash = reader.fixed(32);
  const baseHeight = reader.u64();
  const height = reader.u64();
  const blockId = reader.fixed(32);
  const certificate = reader.bool() ? readCertificate(reader) : null;
  if ((certificate === null) !== (height === 0)) throw reader.reject('non-canonical');
  reader.end();
  return { genesisHash, baseHeight, height, blockId, certificate };
}

export function encodeBlocksRequest(request: BlocksRequest): Uint8Array {
  return new Writer(10)
    .u64(request.from)
    .u16(capped(request.count, MAX_BLOCKS, 'blocks request'))
    .finish();
}

export function decodeBlocksRequest(bytes: Uint8Array): BlocksRequest {
  const reader = new Reader(bytes, 'blocks request');
  const from = reader.u64();
  const count = reader.count16(MAX_BLOCKS, 0);
  if (from === 0 || count === 0) throw reader.reject('out-of-range');
  reader.end();
  return { from, count };
}

/** The longest prefix that fits: an answer may be partial. */
function encodeBlocksResponse(blocks: readonly EncodedBlock[]): Uint8Array {
  return encodePrefix(blocks, MAX_BLOCKS, ({ block, certificate }) => [block, certificate]);
}

function decodeBlocksResponse(hasher: Hasher, bytes: Uint8Array): CertifiedBlock[] {
  const reader = new Reader(bytes, 'blocks response');
  const count = reader.count16(MAX_BLOCKS, MIN_BLOCK_BYTES + MIN_CERTIFICATE_BYTES);
  const blocks: CertifiedBlock[] = [];
  for (let i = 0; i < count; i++) {
    const block = readBlock(reader, hasher);
    blocks.push({ block, certificate: readCertificate(reader) });
  }
  reader.end();
  return blocks;
}

export function encodeTxsRequest(request: TxsRequest): Uint8Array {
  const writer = new Writer(2 + request.ids.length * 32);
  writer.u16(capped(request.ids.length, MAX_TX_IDS, 'transactions request'));
  for (const id of request.ids) writer.fixed(id, 32);
  return writer.finish();
}

export function decodeTxsRequest(bytes: Uint8Array): TxsRequest {
  const reader = new Reader(bytes, 'transactions request');
  const ids = readHashes(reader, reader.count16(MAX_TX_IDS, 32));
  if (ids.length === 0) throw reader.reject('out-of-range');
  reader.end();
  return { ids };
}

/** The longest prefix that fits: an answer may be partial. */
export function encodeTxsResponse(txs: readonly Transaction[]): Uint8Array {
  return encodePrefix(txs, MAX_TX_IDS, (tx) => [new Writer(4).u32(tx.bytes.length).finish(), tx.bytes]);
}

export function decodeTxsResponse(hasher: Hasher, bytes: Uint8Array): Transaction[] {
  const reader = new Reader(bytes, 'transactions response');
  const txs = readTxs(reader, hasher, reader.count16(MAX_TX_IDS, MIN_TX_BYTES + 4));
  reader.end();
  return txs;
}

export function encodeVotesRequest(request: VotesRequest): Uint8Array {
  return new Writer(12).u64(request.height).u32(request.round).finish();
}

function decodeVotesRequest(bytes: Uint8Array): VotesRequest {
  const reader = new Reader(bytes, 'votes request');
  const request = { height: reader.u64(), round: reader.u32() };
  if (request.height === 0) throw reader.reject('out-of-range');
  reader.end();
  return request;
}

/** The first votes up to the cap, and the longest prefix of proposals that fits beside them. */
export function encodeVotesResponse(response: VotesResponse): Uint8Array {
  const votes = response.votes.slice(0, MAX_VOTES);
  const writer = new Writer(4 + votes.length * (MIN_VOTE_BYTES + 32)).u16(votes.length);
  for (const vote of votes) writeVote(writer, vote);
  const proposals = encodePrefix(response.proposals, MAX_VOTES_PROPOSALS, (message) => [
    encodeProposalMessage(message),
  ]);
  return writer.raw(proposals).finish();
}

export function decodeVotesResponse(bytes: Uint8Array): VotesResponse {
  const reader = new Reader(bytes, 'votes response');
  const votes = readVotes(reader);
  const count = reader.count16(MAX_VOTES_PROPOSALS, MIN_PROPOSAL_MESSAGE_BYTES);
  const proposals = Array.from({ length: count }, () => readProposalMessage(reader));
  reader.end();
  return { votes, proposals };
}

function encodeLightRequest({ height }: LightRequest): Uint8Array {
  return new Writer(8).u64(height).finish();
}

function decodeLightRequest(bytes: Uint8Array): LightRequest {
  const reader = new Reader(bytes, 'light request');
  const height = reader.u64();
  if (height === 0) throw reader.reject('out-of-range');
  reader.end();
  return { height };
}

function encodeLightAnswer({ header, certificate, validators, nextValidators }: LightAnswer): Uint8Array {
  const writer = new Writer(2_048);
  writeHeader(writer, header);
  writeCertificate(writer, certificate);
  writeValidatorSet(writer, validators);
  writeValidatorSet(writer, nextValidators);
  return writer.finish();
}

function decodeLightAnswer(bytes: Uint8Array): LightAnswer {
  const reader = new Reader(bytes, 'light answer');
  const answer = {
    header: readHeader(reader),
    certificate: readCertificate(reader),
    validators: readValidatorSet(reader),
    nextValidators: readValidatorSet(reader),
  };
  reader.end();
  return answer;
}

function encodeSnapshotRequest({ below }: SnapshotRequest): Uint8Array {
  return new Writer(8).u64(below).finish();
}

function decodeSnapshotRequest(bytes: Uint8Array): SnapshotRequest {
  const reader = new Reader(bytes, 'snapshot request');
  const below = reader.u64();
  reader.end();
  return { below };
}

/** Nothing at all when there is none. */
function encodeSnapshotResponse(manifest: StateManifest | null): Uint8Array {
  return manifest ? encodeManifest(manifest) : new Uint8Array();
}

function decodeSnapshotResponse(hasher: Hasher, bytes: Uint8Array): StateManifest | null {
  return bytes.length === 0 ? null : decodeManifest(hasher, bytes);
}

function encodeChunkRequest({ manifest, index }: ChunkRequest): Uint8Array {
  return new Writer(36).fixed(manifest, 32).u32(index).finish();
}

function decodeChunkRequest(bytes: Uint8Array): ChunkRequest {
  const reader = new Reader(bytes, 'chunk request');
  const request = { manifest: reader.fixed(32), index: reader.u32() };
  reader.end();
  return request;
}

function encodeChunkResponse(chunk: Uint8Array): Uint8Array {
  capped(chunk.length, MAX_CHUNK_BYTES, 'chunk response');
  return chunk;
}

/** As it is: who asked checks it against the manifest, entries and all. */
function decodeChunkResponse(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_CHUNK_BYTES) throw new Reader(bytes, 'chunk response').reject('over-cap');
  return bytes;
}

function decodeJoinRequest(bytes: Uint8Array): null {
  new Reader(bytes, 'join request').end();
  return null;
}

/** As it is: who asked reads it as a join document, and verifies it. */
function cappedJoinResponse(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_JOIN_ANSWER_BYTES) throw new Reader(bytes, 'join response').reject('over-cap');
  return bytes;
}

// Parts

function writeProposalMessage(writer: Writer, message: ProposalMessage): void {
  writer.u16(message.attempt);
  writeProposal(writer, message.proposal);
  writeHeader(writer, message.header);
  writeBodyHead(writer, message.lastCommit, message.evidence);
  writer.u32(capped(message.txIds.length, MAX_BLOCK_TXS, 'proposal message'));
  for (const id of message.txIds) writer.fixed(id, 32);
  writer.bool(message.polka !== null);
  if (message.polka !== null) writeCertificate(writer, message.polka);
}

function readProposalMessage(reader: Reader): ProposalMessage {
  const attempt = reader.u16();
  const proposal = readProposal(reader);
  const header = readHeader(reader);
  const { lastCommit, evidence } = readBodyHead(reader);
  const txIds = readHashes(reader, reader.count32(MAX_BLOCK_TXS, 32));
  const polka = reader.bool() ? readCertificate(reader) : null;
  return { attempt, proposal, header, lastCommit, evidence, txIds, polka };
}

function writeStatusFields(writer: Writer, status: Omit<SignedStatus, 'validator' | 'signature'>): void {
  writer.u64(status.height).fixed(status.blockId, 32).u64(status.timeMs).ascii8(status.peerId);
}

/** Copies each one: a transaction stays in the pool after its message, which may be a thousand times larger, is gone. */
function readTxs(reader: Reader, hasher: Hasher, count: number): Transaction[] {
  const txs: Transaction[] = [];
  for (let i = 0; i < count; i++) txs.push(decodeTransaction(hasher, reader.bytes32(MAX_TX_BYTES).slice()));
  return txs;
}

function readVotes(reader: Reader): Vote[] {
  const count = reader.count16(MAX_VOTES, MIN_VOTE_BYTES);
  return Array.from({ length: count }, () => readVote(reader));
}

function readHashes(reader: Reader, count: number): Hash[] {
  return Array.from({ length: count }, () => reader.fixed(32));
}

function capped(count: number, cap: number, what: string): number {
  if (count > cap) throw new NodeError('CODEC', `cannot encode ${what}: over-cap`, { data: { what, count, cap } });
  return count;
}

/**
 * u16 count, then that many items; stops at `cap` items or before the item that would exceed {@link ANSWER_BYTES}.
 *
 * @param encode the parts of an item
 */
function encodePrefix<T>(items: readonly T[], cap: number, encode: (item: T) => readonly Uint8Array[]): Uint8Array {
  const taken: Uint8Array[] = [];
  let count = 0;
  let size = 2;
  for (const item of items.slice(0, cap)) {
    const parts = encode(item);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (count > 0 && size + length > ANSWER_BYTES) break;
    taken.push(...parts);
    count += 1;
    size += length;
  }
  const writer = new Writer(size).u16(count);
  for (const part of taken) writer.raw(part);
  return writer.finish();
}
