/** `aitbc init`: makes what a node's home lacks, and leaves what it has. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { describeFiles, makeHome, readGenesisBytes } from './home-files.ts';
import { addHomeOptions, configOf } from './home-options.ts';
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
      await init(context, options);
      return;
    }
    const { initFromBundle } = await import('./network/init-bundle.ts');
    await initFromBundle(context, resolve(options.bundle), options);
  });
}

async function init(context: Context, options: InitOptions): Promise<void> {
  const genesis = options.genesis === undefined ? null : await readGenesisBytes(options.genesis, context.options.chain);
  const { layout, files, peerId, validator, genesisHash, storeKeyPath } = await makeHome(context, {
    config: configOf(options),
    genesis,
  });
  const document = {
    home: context.home,
    chain_id: layout.chainId,
    genesis_hash: genesisHash,
    store_key: storeKeyPath,
    peer_id: peerId,
    validator,
    files,
  };
  const lines = [...describeFiles(files), `Peer id: ${peerId}`, `Validator key: ${validator}`];
  context.out.data(document, lines.join('\n'));
  context.out.note(
    genesisHash === null
      ? `Next: aitbc init --home ${context.home} --genesis FILE   (the genesis of ${layout.chainId} is missing)`
      : `Next: aitbc start --home ${context.home}`,
  );
}
