/** What the command lines of the launcher, the kill test, the failover test and the benchmarks share. */
import type { ParseArgsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import { NodeError } from '../src/errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** @param help the command that explains the options */
export function createCommandLine(help: string) {
  const usage = (message: string): NodeError => new NodeError('USAGE', message, { hint: help });
  return {
    usage,
    /** Options by name, and words without one where the command takes any. @throws NodeError USAGE */
    parse: <const T extends Options>(argv: readonly string[], options: T, allowPositionals = false) => {
      try {
        return parseArgs({ args: [...argv], strict: true, allowPositionals, options });
      } catch (error) {
        throw usage(error instanceof Error ? error.message : String(error));
      }
    },
    /** @throws NodeError USAGE */
    integer: (option: string, text: string, least: number, most = 999_999_999): number => {
      const value = Number(text);
      if (!/^\d{1,9}$/.test(text) || value < least || value > most) {
        throw usage(`${option} takes a whole number from ${least}${most === 999_999_999 ? '' : ` to ${most}`}`);
      }
      return value;
    },
  };
}
