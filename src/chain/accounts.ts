/** Accounts: balance and nonce by address, kept in the bank's part of the state. */
import type { Address } from '../bytes.ts';
import type { StateAccess, StateKey, StateReader } from './state.ts';
import { stateKey } from './state.ts';
import { Reader, Writer } from './codec.ts';

export const BANK_MODULE = 1;
const ACCOUNT_PREFIX = 1;

export interface Account {
  readonly balanceUait: number;
  /** Nonce the next transaction must carry. */
  readonly nonce: number;
}

export const EMPTY_ACCOUNT: Account = { balanceUait: 0, nonce: 0 };

export function accountKey(address: Address): StateKey {
  const key = new Uint8Array(21);
  key[0] = ACCOUNT_PREFIX;
  key.set(address, 1);
  return stateKey(BANK_MODULE, key);
}

export function isAccountKey(key: StateKey): boolean {
  return key.charCodeAt(0) === BANK_MODULE && key.charCodeAt(1) === ACCOUNT_PREFIX;
}

export function encodeAccount(account: Account): Uint8Array {
  return new Writer(16).u64(account.balanceUait).u64(account.nonce).finish();
}

export function decodeAccount(bytes: Uint8Array): Account {
  const reader = new Reader(bytes, 'account');
  const account = { balanceUait: reader.u64(), nonce: reader.u64() };
  reader.end();
  return account;
}

/** Accounts that were never touched are empty; they are not stored until they are. */
export function getAccount(state: StateReader, address: Address): Account {
  const bytes = state.get(accountKey(address));
  return bytes === undefined ? EMPTY_ACCOUNT : decodeAccount(bytes);
}

export function setAccount(state: StateAccess, address: Address, account: Account): void {
  state.set(accountKey(address), encodeAccount(account));
}
