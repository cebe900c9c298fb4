import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes.ts';
import type { Sealer } from '../../../src/store/sealer.ts';
import { checksumSealer, CipherSealer } from '../../../src/store/sealer.ts';

const sealers: readonly (readonly [name: string, sealer: Sealer, overhead: number])[] = [
  ['checksums', checksumSealer, 4],
  ['encryption', new CipherSealer(createSecretKey(randomBytes(32))), 28],
];
const bytes = fc.uint8Array({ maxLength: 300 });

for (const [name, sealer, overhead] of sealers) {
  describe(`values under ${name}`, () => {
    it('come back as they were', () => {
      fc.assert(
        fc.property(bytes, bytes, (key, value) => {
          const sealed = sealer.seal(key, value);
          assert.equal(sealed.length, value.length + overhead);
          const opened = sealer.open(key, sealed);
          assert.deepEqual(opened, value);
          assert.equal(opened.constructor, Uint8Array);
        }),
      );
    });

    it('are not accepted with any bit changed, cut short, or under another key', () => {
      fc.assert(
        fc.property(bytes, bytes, fc.nat(), fc.nat(), (key, value, flip, cut) => {
          const sealed = sealer.seal(key, value);
          const changed = sealed.slice();
          const bit = flip % (changed.length * 8);
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          assert.equal(sealer.open(key, changed), undefined);
          assert.equal(sealer.open(key, sealed.subarray(0, cut % sealed.length)), undefined);
          const other = Uint8Array.of(...key, 1);
          assert.equal(sealer.open(other, sealed), undefined);
        }),
      );
    });
  });
}

describe('encrypted values', () => {
  it('never share a nonce, also when the counter is used up and in another opening', () => {
    const key = createSecretKey(randomBytes(32));
    const seen = new Set<string>();
    for (const sealer of [new CipherSealer(key, 2 ** 32 - 3), new CipherSealer(key, 2 ** 32 - 3)]) {
      for (let i = 0; i < 8; i++) {
        const sealed = sealer.seal(new Uint8Array(), new Uint8Array());
        assert.equal(sealer.open(new Uint8Array(), sealed)?.length, 0);
        seen.add(toHex(sealed.subarray(0, 12)));
      }
    }
    assert.equal(seen.size, 16);
  });

  it('show nothing of the value', () => {
    const value = randomBytes(64);
    const sealed = new CipherSealer(createSecretKey(randomBytes(32))).seal(Uint8Array.of(1), value);
    for (let at = 0; at + 8 <= value.length; at++) {
      assert.equal(toHex(sealed).includes(toHex(value.subarray(at, at + 8))), false);
    }
  });
});
