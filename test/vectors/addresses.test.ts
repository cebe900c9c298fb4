import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/bytes.ts';
import { addressOf, formatAddress, parseAddress } from '../../src/chain/address.ts';
import { pureHasher } from '../../src/chain/crypto/pure.ts';
import { isNodeError } from '../../src/errors.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { readVectors } from './read.ts';

interface AddressVectors {
  readonly valid: readonly { publicKey: string | null; address: string; text: string }[];
  readonly upperCase: { text: string; address: string };
  readonly invalid: readonly { text: string; reason: string }[];
}

const { valid, upperCase, invalid } = readVectors<AddressVectors>('addresses');

describe('address vectors', () => {
  it('of keys hold for every hasher', () => {
    for (const { publicKey, address } of valid) {
      if (publicKey === null) continue;
      for (const hasher of [pureHasher, nativeHasher]) {
        assert.equal(toHex(addressOf(hasher, fromHex(publicKey))), address);
      }
    }
  });

  it('are formatted and parsed', () => {
    for (const { address, text } of valid) {
      assert.equal(formatAddress(fromHex(address)), text);
      assert.equal(toHex(parseAddress(text)), address);
    }
    assert.equal(toHex(parseAddress(upperCase.text)), upperCase.address);
  });

  for (const { text, reason } of invalid) {
    it(`refuses "${text}" for its ${reason}`, () => {
      assert.throws(
        () => parseAddress(text),
        (error) => isNodeError(error) && error.code === 'BAD_ADDRESS' && error.data['reason'] === reason,
      );
    });
  }

  it('refuses to format what has not 20 bytes', () => {
    for (const length of [0, 19, 21, 32]) {
      assert.throws(() => formatAddress(new Uint8Array(length)), { code: 'BAD_ADDRESS' });
    }
  });
});
