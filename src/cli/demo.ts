/** `aitbc demo`: what the network does when parts of it fail, on this machine. The programs lie in the repository, not in the package. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import { createContext } from './context.ts';

const PROGRAM = fileURLToPath(new URL('../../testnet/demo.ts', import.meta.url));
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function register(program: Command): void {
  const demo = program.command('demo').description('see what the network does when parts of it fail: failover');
  demo
    .command('failover')
    .description('validators on three sites: kills them, cuts sites off, moves one, and says what each cost')
    .option('--layout <n/n/n>', 'validators at each site: 1/1/1 (default) or 2/2/2')
    .option('--topology <file>', 'sites and the links between them (default testnet/sites.json)')
    .option('--full', '500 blocks and cuts of 60 s; takes about a quarter of an hour')
    .option('--blocks <n>', 'blocks measured while nothing fails')
    .option('--cut-s <seconds>', 'how long a cut lasts')
    .option('--only <steps>', 'some steps, by name, with commas')
    .option('--list', 'name the steps')
    .option('--loopback', 'no network namespaces, as without root')
    .option('--record <file>', 'write the timeline of heights, rounds and outages as JSON')
    .option('--no-timing', 'judge safety and progress only; shorter')
    .option('--seed <text>', 'repeat victims and moments of a run')
    .action(async (options: Readonly<Record<string, string | boolean>>, command: Command) => {
      const { json } = createContext(command).out;
      process.exitCode = await run([...argumentsOf(options), ...(json ? ['--json'] : [])]);
    });
}

/** As they were written: `cutS: '5'` is `--cut-s 5`, `timing: false` is `--no-timing`. */
function argumentsOf(options: Readonly<Record<string, string | boolean>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (typeof value === 'string') return [`--${option}`, value];
    if (option === 'timing') return value ? [] : ['--no-timing'];
    return value ? [`--${option}`] : [];
  });
}

/** @returns its exit code @throws NodeError NOT_FOUND where there is only the package */
function run(args: readonly string[]): Promise<number> {
  if (!existsSync(PROGRAM)) {
    throw new NodeError('NOT_FOUND', 'the demonstration is not part of the package', {
      hint: 'clone the repository of this program, and run `npx aitbc demo failover` there',
    });
  }
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: 'inherit' });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the child by itself. It ends in order, and this process after it.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      for (const signal of SIGNALS) process.removeAllListeners(signal);
      resolve(code ?? 1);
    });
  });
}
