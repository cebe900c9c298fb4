import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAX_INPUT_BYTES } from '../../../../src/chain/market/content.ts';
import { dueUait, MAX_OUTPUT_BYTES, MAX_PRICE_UAIT, outputBytesWithin } from '../../../../src/chain/market/price.ts';
import { price } from '../../../util/market-arbitraries.ts';

describe('market: price', () => {
  const input = fc.nat(MAX_INPUT_BYTES);
  const output = fc.nat(MAX_OUTPUT_BYTES);

  it('is an exact integer at its largest', () => {
    const most = { fixedUait: MAX_PRICE_UAIT, inputUaitPerKib: MAX_PRICE_UAIT, outputUaitPerKib: MAX_PRICE_UAIT };
    assert(Number.isSafeInteger(dueUait(most, MAX_INPUT_BYTES, MAX_OUTPUT_BYTES)));
    assert(Number.isSafeInteger(MAX_PRICE_UAIT * MAX_OUTPUT_BYTES));
  });

  it('is what integers without a limit give, where the price of all bytes is no exact integer any more', () => {
    assert(!Number.isSafeInteger(MAX_PRICE_UAIT * MAX_INPUT_BYTES));
    const cost = (uaitPerKib: number, bytes: number): bigint => (BigInt(uaitPerKib) * BigInt(bytes) + 1023n) / 1024n;
    fc.assert(
      fc.property(price, input, output, (of, inputBytes, outputBytes) => {
        const want =
          BigInt(of.fixedUait) + cost(of.inputUaitPerKib, inputBytes) + cost(of.outputUaitPerKib, outputBytes);
        assert.equal(BigInt(dueUait(of, inputBytes, outputBytes)), want);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never falls with more output, and rounds up: a byte costs what it costs', () => {
    fc.assert(
      fc.property(price, input, output, output, (of, inputBytes, a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        assert(dueUait(of, inputBytes, less) <= dueUait(of, inputBytes, more));
      }),
    );
    const cheap = { fixedUait: 0, inputUaitPerKib: 1, outputUaitPerKib: 1 };
    assert.equal(dueUait(cheap, 0, 0), 0);
    assert.equal(dueUait(cheap, 1, 1), 2);
    assert.equal(dueUait(cheap, 1024, 1025), 3);
  });

  it('pays as many bytes as the sum gives, and not one more', () => {
    const sum = fc.oneof(fc.maxSafeNat(), fc.nat(2 ** 31));
    fc.assert(
      fc.property(price, input, sum, (of, inputBytes, sumUait) => {
        const bytes = outputBytesWithin(of, inputBytes, sumUait);
        if (bytes < 0) assert(dueUait(of, inputBytes, 0) > sumUait);
        else {
          assert(dueUait(of, inputBytes, bytes) <= sumUait);
          if (bytes < MAX_OUTPUT_BYTES) assert(dueUait(of, inputBytes, bytes + 1) > sumUait);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
