/** Headers, blocks and their roots. The header does not hold its own round: certificates, and so rounds, may differ by node. */
import type { Hash, PublicKey } from '../bytes.ts';
import { ZERO_HASH } from '../bytes.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';
import type { Evidence } from './evidence.ts';
import { MAX_EVIDENCE, MIN_EVIDENCE_BYTES, readEvidence, writeEvidence } from './evidence.ts';
import { MAX_CHAIN_ID_BYTES } from './signing.ts';
import type { Transaction } from './tx.ts';
import { decodeTransaction, MAX_TX_BYTES, MIN_TX_BYTES } from './tx.ts';
import type { Certificate } from './votes.ts';
import { encodeCertificate, readCertificate } from './votes.ts';

/** Version of headers and bodies this program knows; a higher one stops its signing (UPGRADE_NEEDED). */
export const PROTOCOL_VERSION = 1;

/** Caps that hold for every network; a genesis may only set lower ones. */
export const MAX_BLOCK_TXS = 20_000;
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;

export interface Header {
  readonly version: number;
  readonly chainId: string;
  readonly height: number;
  /** ms since 1970, UTC. */
  readonly timeMs: number;
  /** Block id of the parent; the genesis hash at height 1. */
  readonly parent: Hash;
  readonly proposer: PublicKey;
  /** List root of the transaction ids. */
  readonly txRoot: Hash;
  /** List root of the hashes of the receipts' bytes. */
  readonly receiptsRoot: Hash;
  /** Root of the state after this block. */
  readonly stateRoot: Hash;
  readonly validatorsHash: Hash;
  readonly nextValidatorsHash: Hash;
  /** SHA-256 of the certificate of the parent; zeros at height 1. */
  readonly lastCommitHash: Hash;
  readonly evidenceRoot: Hash;
}

/** What consensus agrees on. `lastCommit` is null at height 1 only. */
export interface Block {
  readonly header: Header;
  readonly lastCommit: Certificate | null;
  readonly evidence: readonly Evidence[];
  readonly txs: readonly Transaction[];
}

export function writeHeader(writer: Writer, header: Header): void {
  writer
    .u16(header.version)
    .ascii8(header.chainId)
    .u64(header.height)
    .u64(header.timeMs)
    .fixed(header.parent, 32)
    .fixed(header.proposer, 32)
    .fixed(header.txRoot, 32)
    .fixed(header.receiptsRoot, 32)
    .fixed(header.stateRoot, 32)
    .fixed(header.validatorsHash, 32)
    .fixed(header.nextValidatorsHash, 32)
    .fixed(header.lastCommitHash, 32)
    .fixed(header.evidenceRoot, 32);
}

export function readHeader(reader: Reader): Header {
  return {
    version: reader.u16(),
    chainId: reader.ascii8(MAX_CHAIN_ID_BYTES),
    height: reader.u64(),
    timeMs: reader.u64(),
    parent: reader.fixed(32),
    proposer: reader.fixed(32),
    txRoot: reader.fixed(32),
    receiptsRoot: reader.fixed(32),
    stateRoot: reader.fixed(32),
    validatorsHash: reader.fixed(32),
    nextValidatorsHash: reader.fixed(32),
    lastCommitHash: reader.fixed(32),
    evidenceRoot: reader.fixed(32),
  };
}

export function encodeHeader(header: Header): Uint8Array {
  const writer = new Writer(384);
  writeHeader(writer, header);
  return writer.finish();
}

export function decodeHeader(bytes: Uint8Array): Header {
  const reader = new Reader(bytes, 'header');
  const header = readHeader(reader);
  reader.end();
  return header;
}

/** SHA-256 of the header. */
export function blockId(hasher: Hasher, header: Header): Hash {
  return hasher.hash(encodeHeader(header));
}

/** The part of a body besides its transactions; a compact proposal carries it whole. */
export function writeBodyHead(writer: Writer, lastCommit: Certificate | null, evidence: readonly Evidence[]): void {
  writer.bool(lastCommit !== null);
  if (lastCommit !== null) writer.raw(encodeCertificate(lastCommit));
  writer.u16(evidence.length);
  for (const item of evidence) writeEvidence(writer, item);
}

export function readBodyHead(reader: Reader): { lastCommit: Certificate | null; evidence: Evidence[] } {
  const lastCommit = reader.bool() ? readCertificate(reader) : null;
  const count = reader.count16(MAX_EVIDENCE, MIN_EVIDENCE_BYTES);
  const evidence = Array.from({ length: count }, () => readEvidence(reader));
  return { lastCommit, evidence };
}

function writeBlock(writer: Writer, block: Block): void {
  writeHeader(writer, block.header);
  writeBodyHead(writer, block.lastCommit, block.evidence);
  writer.u32(block.txs.length);
  for (const tx of block.txs) writer.bytes32(tx.bytes);
}

export function readBlock(reader: Reader, hasher: Hasher): Block {
  const header = readHeader(reader);
  const { lastCommit, evidence } = readBodyHead(reader);
  const count = reader.count32(MAX_BLOCK_TXS, MIN_TX_BYTES + 4);
  const txs: Transaction[] = [];
  for (let i = 0; i < count; i++) txs.push(decodeTransaction(hasher, reader.bytes32(MAX_TX_BYTES)));
  return { header, lastCommit, evidence, txs };
}

export function encodeBlock(block: Block): Uint8Array {
  const writer = new Writer(1024 + block.txs.length * 256);
  writeBlock(writer, block);
  return writer.finish();
}

/** The transactions keep views of `bytes`. */
export function decodeBlock(hasher: Hasher, bytes: Uint8Array): Block {
  const reader = new Reader(bytes, 'block');
  const block = readBlock(reader, hasher);
  reader.end();
  return block;
}

/** One transaction of an encoded block, without decoding or hashing the others; undefined beyond the last. */
export function decodeTransactionOf(hasher: Hasher, bytes: Uint8Array, index: number): Transaction | undefined {
  const reader = new Reader(bytes, 'block');
  readHeader(reader);
  readBodyHead(reader);
  if (index >= reader.count32(MAX_BLOCK_TXS, MIN_TX_BYTES + 4)) return undefined;
  for (let i = 0; i < index; i++) reader.bytes32(MAX_TX_BYTES);
  return decodeTransaction(hasher, reader.bytes32(MAX_TX_BYTES));
}

export function lastCommitHash(hasher: Hasher, lastCommit: Certificate | null): Hash {
  return lastCommit === null ? ZERO_HASH : hasher.hash(encodeCertificate(lastCommit));
}
