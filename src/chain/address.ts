/** Account addresses: the first 20 bytes of SHA-256 of the public key, shown as bech32m (BIP 350) with prefix `ait`. */
import { bech32, bech32m } from '@scure/base';
import type { Address, PublicKey } from '../bytes.ts';
import { keyBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Hasher } from './crypto/types.ts';

const ADDRESS_PREFIX = 'ait';
const ADDRESS_BYTES = 20;

/** Prefix, separator, 32 characters of data (exactly 20 bytes, so no stray bits), 6 of checksum. */
const TEXT_LENGTH = 42;

/** What bech32 allows at most; longer texts are not looked at. */
const MAX_TEXT_LENGTH = 90;

export function addressOf(hasher: Hasher, publicKey: PublicKey): Address {
  return keyBytes(addressKeyOf(hasher, publicKey));
}

/** The address as a string of one character a byte. */
export function addressKeyOf(hasher: Hasher, publicKey: PublicKey): string {
  return hasher.hashKey(publicKey).slice(0, ADDRESS_BYTES);
}

/** @throws NodeError BAD_ADDRESS unless 20 bytes */
export function formatAddress(address: Address): string {
  if (address.length !== ADDRESS_BYTES) {
    throw badAddress('length', `an address has ${ADDRESS_BYTES} bytes, this one ${address.length}`);
  }
  return bech32m.encode(ADDRESS_PREFIX, bech32m.toWords(address));
}

/**
 * All lower-case or all upper-case, as bech32m allows; one address has one lower-case form.
 *
 * @throws NodeError BAD_ADDRESS, `data.reason` being length, case, prefix or checksum
 */
export function parseAddress(text: string): Address {
  if (text.length > MAX_TEXT_LENGTH) throw wrongTextLength(text);
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) {
    throw badAddress('case', 'the address mixes upper and lower case');
  }
  const separator = lower.lastIndexOf('1');
  const prefix = lower.slice(0, Math.max(0, separator));
  if (prefix !== ADDRESS_PREFIX) {
    throw badAddress('prefix', `an address begins with "${ADDRESS_PREFIX}1"`);
  }
  if (text.length !== TEXT_LENGTH) throw wrongTextLength(text);
  const decoded = bech32m.decodeUnsafe(lower);
  if (!decoded) {
    throw badAddress(
      'checksum',
      bech32.decodeUnsafe(lower)
        ? 'the address has a bech32 checksum where bech32m is expected'
        : 'the checksum of the address is wrong',
    );
  }
  return Uint8Array.from(bech32m.fromWords(decoded.words));
}

function wrongTextLength(text: string): NodeError {
  return badAddress('length', `an address has ${TEXT_LENGTH} characters, this one ${text.length}`);
}

function badAddress(reason: string, message: string): NodeError {
  return new NodeError('BAD_ADDRESS', message, { data: { reason }, hint: 'copy the whole address again' });
}
