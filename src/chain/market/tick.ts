/**
 * How far an attempt has come, by the miner's word: a hash chain over the pieces of output, and what is due for them. A
 * voucher's `seen` is the same hash, so that credit is for these bytes and no others.
 */
import type { Hash, PublicKey, Signature } from '../../bytes.ts';
import { concatBytes } from '../../bytes.ts';
import type { Reader, Writer } from '../codec.ts';
import type { Hasher, SignatureCheck, Signer } from '../crypto/types.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';

export interface Tick {
  readonly attempt: Hash;
  /** Pieces of output so far; the first is number 1. */
  readonly chunks: number;
  /** Of the last piece. */
  readonly link: Hash;
  readonly outputBytes: number;
  /** For this attempt alone. */
  readonly dueUait: number;
}

export interface SignedTick {
  readonly tick: Tick;
  readonly signature: Signature;
}

/** link 0 is the attempt's id, link k = SHA-256(link k−1 ‖ piece k). */
export function nextLink(hasher: Hasher, link: Hash, piece: Uint8Array): Hash {
  return hasher.hash(concatBytes([link, piece]));
}

export function tickSignBytes(chain: ChainContext, tick: Tick): Uint8Array {
  return writeFields(signBytesWriter('tick', chain, 224), tick).finish();
}

export function signTick(chain: ChainContext, signer: Signer, tick: Tick): SignedTick {
  return { tick, signature: signer.sign(tickSignBytes(chain, tick)) };
}

/** @param miner account key, as in the quote */
export function tickCheck(chain: ChainContext, { tick, signature }: SignedTick, miner: PublicKey): SignatureCheck {
  return { message: tickSignBytes(chain, tick), signature, publicKey: miner };
}

export function writeTick(writer: Writer, { tick, signature }: SignedTick): Writer {
  return writeFields(writer, tick).fixed(signature, 64);
}

export function readTick(reader: Reader): SignedTick {
  const tick = {
    attempt: reader.fixed(32),
    chunks: reader.u32(),
    link: reader.fixed(32),
    outputBytes: reader.u32(),
    dueUait: reader.u64(),
  };
  return { tick, signature: reader.fixed(64) };
}

function writeFields(writer: Writer, tick: Tick): Writer {
  return writer.fixed(tick.attempt, 32).u32(tick.chunks).fixed(tick.link, 32).u32(tick.outputBytes).u64(tick.dueUait);
}
