/**
 * Words that stand for a key: BIP-39 in English, the key derived by SLIP-0010 for Ed25519, whose steps are all hardened.
 * Failures name positions, never words.
 */
import { entropyToMnemonic, mnemonicToEntropy, mnemonicToSeedWebcrypto } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { HDKey } from 'micro-key-producer/slip10.js';
import { NodeError } from '../errors.ts';

/** 24 words. */
const ENTROPY_BYTES = 32;
const WORD_COUNTS: readonly number[] = [12, 15, 18, 21, 24];
/** "AIT" in ASCII; SLIP-0044 has no registration. */
const COIN_TYPE = 0x414954;
export const MAX_ACCOUNT = 2 ** 31 - 1;
/** 24 words have at most 215 characters. */
export const MAX_MNEMONIC_CHARACTERS = 1024;

/** Of the accounts that other development tools print; the phrases of BIP-39's vectors are found by their entropy. */
const DEVELOPMENT_PHRASES: readonly string[] = ['test test test test test test test test test test test junk'];

const WORDS: ReadonlySet<string> = new Set(wordlist);

/** 24 words with 256 bits of entropy. */
export function generateMnemonic(): string {
  return entropyToMnemonic(crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES)), wordlist);
}

/**
 * The one form of a phrase: lower-case words with a space between them.
 *
 * @throws NodeError BAD_MNEMONIC, `data` being the count, the position of the first unknown word (from 1), or neither
 */
export function parseMnemonic(text: string): string {
  if (text.length > MAX_MNEMONIC_CHARACTERS) throw badMnemonic('the phrase is too long');
  const words = text.normalize('NFKD').trim().toLowerCase().split(/\s+/);
  if (!WORD_COUNTS.includes(words.length)) {
    throw badMnemonic(`a phrase has 12, 15, 18, 21 or 24 words, this one ${words.length}`, { count: words.length });
  }
  const unknown = words.findIndex((word) => !WORDS.has(word));
  if (unknown >= 0) throw badMnemonic(`word ${unknown + 1} is not in the list of BIP-39`, { position: unknown + 1 });
  const phrase = words.join(' ');
  try {
    mnemonicToEntropy(phrase, wordlist).fill(0);
  } catch {
    throw badMnemonic('the checksum of the phrase is wrong');
  }
  return phrase;
}

/** @param account from 0 to MAX_ACCOUNT */
export function derivationPath(account: number): string {
  return `m/44'/${COIN_TYPE}'/${account}'/0'`;
}

/** @returns the 32-byte seed of an Ed25519 key @throws NodeError BAD_MNEMONIC | INVALID_PARAMS */
export async function seedOfMnemonic(text: string, account = 0): Promise<Uint8Array> {
  if (!Number.isInteger(account) || account < 0 || account > MAX_ACCOUNT) {
    throw new NodeError('INVALID_PARAMS', `an account of a phrase is a number from 0 to ${MAX_ACCOUNT}`, {
      data: { account },
    });
  }
  const root = await mnemonicToSeedWebcrypto(parseMnemonic(text));
  const { privateKey } = HDKey.fromMasterSeed(root).derive(derivationPath(account));
  root.fill(0);
  return privateKey;
}

/** Whether the phrase stands in documents and tools: whoever reads those has its keys. */
export function isPublicMnemonic(text: string): boolean {
  const phrase = parseMnemonic(text);
  const entropy = mnemonicToEntropy(phrase, wordlist);
  return DEVELOPMENT_PHRASES.includes(phrase) || entropy.every((byte) => byte === entropy[0]);
}

/** Positions, from 1, to ask for: that the words were written down. */
export function positionsToAsk(count: number, asked: number): number[] {
  const left = Array.from({ length: count }, (_, i) => i + 1);
  const positions: number[] = [];
  while (positions.length < asked && left.length > 0) {
    const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
    positions.push(...left.splice(random % left.length, 1));
  }
  return positions.sort((a, b) => a - b);
}

function badMnemonic(message: string, data: { readonly count?: number; readonly position?: number } = {}): NodeError {
  return new NodeError('BAD_MNEMONIC', message, { data, hint: 'compare with what was written down, word for word' });
}
