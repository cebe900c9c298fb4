/**
 * What both sides agree was done and is due: signed by the miner, acknowledged by the client, and whole in itself. It holds
 * the transaction that opened the agreement, by which the client's account named the session key that acknowledges.
 */
import type { Address, Hash, PublicKey, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher, SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';
import { MAX_KIND, MAX_MODEL } from './job.ts';
import type { Price } from './price.ts';
import { readPrice, writePrice } from './price.ts';

/** How the work ended: by itself, at a limit of the job, or stopped by the client. */
export const FINISHES = ['stop', 'length', 'canceled'] as const;

export type Finish = (typeof FINISHES)[number];

export interface WorkReceipt {
  readonly job: Hash;
  readonly attempt: number;
  readonly agreement: Hash;
  readonly quote: Hash;
  readonly client: Address;
  /** Session key of the agreement. */
  readonly signer: PublicKey;
  /** Account key. */
  readonly miner: PublicKey;
  readonly kind: string;
  readonly model: string;
  readonly modelDigest: Hash | null;
  /** Of the encoded content. */
  readonly inputHash: Hash;
  readonly inputBytes: number;
  /** SHA-256 of all output. */
  readonly outputHash: Hash;
  readonly outputBytes: number;
  readonly chunks: number;
  /** Of the last piece. */
  readonly link: Hash;
  readonly price: Price;
  /** By the price, from the bytes above. */
  readonly dueUait: number;
  readonly finish: Finish;
  /** As the back end counted; reported, not billed. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** The miner's clock. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The signed `agreement.open`, as in its block. */
  readonly open: Uint8Array;
}

export interface SignedReceipt {
  readonly receipt: WorkReceipt;
  /** Of the miner, over the receipt. */
  readonly signature: Signature;
}

export const MAX_OPEN_BYTES = 512;
export const MAX_RECEIPT_BYTES = 2048;

export function receiptSignBytes(chain: ChainContext, receipt: WorkReceipt): Uint8Array {
  return writeFields(signBytesWriter('receipt', chain, 1200), receipt).finish();
}

export function signReceipt(chain: ChainContext, miner: Signer, receipt: WorkReceipt): SignedReceipt {
  return { receipt, signature: miner.sign(receiptSignBytes(chain, receipt)) };
}

export function receiptCheck(chain: ChainContext, { receipt, signature }: SignedReceipt): SignatureCheck {
  return { message: receiptSignBytes(chain, receipt), signature, publicKey: receipt.miner };
}

/** Of what the miner signs: the same before and after acknowledgement and anchoring. */
export function receiptId(hasher: Hasher, chain: ChainContext, receipt: WorkReceipt): Hash {
  return hasher.hash(receiptSignBytes(chain, receipt));
}

export function acknowledgementSignBytes(chain: ChainContext, id: Hash): Uint8Array {
  return signBytesWriter('acknowledgement', chain, 128).fixed(id, 32).finish();
}

export function acknowledge(chain: ChainContext, signer: Signer, id: Hash): Signature {
  return signer.sign(acknowledgementSignBytes(chain, id));
}

/** @param signer session key, as in the receipt */
export function acknowledgementCheck(
  chain: ChainContext,
  id: Hash,
  signature: Signature,
  signer: PublicKey,
): SignatureCheck {
  return { message: acknowledgementSignBytes(chain, id), signature, publicKey: signer };
}

export function encodeReceipt({ receipt, signature }: SignedReceipt): Uint8Array {
  return writeFields(new Writer(MAX_RECEIPT_BYTES), receipt).fixed(signature, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeReceipt(bytes: Uint8Array): SignedReceipt {
  const reader = new Reader(bytes, 'receipt');
  const receipt: WorkReceipt = {
    job: reader.fixed(32),
    attempt: reader.u32(),
    agreement: reader.fixed(32),
    quote: reader.fixed(32),
    client: reader.fixed(20),
    signer: reader.fixed(32),
    miner: reader.fixed(32),
    kind: reader.ascii8(MAX_KIND),
    model: reader.ascii8(MAX_MODEL),
    modelDigest: reader.bool() ? reader.fixed(32) : null,
    inputHash: reader.fixed(32),
    inputBytes: reader.u32(),
    outputHash: reader.fixed(32),
    outputBytes: reader.u32(),
    chunks: reader.u32(),
    link: reader.fixed(32),
    price: readPrice(reader),
    dueUait: reader.u64(),
    finish: readFinish(reader),
    inputTokens: reader.bool() ? reader.u32() : null,
    outputTokens: reader.bool() ? reader.u32() : null,
    startedAtMs: reader.u64(),
    endedAtMs: reader.u64(),
    open: reader.bytes16(MAX_OPEN_BYTES),
  };
  const signature = reader.fixed(64);
  reader.end();
  return { receipt, signature };
}

function readFinish(reader: Reader): Finish {
  const finish = FINISHES[reader.u8()];
  if (!finish) throw reader.reject('non-canonical');
  return finish;
}

function writeFields(writer: Writer, receipt: WorkReceipt): Writer {
  writer
    .fixed(receipt.job, 32)
    .u32(receipt.attempt)
    .fixed(receipt.agreement, 32)
    .fixed(receipt.quote, 32)
    .fixed(receipt.client, 20)
    .fixed(receipt.signer, 32)
    .fixed(receipt.miner, 32)
    .ascii8(receipt.kind)
    .ascii8(receipt.model)
    .bool(receipt.modelDigest !== null);
  if (receipt.modelDigest) writer.fixed(receipt.modelDigest, 32);
  writer
    .fixed(receipt.inputHash, 32)
    .u32(receipt.inputBytes)
    .fixed(receipt.outputHash, 32)
    .u32(receipt.outputBytes)
    .u32(receipt.chunks)
    .fixed(receipt.link, 32);
  writePrice(writer, receipt.price).u64(receipt.dueUait).u8(FINISHES.indexOf(receipt.finish));
  for (const tokens of [receipt.inputTokens, receipt.outputTokens]) {
    writer.bool(tokens !== null);
    if (tokens !== null) writer.u32(tokens);
  }
  return writer.u64(receipt.startedAtMs).u64(receipt.endedAtMs).bytes16(receipt.open);
}
