/** `aitbc debug`: the grammar. What the verb does is loaded when it is needed, which help does not. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createContext } from './context.ts';

export function register(program: Command): void {
  const debug = program.command('debug').description('what helps others to help with a node');
  debug
    .command('bundle')
    .description('write what the node tells of itself into a new folder: state, peers, metrics, options; no keys')
    .argument('<folder>', 'folder to make')
    .option('--log <file>', 'take the end of this log too')
    .action(async (folder: string, options: { readonly log?: string }, command: Command) => {
      const { bundle } = await import('./debug-bundle.ts');
      await bundle(createContext(command), resolve(folder), options.log);
    });
}
