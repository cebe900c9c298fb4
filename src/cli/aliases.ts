/** Other names of commands: those of the replaced system, and those that people try first. */

interface Alias {
  readonly command: readonly string[];
  /** Of the replaced system: the new name is told. */
  readonly isOld?: true;
}

const old = (...command: string[]): Alias => ({ command, isOld: true });

/** The first two words, and what they stand for. Every one of them is a verb that has its counterpart here. */
export const ALIASES: ReadonlyMap<string, Alias> = new Map([
  ['wallet send', { command: ['send'] }],
  ['wallet default', { command: ['wallet', 'use'] }],
  ['wallet delete', { command: ['wallet', 'remove'] }],
  ['wallet sign-message', { command: ['wallet', 'sign'] }],
  ['wallet verify-message', { command: ['wallet', 'verify'] }],
  ['blockchain head', old('chain', 'head')],
  ['blockchain block', old('chain', 'block')],
  ['blockchain transaction', old('chain', 'tx')],
  ['blockchain status', old('status')],
  ['blockchain sync-status', old('status')],
  ['blockchain peers', old('node', 'peers')],
  ['blockchain validators', old('validator', 'list')],
  ['blockchain send', old('send')],
  ['blockchain balance', old('wallet', 'balance')],
]);

/**
 * Places of the words that are neither options nor their values, the first two at most.
 *
 * @param takesValue of the options that may stand before a command
 */
export function operandPlaces(argv: readonly string[], takesValue: ReadonlySet<string>): number[] {
  const places: number[] = [];
  for (let i = 0; i < argv.length && places.length < 2; i++) {
    const word = argv[i] ?? '';
    if (word === '--') break;
    if (!word.startsWith('-')) places.push(i);
    else if (takesValue.has(word)) i++;
  }
  return places;
}

/** @param onOld told the two words and what they stand for @returns the command line in names of today */
export function expandAliases(
  argv: readonly string[],
  takesValue: ReadonlySet<string>,
  onOld: (words: string, command: string) => void,
): string[] {
  const [first, second] = operandPlaces(argv, takesValue);
  if (first === undefined || second === undefined) return [...argv];
  const words = `${argv[first] ?? ''} ${argv[second] ?? ''}`;
  const alias = ALIASES.get(words);
  if (!alias) return [...argv];
  if (alias.isOld) onOld(words, alias.command.join(' '));
  return [...argv.slice(0, first), ...alias.command, ...argv.slice(first + 1, second), ...argv.slice(second + 1)];
}
