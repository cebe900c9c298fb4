/** `aitbc key`: API keys of one's own node. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { createContext } from './context.ts';
import { collect, lifetime, positiveNumber } from './options.ts';
import type { CreateOptions } from './key-admin.ts';

const SCOPES = ['read', 'submit', 'jobs'];

/** Loaded when it is needed, which help does not. */
const work = () => import('./key-admin.ts');

export function register(program: Command): void {
  const key = program.command('key').description('API keys of your own node, over its admin socket');
  key
    .command('create')
    .description('make a key, and show it once')
    .argument('<name>', 'for people: letters, digits, dots and hyphens')
    .option('--scope <scope>', 'read, submit or jobs; repeatable (default: read and submit)', scope)
    .option('--budget-per-day <amount>', 'with scope jobs: what it may spend a UTC day of the wallet of the node')
    .option('--models <list>', 'models its jobs may ask for, divided by commas (default: all)', list)
    .option('--requests-per-minute <count>', 'besides the limits of each client', positiveNumber)
    .option('--expires <duration>', 'until it ends, e.g. 12h or 30d (default: never)', lifetime)
    .option('--file <file>', 'write it into a new file, for you alone to read, instead of stdout')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      await (await work()).createKey(createContext(command), name, options);
    });
  key
    .command('list')
    .description('all keys, and what they spent today')
    .action(async (_options: object, command: Command) => {
      await (await work()).listKeys(createContext(command));
    });
  key
    .command('revoke')
    .description('end a key, at once')
    .argument('<id>', 'as list shows it')
    .action(async (id: string, _options: object, command: Command) => {
      await (await work()).revokeKey(createContext(command), id);
    });
}

function scope(value: string, previous: readonly string[] = []): string[] {
  if (!SCOPES.includes(value)) throw new InvalidArgumentError(`${SCOPES.join(', ')} are the scopes.`);
  return collect(value, previous);
}

function list(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
