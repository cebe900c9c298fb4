/**
 * Event kinds of this module. All begin with the agreement's id, 32 bytes; then comes whoever of the two did not send the
 * transaction, 20 bytes, so that who watches an account hears of it. Numbers are never reused.
 */
import type { Address, Hash } from '../../../bytes.ts';
import { Writer } from '../../codec.ts';
import type { TxContext } from '../types.ts';

/** Then: cap u64, expiry u64 as rounded. */
export const EVENT_OPENED = 1;
/** The client ended it. */
export const EVENT_CLOSING = 2;
/** Then: paid now u64, paid in all u64. */
export const EVENT_PAID = 3;
/** Then: refunded u64. */
export const EVENT_RELEASED = 4;
/** Topped up or extended. Then: cap u64, expiry u64. */
export const EVENT_CHANGED = 5;

export function emit(context: TxContext, kind: number, id: Hash, other: Address, ...numbers: number[]): void {
  const writer = new Writer(80).fixed(id, 32).fixed(other, 20);
  for (const number of numbers) writer.u64(number);
  context.emit(kind, writer.finish());
}
