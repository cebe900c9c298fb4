/** `aitbc wallet export`, `passwd`, `rename` and `remove`: what is done with a wallet that is there. */
import { NodeError } from '../errors.ts';
import { writeKeyFile } from '../store/key-file.ts';
import { createKeystore, openKeystore } from '../wallet/keystore.ts';
import type { Context } from './context.ts';
import type { WalletFile } from './keystore-files.ts';
import { readWallet, removeWallet, renameWallet, replaceWallet, writeKeystoreFile } from './keystore-files.ts';
import { confirm, readPassword } from './prompt.ts';

export interface ExportOptions {
  readonly rawKey?: boolean;
}

export async function exportWallet(
  context: Context,
  name: string,
  path: string,
  options: ExportOptions,
): Promise<void> {
  const wallet = await readWallet(context.layout().keystore, name);
  const seed = await open(context, wallet);
  if (options.rawKey === true) {
    context.out.note(
      `The key of ${wallet.address} will lie unencrypted in ${path}: whoever reads it has what the account holds.`,
    );
    if (!(await confirm('Write it?', context.options.yes))) throw new NodeError('USAGE', 'not written');
    await writeKeyFile(path, seed);
  } else {
    const exists = (): NodeError =>
      new NodeError('KEY_EXISTS', `there is a file ${path} already, and it is not overwritten`, {
        data: { path },
        hint: 'give another file',
      });
    await writeKeystoreFile(path, wallet.keystore, exists);
  }
  seed.fill(0);
  const form = options.rawKey === true ? 'key' : 'keystore';
  context.out.data({ name, address: wallet.address, path, form }, `${form} of ${name} written to ${path}`);
}

export async function changePassword(context: Context, name: string, newFile: string | undefined): Promise<void> {
  const wallet = await readWallet(context.layout().keystore, name);
  const seed = await open(context, wallet);
  const purpose = `new password of wallet "${name}"`;
  const password = await readPassword({ file: newFile, option: '--new-password-file', purpose, isNew: true });
  const { path, devnet_only: devnetOnly = false } = wallet.keystore;
  await replaceWallet(wallet, await createKeystore({ name, seed, password, path, devnetOnly }));
  seed.fill(0);
  context.out.data({ name, address: wallet.address }, `the password of ${name} is changed`);
  context.out.note('Copies of the file still open with the old one.');
}

export async function rename(context: Context, name: string, newName: string): Promise<void> {
  const { address, path } = await renameWallet(context.layout().keystore, name, newName);
  context.out.data({ name: newName, address, path }, `${name} is now ${newName}: ${address}`);
}

export async function remove(context: Context, name: string): Promise<void> {
  const { keystore: folder } = context.layout();
  const wallet = await readWallet(folder, name);
  context.out.note(
    `${name}  ${wallet.address}\nWithout its words or a copy of its file, what the account holds is lost.`,
  );
  if (!(await confirm('Delete this wallet?', context.options.yes))) throw new NodeError('USAGE', 'not deleted');
  await removeWallet(folder, wallet);
  context.out.data({ name, address: wallet.address }, `${name} is deleted`);
}

async function open(context: Context, wallet: WalletFile): Promise<Uint8Array> {
  const purpose = `password of wallet "${wallet.name}"`;
  const password = await readPassword({ file: context.options.passwordFile, purpose });
  return openKeystore(wallet.keystore, password);
}
