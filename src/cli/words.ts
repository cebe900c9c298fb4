/** The words of a new wallet: shown once on a terminal and asked for, or written into a file of their own. */
import { existsSync } from 'node:fs';
import { NodeError } from '../errors.ts';
import { createFile } from '../store/files.ts';
import { storageError } from '../store/storage-error.ts';
import { positionsToAsk } from '../wallet/mnemonic.ts';
import type { Context } from './context.ts';
import { askText } from './prompt.ts';

const ASKED = 3;
const TRIES = 3;
const WORDS_A_LINE = 6;

/** Called before a key is made, so that nobody has one without its words. @throws NodeError USAGE | KEY_EXISTS */
export function requireWayForWords(wordsFile: string | undefined): void {
  if (wordsFile !== undefined) {
    if (existsSync(wordsFile)) throw wordsFileExists(wordsFile);
    return;
  }
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new NodeError('USAGE', 'the words of a new wallet are shown once, and there is no terminal to show them on', {
    hint: 'give --words-file FILE: they are written there, for you alone to read',
  });
}

/** @throws NodeError KEY_EXISTS | STORAGE | USAGE when the words typed are others */
export async function handOverWords(context: Context, mnemonic: string, wordsFile: string | undefined): Promise<void> {
  if (wordsFile !== undefined) {
    await writeWords(wordsFile, mnemonic);
    context.out.note(`The words are in ${wordsFile}. Keep them away from this machine: they rebuild the wallet.`);
    return;
  }
  context.out.note('Write these 24 words down. They are shown once, and they alone rebuild this wallet.\n');
  context.out.note(`${wordLines(mnemonic).join('\n')}\n`);
  if (context.options.yes !== true)
    await checkWords(mnemonic, askText, (line) => {
      context.out.note(line);
    });
}

async function writeWords(path: string, mnemonic: string): Promise<void> {
  let made: boolean;
  try {
    made = await createFile(path, Buffer.from(`${mnemonic}\n`));
  } catch (error) {
    throw storageError(error, 'write the words', path);
  }
  if (!made) throw wordsFileExists(path);
}

function wordsFileExists(path: string): NodeError {
  return new NodeError('KEY_EXISTS', `there is a file ${path} already, and it is not overwritten`, {
    data: { path },
    hint: 'give another file: it may hold the words of another wallet',
  });
}

function wordLines(mnemonic: string): string[] {
  const words = mnemonic.split(' ').map((word, i) => `${String(i + 1).padStart(4)} ${word.padEnd(9)}`);
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += WORDS_A_LINE) lines.push(words.slice(at, at + WORDS_A_LINE).join(''));
  return lines.map((line) => line.trimEnd());
}

/** Asks for some of the words. @throws NodeError USAGE after too many others */
export async function checkWords(
  mnemonic: string,
  ask: (question: string) => Promise<string>,
  note: (line: string) => void,
): Promise<void> {
  const words = mnemonic.split(' ');
  for (const position of positionsToAsk(words.length, ASKED)) {
    for (let left = TRIES; ; left--) {
      if ((await ask(`Word ${position}`)).trim().toLowerCase() === words[position - 1]) break;
      if (left === 1) {
        throw new NodeError('USAGE', `that is not word ${position}: no wallet was made`, {
          hint: 'run it again, and write all 24 words down in their order',
        });
      }
      note(`That is not word ${position}.`);
    }
  }
}
