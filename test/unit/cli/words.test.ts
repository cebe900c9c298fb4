import assert from 'node:assert/strict';
import { checkWords } from '../../../src/cli/words.ts';
import { isNodeError } from '../../../src/errors.ts';
import { generateMnemonic } from '../../../src/wallet/mnemonic.ts';

describe('words of a new wallet', () => {
  const mnemonic = generateMnemonic();
  const word = (question: string): string => mnemonic.split(' ')[Number(/^Word (\d+)$/.exec(question)?.[1]) - 1] ?? '';

  it('are asked for at three positions', async () => {
    const asked: string[] = [];
    await checkWords(
      mnemonic,
      (question) => {
        asked.push(question);
        return Promise.resolve(` ${word(question).toUpperCase()} `);
      },
      () => undefined,
    );
    assert.equal(new Set(asked).size, 3);
  });

  it('may be mistyped twice, and then no wallet is made', async () => {
    const notes: string[] = [];
    let mistakes = 2;
    const ask = (question: string): Promise<string> => Promise.resolve(mistakes-- > 0 ? 'nonsense' : word(question));
    await checkWords(mnemonic, ask, (line) => notes.push(line));
    assert.equal(notes.length, 2);
    mistakes = Infinity;
    await assert.rejects(
      checkWords(mnemonic, ask, () => undefined),
      (error) => isNodeError(error) && error.code === 'USAGE' && /no wallet was made/.test(error.message),
    );
  });
});
