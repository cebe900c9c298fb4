import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quorumOf, survivalOf, survivalSentence } from '../../../../src/cli/network/survival.ts';

describe('survival of equal validators', () => {
  it('agrees with 3·power >= 2·total and power < 1/3', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (n) => {
        const { quorum, crashes, traitors } = survivalOf(n);
        assert.ok(3 * quorum >= 2 * n && 3 * (quorum - 1) < 2 * n);
        assert.equal(quorumOf(n), quorum);
        assert.equal(crashes, n - quorum);
        assert.ok(3 * traitors < n && 3 * (traitors + 1) >= n);
      }),
    );
  });

  it('says so in words', () => {
    assert.equal(survivalSentence(3), '3 validators: survives the crash of any 1; no traitor (4 are needed for that).');
    assert.equal(survivalSentence(4), '4 validators: survives the crash of any 1; or 1 that lies.');
    assert.equal(
      survivalSentence(1),
      '1 validator: survives no crash (3 are needed for that); no traitor (4 are needed for that).',
    );
    assert.equal(survivalSentence(7), '7 validators: survives the crash of any 2; or 2 that lie.');
  });
});
