/** How soon help is there: the program as its users start it, for itself and for every command. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { NodeError } from '../../src/errors.ts';
import { REPOSITORY } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import type { Percentiles } from '../../testnet/load/percentiles.ts';
import type { BenchArgs } from './args.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const BAR_MS = 150;
/** Names of the list in `aitbc --help`. */
const COMMANDS = /^ {2}([a-z]+)(?: \[options\])? {2,}/gm;

export async function help(
  { samples }: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { text } = await timeHelp([]);
  const commands = [...text.slice(text.indexOf('Commands:')).matchAll(COMMANDS)].map(([, name = '']) => name);
  const figures: Record<string, Percentiles> = {};
  for (const words of [[], ...commands.filter((name) => name !== 'help').map((name) => [name])]) {
    const times: number[] = [];
    for (let i = 0; i < samples; i++) times.push((await timeHelp(words)).ms);
    const name = ['aitbc', ...words, '--help'].join(' ');
    figures[name] = percentiles(times);
    tell(`  ${name}: p50 ${figures[name].p50} ms, p99 ${figures[name].p99} ms`);
  }
  const slowest = Math.max(...Object.values(figures).map(({ p50 }) => p50));
  return {
    checks: [
      below('help, p50', figures['aitbc --help']?.p50 ?? null, BAR_MS, ' ms'),
      below('help of a command, the slowest p50', slowest, BAR_MS, ' ms'),
      invariant('every command has help', commands.length > 0, commands.length),
    ],
    figures: { ...figures, measured_as: 'from the start of bin/aitbc.mjs until its end, one at a time' },
  };
}

async function timeHelp(words: readonly string[]): Promise<{ readonly ms: number; readonly text: string }> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(REPOSITORY, 'bin', 'aitbc.mjs'), ...words, '--help'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const ms = performance.now() - startedAt;
  if (code === 0 && text.startsWith('Usage: aitbc')) return { ms, text };
  throw new NodeError('INTERNAL', `aitbc ${words.join(' ')} --help ended with ${code ?? 'a signal'}`);
}
