import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  layoutSentences,
  layoutSurvival,
  quorumOf,
  survivalOf,
  survivalSentence,
} from '../../../../src/cli/network/survival.ts';

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

describe('survival of a layout of sites', () => {
  const layout = (text: string) =>
    text.split('/').map((count, i) => ({ name: `s${i + 1}`, powers: Array<number>(Number(count)).fill(1) }));

  it('agrees with equal validators, with 3·power >= 2·total, and with power < 1/3', () => {
    const powers = fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(powers, (sites) => {
        const named = sites.map((members, i) => ({ name: `s${i}`, powers: members }));
        const found = layoutSurvival(named);
        const all = sites.flat().sort((a, b) => b - a);
        const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
        const total = sum(all);
        assert.ok(3 * found.quorum >= 2 * total && 3 * (found.quorum - 1) < 2 * total);
        named.forEach(({ name, powers: own }) => {
          const goesOn = 3 * (total - sum(own)) >= 2 * total;
          assert.equal(found.spared.includes(name), goesOn);
          assert.equal(found.needed.includes(name), !goesOn);
          assert.equal(found.trusted.includes(name), 3 * sum(own) >= total);
        });
        assert.ok(3 * (total - sum(all.slice(0, found.crashes))) >= 2 * total);
        assert.ok(3 * (total - sum(all.slice(0, found.crashes + 1))) < 2 * total);
        assert.ok(3 * sum(all.slice(0, found.traitors)) < total);
        assert.ok(3 * sum(all.slice(0, found.traitors + 1)) >= total);
        if (all.every((power) => power === 1)) {
          const { crashes, traitors } = survivalOf(all.length);
          assert.deepEqual([found.crashes, found.traitors], [crashes, traitors]);
        }
      }),
    );
  });

  it('says so in words: any one site and no traitor, any one site or one traitor, one site on which all hangs', () => {
    assert.deepEqual(layoutSentences(layout('1/1/1')), [
      '3 validators on 3 sites; agreement needs 2 of them.',
      'Survives the loss of any one site; losing more may halt it until they return.',
      'Survives the crash of any 1 validator.',
      'Survives no traitor: one validator that lies can split the chain (below a third of the power may lie).',
    ]);
    assert.deepEqual(layoutSentences(layout('2/2/2')), [
      '6 validators on 3 sites; agreement needs 4 of them.',
      'Survives the loss of any one site; losing more may halt it until they return.',
      'Survives the crash of any 2 validators.',
      'Survives 1 traitor in place of that, not beside it: with both the chain may halt.',
      'Does not survive that all validators of s1 or s2 or s3 lie together.',
    ]);
    assert.equal(
      layoutSentences(layout('2/1/1'))[1],
      'Survives the loss of s2 or s3. Losing s1 halts the chain until it returns.',
    );
    assert.equal(layoutSentences(layout('1'))[1], 'Losing s1 halts the chain until it returns.');
  });
});
