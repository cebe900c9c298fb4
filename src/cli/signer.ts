/** The key that signs a command's transaction: a wallet of the home, or a key file. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Signer } from '../chain/crypto/types.ts';
import { isDevnet } from '../chain/genesis.ts';
import { NodeError } from '../errors.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';
import type { Keystore } from '../wallet/keystore.ts';
import { openKeystore, parseKeystore, publicKeyOfKeystore } from '../wallet/keystore.ts';
import type { Context } from './context.ts';
import { listWallets, readWallet } from './keystore-files.ts';
import { readPassword } from './prompt.ts';

const MAX_KEY_FILE_BYTES = 16 * 1024;

export interface KeyOptions {
  readonly from?: string;
  readonly keyFile?: string;
}

/** A key that is ready to sign, or will be once its password is given. */
export interface Key {
  readonly address: string;
  unlock(): Promise<Signer>;
}

/** @throws NodeError USAGE | NOT_FOUND | KEY_FILE | DEV_KEY */
export async function chooseKey(context: Context, options: KeyOptions, chainId: string): Promise<Key> {
  if (options.from !== undefined && options.keyFile !== undefined) {
    throw new NodeError('USAGE', 'give --from or --key-file, not both');
  }
  if (options.keyFile !== undefined) return keyOfFile(context, resolve(options.keyFile), chainId);
  const { keystore: folder } = context.layout();
  const wallet = options.from === undefined ? await onlyWallet(folder) : await readWallet(folder, options.from);
  return keyOfKeystore(context, wallet.keystore, wallet.address, `of wallet "${wallet.name}"`);
}

async function onlyWallet(folder: string): ReturnType<typeof readWallet> {
  const wallets = await listWallets(folder, () => undefined);
  const [only] = wallets;
  if (only && wallets.length === 1) return only;
  throw new NodeError('USAGE', wallets.length === 0 ? `no wallet in ${folder}` : 'which wallet pays?', {
    hint:
      wallets.length === 0
        ? 'aitbc wallet create NAME makes one; --key-file F uses a key from elsewhere'
        : `--from ${wallets.map(({ name }) => name).join(' | ')}`,
  });
}

/** A wallet file, or the bare seed of a development account. */
async function keyOfFile(context: Context, path: string, chainId: string): Promise<Key> {
  const text = readSmall(path);
  if (text.trimStart().startsWith('{')) {
    const keystore = await parseKeystore(text);
    const address = formatAddress(addressOf(nativeCrypto, publicKeyOfKeystore(keystore)));
    return keyOfKeystore(context, keystore, address, `of ${path}`);
  }
  if (!isDevnet(chainId)) {
    throw new NodeError('DEV_KEY', `${path} is a bare key: it signs for development chains only, not for ${chainId}`, {
      data: { path, chainId },
      hint: 'use a wallet file with a password: aitbc wallet create NAME',
    });
  }
  const signer = createNativeSigner(await readKeyFile(path));
  const address = formatAddress(addressOf(nativeCrypto, signer.publicKey));
  return { address, unlock: () => Promise.resolve(signer) };
}

function keyOfKeystore(context: Context, keystore: Keystore, address: string, whose: string): Key {
  return {
    address,
    unlock: async () => {
      const password = await readPassword(context.options.passwordFile, `password ${whose}`);
      return createNativeSigner(await openKeystore(keystore, password));
    },
  };
}

function readSmall(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length <= MAX_KEY_FILE_BYTES) return text;
  } catch (error) {
    throw new NodeError('KEY_FILE', `cannot read the key file ${path}`, { data: { path }, cause: error });
  }
  throw new NodeError('KEY_FILE', `${path} is too large to be a key file`, { data: { path } });
}
