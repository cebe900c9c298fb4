/** `aitbc node`: the grammar. What the verbs do is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { showPeers } from './peers.ts';

export function register(program: Command): void {
  const node = program.command('node').description('this node and its peers');
  node
    .command('peers')
    .description('connected nodes')
    .action(async (_options: object, command: Command) => {
      await showPeers(createContext(command));
    });
  node
    .command('id')
    .description('peer id and validator key of this home')
    .action(async (_options: object, command: Command) => {
      const { showIdentity } = await import('./node-identity.ts');
      await showIdentity(createContext(command));
    });
  node
    .command('rotate-store-key')
    .description('change the key of the encrypted databases of this home; the node must be stopped')
    .requiredOption('--to <file>', 'the new key, made if there is none')
    .action(async ({ to }: { readonly to: string }, command: Command) => {
      const { rotateStoreKeyOf } = await import('./store-key.ts');
      await rotateStoreKeyOf(createContext(command), to);
    });
}
