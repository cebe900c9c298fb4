/** Options that several commands share, and how their values are read. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';

/** Options of every command that sends a transaction. */
export function addSendOptions(command: Command): Command {
  return command
    .option('--from <wallet>', 'wallet of this home that signs and pays')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file')
    .option('--fee <amount>', 'fee; the least one when absent')
    .option('--nonce <number>', 'nonce; the next free one when absent', wholeNumber)
    .option('--unsigned', 'write it unsigned on stdout instead: for aitbc tx sign, where the key is')
    .option('--async', 'return once the node has taken it, without waiting until it is final');
}

export function wholeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('a whole number is expected.');
  return value;
}

export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError('a whole number from 1 on is expected.');
  return value;
}

/** `250ms`, `2s`, `5m`, `1h` as ms. */
export function duration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ''];
  if (!match || unit === undefined || Number(match[1]) === 0) {
    throw new InvalidArgumentError('a duration such as 500ms, 10s or 2m is expected.');
  }
  return Number(match[1]) * unit;
}

/** What lasts long: `30d` too. In ms. */
export function lifetime(text: string): number {
  const days = /^([1-9]\d{0,3})d$/.exec(text)?.[1];
  return days === undefined ? duration(text) : Number(days) * 86_400_000;
}

export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
