import assert from 'node:assert/strict';
import { utf8 } from '../../../src/bytes.ts';
import { crc32c } from '../../../src/store/crc32c.ts';

describe('CRC-32C', () => {
  it('has the values of RFC 3720, B.4', () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
    const vectors: readonly (readonly [bytes: Uint8Array, crc: number])[] = [
      [new Uint8Array(32), 0x8a9136aa],
      [new Uint8Array(32).fill(0xff), 0x62a8ab43],
      [ascending, 0x46dd794e],
      [ascending.toReversed(), 0x113fdb5c],
      [utf8('123456789'), 0xe3069283],
      [new Uint8Array(), 0],
    ];
    for (const [bytes, crc] of vectors) assert.equal(crc32c(bytes), crc);
  });
});
