/** A miner's word on one piece of work: price, credit steps, and until when a slot waits for it. */
import type { Address, Hash, PublicKey, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher, SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';
import { MAX_INPUT_BYTES } from './content.ts';
import { MAX_KIND, MAX_MODEL } from './job.ts';
import type { Price } from './price.ts';
import { MAX_OUTPUT_BYTES, readPrice, writePrice } from './price.ts';

/**
 * What a client tells before it has chosen a miner: sizes, not contents. Signed by the account that will pay, or, within an
 * agreement, by its session key, so that slots are held for those who can pay only.
 */
export interface QuoteRequest {
  readonly client: Address;
  /** null: one will be opened for this job. */
  readonly agreement: Hash | null;
  readonly kind: string;
  /** Empty: any. */
  readonly model: string;
  readonly inputBytes: number;
  readonly maxOutputBytes: number;
  readonly maxPriceUait: number;
  /** The client's clock; a miner takes requests of the last minute, each once. */
  readonly atMs: number;
}

export interface SignedQuoteRequest {
  readonly request: QuoteRequest;
  readonly publicKey: PublicKey;
  readonly signature: Signature;
}

export interface Quote {
  /** Hash of the request's sign bytes. */
  readonly request: Hash;
  /** Account key of the miner: its address is the agreement's miner. */
  readonly miner: PublicKey;
  readonly kind: string;
  /** What will answer. */
  readonly model: string;
  /** null where the back end does not tell. */
  readonly modelDigest: Hash | null;
  readonly price: Price;
  /** How far credit runs ahead of what was received: all that either side ever risks. For kinds that do not stream: all. */
  readonly tickUait: number;
  /** X25519: what the content is sealed to. */
  readonly sealKey: Uint8Array;
  /** The miner's clock: until then a slot is held, or an agreement's opening awaited. */
  readonly validUntilMs: number;
  /** Last height at which the transaction that opens an agreement on this quote may be in a block. */
  readonly validUntilHeight: number;
  /** Expected wait for the first piece of output. */
  readonly firstMs: number;
}

export interface SignedQuote {
  readonly quote: Quote;
  readonly signature: Signature;
}

export const MAX_QUOTE_REQUEST_BYTES = 384;
export const MAX_QUOTE_BYTES = 512;

export function quoteRequestSignBytes(chain: ChainContext, request: QuoteRequest): Uint8Array {
  return writeRequest(signBytesWriter('quote-request', chain, 320), request).finish();
}

export function signQuoteRequest(chain: ChainContext, signer: Signer, request: QuoteRequest): SignedQuoteRequest {
  const signature = signer.sign(quoteRequestSignBytes(chain, request));
  return { request, publicKey: signer.publicKey, signature };
}

export function quoteRequestCheck(chain: ChainContext, signed: SignedQuoteRequest): SignatureCheck {
  const { request, signature, publicKey } = signed;
  return { message: quoteRequestSignBytes(chain, request), signature, publicKey };
}

export function quoteRequestHash(hasher: Hasher, chain: ChainContext, request: QuoteRequest): Hash {
  return hasher.hash(quoteRequestSignBytes(chain, request));
}

export function encodeQuoteRequest({ request, publicKey, signature }: SignedQuoteRequest): Uint8Array {
  return writeRequest(new Writer(MAX_QUOTE_REQUEST_BYTES), request).fixed(publicKey, 32).fixed(signature, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeQuoteRequest(bytes: Uint8Array): SignedQuoteRequest {
  const reader = new Reader(bytes, 'quote request');
  const request: QuoteRequest = {
    client: reader.fixed(20),
    agreement: reader.bool() ? reader.fixed(32) : null,
    kind: reader.ascii8(MAX_KIND),
    model: reader.ascii8(MAX_MODEL),
    inputBytes: reader.u32(),
    maxOutputBytes: reader.u32(),
    maxPriceUait: reader.u64(),
    atMs: reader.u64(),
  };
  if (request.inputBytes > MAX_INPUT_BYTES || request.maxOutputBytes > MAX_OUTPUT_BYTES) {
    throw reader.reject('out-of-range');
  }
  const signed = { request, publicKey: reader.fixed(32), signature: reader.fixed(64) };
  reader.end();
  return signed;
}

export function quoteSignBytes(chain: ChainContext, quote: Quote): Uint8Array {
  return writeQuote(signBytesWriter('quote', chain, 448), quote).finish();
}

export function signQuote(chain: ChainContext, signer: Signer, quote: Omit<Quote, 'miner'>): SignedQuote {
  const whole = { ...quote, miner: signer.publicKey };
  return { quote: whole, signature: signer.sign(quoteSignBytes(chain, whole)) };
}

export function quoteCheck(chain: ChainContext, { quote, signature }: SignedQuote): SignatureCheck {
  return { message: quoteSignBytes(chain, quote), signature, publicKey: quote.miner };
}

export function quoteId(hasher: Hasher, chain: ChainContext, quote: Quote): Hash {
  return hasher.hash(quoteSignBytes(chain, quote));
}

export function encodeQuote({ quote, signature }: SignedQuote): Uint8Array {
  return writeQuote(new Writer(MAX_QUOTE_BYTES), quote).fixed(signature, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeQuote(bytes: Uint8Array): SignedQuote {
  const reader = new Reader(bytes, 'quote');
  const quote: Quote = {
    request: reader.fixed(32),
    miner: reader.fixed(32),
    kind: reader.ascii8(MAX_KIND),
    model: reader.ascii8(MAX_MODEL),
    modelDigest: reader.bool() ? reader.fixed(32) : null,
    price: readPrice(reader),
    tickUait: reader.u64(),
    sealKey: reader.fixed(32),
    validUntilMs: reader.u64(),
    validUntilHeight: reader.u64(),
    firstMs: reader.u32(),
  };
  const signature = reader.fixed(64);
  reader.end();
  return { quote, signature };
}

function writeRequest(writer: Writer, request: QuoteRequest): Writer {
  writer.fixed(request.client, 20).bool(request.agreement !== null);
  if (request.agreement) writer.fixed(request.agreement, 32);
  return writer
    .ascii8(request.kind)
    .ascii8(request.model)
    .u32(request.inputBytes)
    .u32(request.maxOutputBytes)
    .u64(request.maxPriceUait)
    .u64(request.atMs);
}

function writeQuote(writer: Writer, quote: Quote): Writer {
  writer.fixed(quote.request, 32).fixed(quote.miner, 32).ascii8(quote.kind).ascii8(quote.model);
  writer.bool(quote.modelDigest !== null);
  if (quote.modelDigest) writer.fixed(quote.modelDigest, 32);
  return writePrice(writer, quote.price)
    .u64(quote.tickUait)
    .fixed(quote.sealKey, 32)
    .u64(quote.validUntilMs)
    .u64(quote.validUntilHeight)
    .u32(quote.firstMs);
}
