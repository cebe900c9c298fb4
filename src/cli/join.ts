/** `aitbc join`: from a join document to a node that is synced. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { addHomeOptions } from './home-options.ts';
import type { JoinOptions } from './network/join.ts';

export function register(program: Command): void {
  const command = program
    .command('join')
    .description(
      'become part of a network: check its join document, make a home, and catch up until "Synced"; aitbc start runs ' +
        'the node from then on. --genesis-hash says which network is meant',
    )
    .argument('<source>', 'URL of a node or of a join document, a file, or the multiaddr of a peer')
    .option('--stay', 'go on as the node once it is synced, until Ctrl-C')
    .option('--no-sync', 'make the home, and start nothing');
  addHomeOptions(command).action(async (source: string, options: JoinOptions, self: Command) => {
    const { joinNetwork } = await import('./network/join.ts');
    await joinNetwork(createContext(self), source, options);
  });
}
