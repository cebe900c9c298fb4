/** `aitbc node`: this node's identity and its peers. */
import type { Command } from 'commander';
import { toHex } from '../bytes.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';
import { rotateStoreKeyOf } from './store-key.ts';
import { createContext } from './context.ts';
import { fields } from './output.ts';
import { peerIdOf } from './peer-id.ts';
import { showPeers } from './peers.ts';
import { ownValidatorKey } from './validator-key.ts';

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
      const context = createContext(command);
      const layout = context.layout();
      const peerId = peerIdOf(createNativeSigner(await readKeyFile(layout.nodeKey)).publicKey);
      const signer = await ownValidatorKey(layout.validatorKey);
      const validator = signer && toHex(signer.publicKey);
      context.out.data(
        { home: context.home, chain_id: layout.chainId, peer_id: peerId, validator },
        fields([
          ['peer id', peerId],
          ['validator key', validator],
        ]),
      );
    });
  node
    .command('rotate-store-key')
    .description('change the key of the encrypted databases of this home; the node must be stopped')
    .requiredOption('--to <file>', 'the new key, made if there is none')
    .action(async ({ to }: { readonly to: string }, command: Command) => {
      await rotateStoreKeyOf(createContext(command), to);
    });
}
