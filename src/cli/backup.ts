/** `aitbc backup`: keys, sign guards, wallets and configuration of a home in one file, and back. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createContext } from './context.ts';

/** Loaded when it is needed, which help does not. */
const work = () => import('./backup-files.ts');

export function register(program: Command): void {
  const backup = program.command('backup').description('what a node cannot have again, in one file');
  backup
    .command('create')
    .description(
      'write keys, sign guards, wallets, configuration and genesis into a new file, also while the node runs',
    )
    .argument('<file>', 'file to make')
    .action(async (file: string, _options: object, command: Command) => {
      const { create } = await work();
      await create(createContext(command), resolve(file));
    });
  backup
    .command('restore')
    .description('put them back; the node must be stopped. A sign guard that says more than the backup stays')
    .argument('<file>', 'file made by create')
    .option('--replace', 'move keys and configuration that differ aside, instead of refusing')
    .action(async (file: string, { replace = false }: { readonly replace?: boolean }, command: Command) => {
      const { restore } = await work();
      await restore(createContext(command), resolve(file), replace);
    });
}
