/** Accounts: balance and nonce by address, kept in the bank's part of the state. */
import type { Address } from '../bytes.ts';
import { bytesKey, keyBytes } from '../bytes.ts';
import { MAX_U64, Reader } from './codec.ts';
import type { StateAccess, StateKey, StateReader } from './state.ts';

export const BANK_MODULE = 1;
const ACCOUNT_PREFIX = 1;

export interface Account {
  readonly balanceUait: number;
  /** Nonce the next transaction must carry. */
  readonly nonce: number;
}

export const EMPTY_ACCOUNT: Account = { balanceUait: 0, nonce: 0 };

const KEY_HEAD = String.fromCharCode(BANK_MODULE, ACCOUNT_PREFIX);

export function accountKey(address: Address): StateKey {
  return KEY_HEAD + bytesKey(address);
}

/** @param addressKey the address as a string of one character a byte */
export function accountKeyOf(addressKey: string): StateKey {
  return KEY_HEAD + addressKey;
}

/** Whose account a key is of. */
export function addressOfAccountKey(key: StateKey): Address {
  return keyBytes(key.slice(KEY_HEAD.length));
}

export function isAccountKey(key: StateKey): boolean {
  return key.startsWith(KEY_HEAD);
}

const ACCOUNT_BYTES = 16;
const TWO_32 = 2 ** 32;

/** Balance u64, nonce u64. Written out instead of by the codec's Writer: this is the hottest encoding of all. */
export function encodeAccount({ balanceUait, nonce }: Account): Uint8Array {
  const bytes = new Uint8Array(ACCOUNT_BYTES);
  writeU64(bytes, 0, balanceUait);
  writeU64(bytes, 8, nonce);
  return bytes;
}

/** @throws NodeError CODEC */
export function decodeAccount(bytes: Uint8Array): Account {
  if (bytes.length !== ACCOUNT_BYTES) {
    throw new Reader(bytes, 'account').reject(bytes.length < ACCOUNT_BYTES ? 'truncated' : 'trailing');
  }
  const account = { balanceUait: readU64(bytes, 0), nonce: readU64(bytes, 8) };
  if (account.balanceUait > MAX_U64 || account.nonce > MAX_U64)
    throw new Reader(bytes, 'account').reject('out-of-range');
  return account;
}

function writeU64(bytes: Uint8Array, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new Reader(bytes, 'account').reject('out-of-range');
  let high = Math.floor(value / TWO_32);
  let low = value % TWO_32;
  for (let i = 3; i >= 0; i--) {
    bytes[at + i] = high & 0xff;
    bytes[at + 4 + i] = low & 0xff;
    high >>>= 8;
    low >>>= 8;
  }
}

function readU64(bytes: Uint8Array, at: number): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) {
    high = high * 256 + (bytes[at + i] ?? 0);
    low = low * 256 + (bytes[at + 4 + i] ?? 0);
  }
  return high * TWO_32 + low;
}

/** Accounts that were never touched are empty; they are not stored until they are. */
export function getAccount(state: StateReader, address: Address): Account {
  return accountAt(state, accountKey(address));
}

/** By the key of the account, where it is at hand. */
export function accountAt(state: StateReader, key: StateKey): Account {
  const bytes = state.get(key);
  return bytes === undefined ? EMPTY_ACCOUNT : decodeAccount(bytes);
}

/** @returns false, with nothing changed, when the balance is below the amount */
export function takeBalance(state: StateAccess, address: Address, amountUait: number): boolean {
  const account = getAccount(state, address);
  if (account.balanceUait < amountUait) return false;
  setAccount(state, address, { ...account, balanceUait: account.balanceUait - amountUait });
  return true;
}

export function addBalance(state: StateAccess, address: Address, amountUait: number): void {
  if (amountUait === 0) return;
  const account = getAccount(state, address);
  setAccount(state, address, { ...account, balanceUait: account.balanceUait + amountUait });
}

function setAccount(state: StateAccess, address: Address, account: Account): void {
  state.set(accountKey(address), encodeAccount(account));
}
