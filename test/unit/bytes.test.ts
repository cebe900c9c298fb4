import assert from 'node:assert/strict';
import { isNodeError } from '../../src/errors.ts';
import { bytesKey, fromHex, keyBytes, toHex } from '../../src/bytes.ts';

describe('bytes', () => {
  it('of every value and length become lower-case hex and back', () => {
    for (const length of [0, 1, 31, 32, 256, 5000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7) % 256);
      const hex = toHex(bytes);
      assert.match(hex, /^[0-9a-f]*$/);
      assert.equal(hex.length, 2 * length);
      const back = fromHex(hex, length);
      assert.deepEqual([back, back.constructor, back.byteOffset], [bytes, Uint8Array, 0]);
      assert.deepEqual(keyBytes(bytesKey(bytes)), bytes);
    }
  });

  it('within a larger array are taken alone', () => {
    assert.equal(toHex(new Uint8Array([1, 2, 3, 4]).subarray(1, 3)), '0203');
  });

  it('refuse hex of another form or length', () => {
    for (const [text, length] of [
      ['0', undefined],
      ['0A', undefined],
      ['0x00', undefined],
      ['zz', undefined],
      ['00', 2],
    ] as const) {
      assert.throws(
        () => fromHex(text, length),
        (error) => isNodeError(error) && error.code === 'PARSE_ERROR',
      );
    }
  });
});
