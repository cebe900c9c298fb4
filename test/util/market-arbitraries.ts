/** Every signed object of the market and every frame of work streams, drawn at random, for fast-check. */
import fc from 'fast-check';
import type { ClientFrame, MinerFrame } from '../../protocols/market/work-frames.ts';
import { MAX_PIECE_BYTES } from '../../protocols/market/work-frames.ts';
import type { SignedAssignment } from '../../src/chain/market/assignment.ts';
import type { BlobRef } from '../../src/chain/market/blob.ts';
import { MAX_BLOB_BYTES } from '../../src/chain/market/blob.ts';
import type { JobContent } from '../../src/chain/market/content.ts';
import { MAX_INPUT_BYTES } from '../../src/chain/market/content.ts';
import type { SignedJob } from '../../src/chain/market/job.ts';
import { MAX_JOB_MS } from '../../src/chain/market/job.ts';
import type { OfferedModel, SignedOffer } from '../../src/chain/market/offer.ts';
import { MAX_OFFER_TTL_MS } from '../../src/chain/market/offer.ts';
import type { Price } from '../../src/chain/market/price.ts';
import { MAX_OUTPUT_BYTES, MAX_PRICE_UAIT } from '../../src/chain/market/price.ts';
import type { SignedQuote, SignedQuoteRequest } from '../../src/chain/market/quote.ts';
import type { SignedReceipt } from '../../src/chain/market/receipt.ts';
import { FINISHES, MAX_OPEN_BYTES } from '../../src/chain/market/receipt.ts';
import type { SignedTick } from '../../src/chain/market/tick.ts';
import type { Voucher } from '../../src/chain/modules/compute/voucher.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const hash = bytes(32);
const key = bytes(32);
const address = bytes(20);
const signature = bytes(64);
const u64 = fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const ascii = (min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme-ascii', minLength: min, maxLength: max });
const nullable = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });

export const price: fc.Arbitrary<Price> = fc.record({
  fixedUait: fc.nat(MAX_PRICE_UAIT),
  inputUaitPerKib: fc.nat(MAX_PRICE_UAIT),
  outputUaitPerKib: fc.nat(MAX_PRICE_UAIT),
});

const blobRef: fc.Arbitrary<BlobRef> = fc.record({
  root: bytes(32),
  bytes: fc.integer({ min: 1, max: MAX_BLOB_BYTES / 4 }),
  key: bytes(32),
  textHash: bytes(32),
});

export const content: fc.Arbitrary<JobContent> = fc.record({
  salt: bytes(32),
  params: fc.array(fc.record({ name: ascii(0, 64), value: fc.string({ unit: 'grapheme', maxLength: 40 }) }), {
    maxLength: 4,
  }),
  parts: fc.array(
    fc.oneof(
      fc.record({ role: ascii(0, 32), mediaType: ascii(0, 128), data: fc.uint8Array({ maxLength: 300 }) }),
      fc.record({ role: ascii(0, 32), mediaType: ascii(0, 128), blob: blobRef }),
    ),
    { maxLength: 4 },
  ),
});

const jobMs = fc.integer({ min: 1, max: MAX_JOB_MS });

export const job: fc.Arbitrary<SignedJob> = fc.record({
  spec: fc.record({
    client: address,
    signer: key,
    nonce: bytes(32),
    kind: ascii(1, 32),
    model: ascii(0, 128),
    inputHash: hash,
    inputBytes: fc.nat(MAX_INPUT_BYTES),
    maxOutputBytes: fc.nat(MAX_OUTPUT_BYTES),
    maxPriceUait: u64,
    createdAtMs: u64,
    queueMs: jobMs,
    executionMs: jobMs,
    totalMs: jobMs,
  }),
  signature,
});

export const quoteRequest: fc.Arbitrary<SignedQuoteRequest> = fc.record({
  request: fc.record({
    client: address,
    agreement: nullable(hash),
    kind: ascii(0, 32),
    model: ascii(0, 128),
    inputBytes: fc.nat(MAX_INPUT_BYTES),
    maxOutputBytes: fc.nat(MAX_OUTPUT_BYTES),
    maxPriceUait: u64,
    atMs: u64,
  }),
  publicKey: key,
  signature,
});

export const quote: fc.Arbitrary<SignedQuote> = fc.record({
  quote: fc.record({
    request: hash,
    miner: key,
    kind: ascii(0, 32),
    model: ascii(0, 128),
    modelDigest: nullable(hash),
    price,
    tickUait: u64,
    sealKey: key,
    validUntilMs: u64,
    validUntilHeight: u64,
    firstMs: u32,
  }),
  signature,
});

export const assignment: fc.Arbitrary<SignedAssignment> = fc.record({
  assignment: fc.record({
    job: hash,
    attempt: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    agreement: hash,
    quote: hash,
    miner: address,
    baseUait: u64,
    maxUait: u64,
    executionMs: u32,
    sealTo: key,
    single: fc.boolean(),
  }),
  signature,
});

const tick: fc.Arbitrary<SignedTick> = fc.record({
  tick: fc.record({ attempt: hash, chunks: u32, link: hash, outputBytes: u32, dueUait: u64 }),
  signature,
});

export const receipt: fc.Arbitrary<SignedReceipt> = fc.record({
  receipt: fc.record({
    job: hash,
    attempt: u32,
    agreement: hash,
    quote: hash,
    client: address,
    signer: key,
    miner: key,
    kind: ascii(0, 32),
    model: ascii(0, 128),
    modelDigest: nullable(hash),
    inputHash: hash,
    inputBytes: u32,
    outputHash: hash,
    outputBytes: u32,
    chunks: u32,
    link: hash,
    price,
    dueUait: u64,
    finish: fc.constantFrom(...FINISHES),
    inputTokens: nullable(u32),
    outputTokens: nullable(u32),
    startedAtMs: u64,
    endedAtMs: u64,
    open: fc.uint8Array({ maxLength: MAX_OPEN_BYTES }),
  }),
  signature,
});

const offeredModel: fc.Arbitrary<OfferedModel> = fc.record({
  kind: ascii(0, 32),
  model: ascii(0, 128),
  digest: nullable(hash),
  contextTokens: u32,
  streams: fc.boolean(),
  deterministic: fc.boolean(),
  warm: fc.boolean(),
  price,
  bytesPerSecond: u32,
  tags: fc.array(ascii(0, 24), { maxLength: 4 }),
});

export const offer: fc.Arbitrary<SignedOffer> = fc.record({
  offer: fc
    .record({
      miner: key,
      name: ascii(0, 32),
      peer: ascii(0, 64),
      addresses: fc.array(ascii(0, 160), { maxLength: 4 }),
      sequence: u64,
      ttlMs: fc.nat(MAX_OFFER_TTL_MS),
      slots: fc.nat(65_535),
      free: fc.nat(65_535),
      region: ascii(0, 32),
      gpus: fc.array(ascii(0, 160), { maxLength: 3 }),
      models: fc.array(offeredModel, { maxLength: 3 }),
    })
    .map((fields) => ({ ...fields, free: Math.min(fields.free, fields.slots) })),
  signature,
});

const voucher: fc.Arbitrary<Voucher> = fc.record({
  agreement: hash,
  creditUait: u64,
  seen: hash,
  signer: key,
  signature,
});
const piece = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.constant(new Uint8Array(MAX_PIECE_BYTES)));
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const code = fc.constantFrom('BUSY' as const, 'NO_MODEL' as const, 'EXECUTOR' as const);
const of = <T extends string>(type: T): fc.Arbitrary<T> => fc.constant(type);

export const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({
    ...{ type: of('assign'), job, assignment, voucher },
    open: fc.uint8Array({ maxLength: MAX_OPEN_BYTES }),
  }),
  fc.record({ type: of('input'), attempt: hash, piece }),
  fc.record({ type: of('credit'), attempt: hash, voucher }),
  fc.record({ type: of('stop'), attempt: hash }),
  fc.record({ type: of('acknowledge'), attempt: hash, signature, voucher }),
  fc.record({ type: of('resume'), attempt: hash, chunks: u32, voucher }),
);

export const minerFrame: fc.Arbitrary<MinerFrame> = fc.oneof(
  fc.record({ type: of('accept'), attempt: hash }),
  fc.record({ type: of('refuse'), attempt: hash, code, afterMs: u32, text }),
  fc.record({ type: of('start'), attempt: hash, startedAtMs: u64 }),
  fc.record({ type: of('output'), attempt: hash, chunk: u32, piece }),
  fc.record({ type: of('tick'), tick }),
  fc.record({ type: of('end'), receipt }),
  fc.record({ type: of('fail'), tick, code, text }),
  fc.record({ type: of('done'), attempt: hash }),
);
