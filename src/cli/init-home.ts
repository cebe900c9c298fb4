/** What `aitbc init` does without a bundle. */
import type { Context } from './context.ts';
import { describeFiles, makeHome, readGenesisBytes } from './home-files.ts';
import { configOf } from './home-options.ts';
import type { InitOptions } from './network/init-bundle.ts';

export async function initHome(context: Context, options: InitOptions): Promise<void> {
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
