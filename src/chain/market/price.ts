/** What work costs, in integers, counted by both sides from the bytes they hold. */
import type { Reader, Writer } from '../codec.ts';

export interface Price {
  /** For the attempt as such, whatever comes of it. */
  readonly fixedUait: number;
  /** For 1,024 bytes of input, begun ones in proportion, rounded up. */
  readonly inputUaitPerKib: number;
  /** For 1,024 bytes of output. */
  readonly outputUaitPerKib: number;
}

/** Largest price of 1,024 bytes, and of an attempt. */
export const MAX_PRICE_UAIT = 1_000_000_000;
export const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

const KIB = 1024;

/** What an attempt costs up to here. */
export function dueUait(price: Price, inputBytes: number, outputBytes: number): number {
  return price.fixedUait + costUait(price.inputUaitPerKib, inputBytes) + costUait(price.outputUaitPerKib, outputBytes);
}

/** Whole KiB and the rest apart: the price of the largest input times its bytes is no exact integer any more, its cost is. */
function costUait(uaitPerKib: number, bytes: number): number {
  const rest = bytes % KIB;
  return uaitPerKib * ((bytes - rest) / KIB) + Math.ceil((uaitPerKib * rest) / KIB);
}

/** How many bytes of output a sum pays, fixed price and input first; −1 when it does not pay even those. */
export function outputBytesWithin(price: Price, inputBytes: number, sumUait: number): number {
  const leftUait = sumUait - dueUait(price, inputBytes, 0);
  if (leftUait < 0) return -1;
  if (price.outputUaitPerKib === 0) return MAX_OUTPUT_BYTES;
  return Math.min(MAX_OUTPUT_BYTES, Math.floor((leftUait * KIB) / price.outputUaitPerKib));
}

export function writePrice(writer: Writer, price: Price): Writer {
  return writer.u32(price.fixedUait).u32(price.inputUaitPerKib).u32(price.outputUaitPerKib);
}

/** @throws NodeError CODEC */
export function readPrice(reader: Reader): Price {
  const price = { fixedUait: reader.u32(), inputUaitPerKib: reader.u32(), outputUaitPerKib: reader.u32() };
  if (Object.values(price).some((uait) => uait > MAX_PRICE_UAIT)) throw reader.reject('out-of-range');
  return price;
}
