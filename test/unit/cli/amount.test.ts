import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatAit, parseAmount } from '../../../src/cli/amount.ts';
import { duration, wholeNumber } from '../../../src/cli/options.ts';
import { isNodeError } from '../../../src/errors.ts';

describe('amounts', () => {
  it('are AIT unless they say uait', () => {
    const cases: [string, number][] = [
      ['10', 10_000_000],
      ['10ait', 10_000_000],
      ['10AIT', 10_000_000],
      ['0.5', 500_000],
      ['0.000001ait', 1],
      ['10000000uait', 10_000_000],
      ['0', 0],
      ['9007199254.740991', Number.MAX_SAFE_INTEGER],
    ];
    for (const [text, uait] of cases) assert.equal(parseAmount(text), uait, text);
  });

  it('refuse everything else', () => {
    const bad = [
      '',
      '-1',
      '1e3',
      '.5',
      '1.',
      '1.0000001',
      '0.5uait',
      '10 ait',
      'ait',
      '1,5',
      '9007199254.740992',
      '9007199254740992uait',
      '0x10',
      '١',
    ];
    for (const text of bad) {
      assert.throws(
        () => parseAmount(text),
        (error) => isNodeError(error) && error.kind.exit === 2,
        text,
      );
    }
  });

  it('read back as shown', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (uait) => {
        assert.equal(parseAmount(formatAit(uait).replaceAll('\u202f', '').replaceAll(' ', '')), uait);
      }),
    );
    assert.equal(formatAit('1234567500000'), '1 234 567.5 AIT');
    assert.equal(formatAit('-1'), '-0.000001 AIT');
  });
});

describe('values of options', () => {
  it('are durations with a unit', () => {
    assert.equal(duration('250ms'), 250);
    assert.equal(duration('2s'), 2000);
    assert.equal(duration('5m'), 300_000);
    assert.equal(duration('1h'), 3_600_000);
    for (const text of ['', '5', '0s', '-1s', '1d', '1.5s']) assert.throws(() => duration(text), text);
  });

  it('are whole numbers', () => {
    assert.equal(wholeNumber('0'), 0);
    for (const text of ['', '-1', '1.5', 'x', '9'.repeat(17)]) assert.throws(() => wholeNumber(text), text);
  });
});
