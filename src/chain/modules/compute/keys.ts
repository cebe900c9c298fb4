/** Keys of the compute module's part of the state. Prefixes are never reused. */
import type { Address, Hash } from '../../../bytes.ts';
import { Writer } from '../../codec.ts';
import type { StateKey } from '../../state.ts';
import { stateKey } from '../../state.ts';

export const COMPUTE_MODULE = 3;

const key = (prefix: number, rest: Uint8Array = new Uint8Array()): StateKey =>
  stateKey(COMPUTE_MODULE, Uint8Array.of(prefix, ...rest));

export const PARAMS_KEY = key(1);
export const agreementKey = (id: Hash): StateKey => key(2, id);
export const stakeKey = (miner: Address): StateKey => key(3, miner);
export const listKey = (list: Uint8Array): StateKey => key(4, list);
export const placeKey = (entry: Uint8Array): StateKey => key(5, entry);
export const DAYS_KEY = key(6);
export const dayKey = (day: number): StateKey => key(7, new Writer(4).u32(day).finish());

const PLACES = placeKey(new Uint8Array());
const AGREEMENTS = agreementKey(new Uint8Array());
const STAKES = stakeKey(new Uint8Array());

export function isAgreementKey(each: StateKey): boolean {
  return each.startsWith(AGREEMENTS);
}

export function isPlaceKey(each: StateKey): boolean {
  return each.startsWith(PLACES);
}

export function isStakeKey(each: StateKey): boolean {
  return each.startsWith(STAKES);
}
