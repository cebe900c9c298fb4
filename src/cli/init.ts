/** `aitbc init`: makes what a node's home lacks, and leaves what it has. What it does is loaded when it is done. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { addHomeOptions } from './home-options.ts';
import type { InitOptions } from './network/init-bundle.ts';

export function register(program: Command): void {
  const command = program
    .command('init')
    .description('make keys, config.toml and the folder of a chain; what exists stays')
    .option('--genesis <file>', 'genesis of the chain')
    .option('--bundle <file>', 'bundle of this node, made by network new; or the folder it lies in, with --name');
  addHomeOptions(command).action(async (options: InitOptions, self: Command) => {
    const context = createContext(self);
    if (options.bundle === undefined) {
      const { initHome } = await import('./init-home.ts');
      await initHome(context, options);
      return;
    }
    const { initFromBundle } = await import('./network/init-bundle.ts');
    await initFromBundle(context, resolve(options.bundle), options);
  });
}
