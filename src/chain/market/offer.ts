/** What a miner tells everyone: what it can do, for how much, and where it is. */
import type { Hash, PublicKey, Signature } from '../../bytes.ts';
import { Reader, Writer } from '../codec.ts';
import type { Hasher, SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';
import { MAX_KIND, MAX_MODEL } from './job.ts';
import type { Price } from './price.ts';
import { readPrice, writePrice } from './price.ts';

export interface OfferedModel {
  readonly kind: string;
  readonly model: string;
  readonly digest: Hash | null;
  /** 0: does not apply. */
  readonly contextTokens: number;
  readonly streams: boolean;
  readonly deterministic: boolean;
  readonly warm: boolean;
  readonly price: Price;
  /** Output bytes a second, measured; 0: not yet. */
  readonly bytesPerSecond: number;
  readonly tags: readonly string[];
}

export interface Offer {
  /** Account key; its address has the stake. */
  readonly miner: PublicKey;
  /** For people. */
  readonly name: string;
  /** libp2p peer id that serves it, text form. */
  readonly peer: string;
  /** Multiaddrs of that peer. */
  readonly addresses: readonly string[];
  /** Grows with each offer of a miner: the wall clock in ms at its making. */
  readonly sequence: number;
  /** From the sequence on. */
  readonly ttlMs: number;
  /** Jobs at once, and how many more it takes now. */
  readonly slots: number;
  readonly free: number;
  readonly region: string;
  readonly gpus: readonly string[];
  readonly models: readonly OfferedModel[];
}

export interface SignedOffer {
  readonly offer: Offer;
  readonly signature: Signature;
}

export const MAX_OFFER_BYTES = 8 * 1024;
export const MAX_OFFER_TTL_MS = 10 * 60 * 1000;
export const MAX_OFFERED_MODELS = 32;
export const MAX_OFFER_ADDRESSES = 4;
export const MAX_OFFER_GPUS = 8;
export const MAX_OFFER_TAGS = 4;
const MAX_NAME = 32;
const MAX_PEER = 64;
const MAX_ADDRESS = 160;
const MAX_TAG = 24;

export function offerSignBytes(chain: ChainContext, offer: Offer): Uint8Array {
  return writeOffer(signBytesWriter('offer', chain, 1024), offer).finish();
}

export function signOffer(chain: ChainContext, signer: Signer, offer: Omit<Offer, 'miner'>): SignedOffer {
  const whole = { ...offer, miner: signer.publicKey };
  return { offer: whole, signature: signer.sign(offerSignBytes(chain, whole)) };
}

export function offerCheck(chain: ChainContext, { offer, signature }: SignedOffer): SignatureCheck {
  return { message: offerSignBytes(chain, offer), signature, publicKey: offer.miner };
}

export function offerHash(hasher: Hasher, chain: ChainContext, offer: Offer): Hash {
  return hasher.hash(offerSignBytes(chain, offer));
}

export function encodeOffer({ offer, signature }: SignedOffer): Uint8Array {
  return writeOffer(new Writer(1024), offer).fixed(signature, 64).finish();
}

/** @throws NodeError CODEC */
export function decodeOffer(bytes: Uint8Array): SignedOffer {
  const reader = new Reader(bytes, 'offer');
  if (bytes.length > MAX_OFFER_BYTES) throw reader.reject('over-cap');
  const offer: Offer = {
    miner: reader.fixed(32),
    name: reader.ascii8(MAX_NAME),
    peer: reader.ascii8(MAX_PEER),
    addresses: readList(reader, MAX_OFFER_ADDRESSES, 1, () => reader.ascii8(MAX_ADDRESS)),
    sequence: reader.u64(),
    ttlMs: reader.u32(),
    slots: reader.u16(),
    free: reader.u16(),
    region: reader.ascii8(MAX_NAME),
    gpus: readList(reader, MAX_OFFER_GPUS, 1, () => reader.ascii8(MAX_ADDRESS)),
    models: readList(reader, MAX_OFFERED_MODELS, 24, () => readModel(reader)),
  };
  if (offer.ttlMs > MAX_OFFER_TTL_MS || offer.free > offer.slots) throw reader.reject('out-of-range');
  const signature = reader.fixed(64);
  reader.end();
  return { offer, signature };
}

function writeOffer(writer: Writer, offer: Offer): Writer {
  writer.fixed(offer.miner, 32).ascii8(offer.name).ascii8(offer.peer);
  writeList(writer, offer.addresses, (address) => writer.ascii8(address));
  writer.u64(offer.sequence).u32(offer.ttlMs).u16(offer.slots).u16(offer.free).ascii8(offer.region);
  writeList(writer, offer.gpus, (gpu) => writer.ascii8(gpu));
  writeList(writer, offer.models, (model) => writeModel(writer, model));
  return writer;
}

function writeModel(writer: Writer, model: OfferedModel): Writer {
  writer
    .ascii8(model.kind)
    .ascii8(model.model)
    .bool(model.digest !== null);
  if (model.digest) writer.fixed(model.digest, 32);
  writer.u32(model.contextTokens).bool(model.streams).bool(model.deterministic).bool(model.warm);
  writePrice(writer, model.price).u32(model.bytesPerSecond);
  writeList(writer, model.tags, (tag) => writer.ascii8(tag));
  return writer;
}

function readModel(reader: Reader): OfferedModel {
  return {
    kind: reader.ascii8(MAX_KIND),
    model: reader.ascii8(MAX_MODEL),
    digest: reader.bool() ? reader.fixed(32) : null,
    contextTokens: reader.u32(),
    streams: reader.bool(),
    deterministic: reader.bool(),
    warm: reader.bool(),
    price: readPrice(reader),
    bytesPerSecond: reader.u32(),
    tags: readList(reader, MAX_OFFER_TAGS, 1, () => reader.ascii8(MAX_TAG)),
  };
}

function writeList<T>(writer: Writer, items: readonly T[], write: (item: T) => unknown): void {
  writer.u16(items.length);
  for (const item of items) write(item);
}

function readList<T>(reader: Reader, cap: number, itemBytes: number, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.count16(cap, itemBytes); left > 0; left--) items.push(read());
  return items;
}
