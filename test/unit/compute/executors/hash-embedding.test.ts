import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { embed, hashVector } from '../../../../src/compute/executors/builtin/hash-embedding.ts';

function cosine(a: string, b: string): number {
  const [left, right] = [hashVector(a), hashVector(b)];
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

describe('vectors by spelling', () => {
  it('are near for texts that share words, typing errors and inflections, and far for others', () => {
    const text = 'The miner is paid from escrow when the receipt is settled on the chain';
    const near = [
      'When the receipt is settled on chain, the miner is paid from escrow.',
      'teh miners are paid out of escrow whne receipts settle on the chian',
    ];
    const far = ['A recipe for plum cake with cinnamon and sugar', 'Нода синхронизирует блоки', ''];
    for (const similar of near) {
      for (const other of far) assert.ok(cosine(text, similar) > cosine(text, other) + 0.3, `${similar} / ${other}`);
    }
  });

  it('do not depend on case, width and composition, nor on punctuation', () => {
    assert.ok(cosine('Füchsin, MOND!', 'fu\u0308chsin mond') > 0.999_999);
    assert.ok(cosine('ＡＢＣ 123', 'abc 123') > 0.999_999);
  });

  it('have length 1, or 0 for a text without words', () => {
    const length = (text: string): number => Math.hypot(...hashVector(text));
    assert.ok(Math.abs(length('one two three') - 1) < 1e-12);
    assert.equal(length('?!… —'), 0);
  });

  it('are these bytes everywhere', () => {
    const bytes = embed(['The same text gives the same bytes.', 'Füchsin 🌕', '']);
    assert.equal(bytes.length, 3 * 256 * 4);
    assert.equal(
      createHash('sha256').update(bytes).digest('hex'),
      '0a5bf14ce4a3a302d9030374e031f687f5198bfb2c341d2470219f6f632a9255',
    );
  });

  it('take a text of the largest size in a moment', () => {
    const start = performance.now();
    hashVector('x'.repeat(500_000) + ' word'.repeat(100_000));
    assert.ok(performance.now() - start < 5_000);
  });
});
