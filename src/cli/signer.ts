/** The key that signs a command's transaction: a wallet of the home, or a key file. */
import { resolve } from 'node:path';
import type { PublicKey } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Signer } from '../chain/crypto/types.ts';
import { isDevnet } from '../chain/genesis.ts';
import { NodeError } from '../errors.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';
import type { Keystore } from '../wallet/keystore.ts';
import { MAX_KEYSTORE_CHARACTERS, openKeystore, parseKeystore, publicKeyOfKeystore } from '../wallet/keystore.ts';
import type { Context } from './context.ts';
import { listWallets, readDefault, readWallet } from './keystore-files.ts';
import { readPassword } from './prompt.ts';
import { readSmallText } from './small-file.ts';

export interface KeyOptions {
  readonly from?: string;
  readonly keyFile?: string;
}

/** A key that is ready to sign, or will be once its password is given. */
export interface Key {
  readonly address: string;
  /** Known before the password is. */
  readonly publicKey: PublicKey;
  unlock(): Promise<Signer>;
}

/** @throws NodeError USAGE | NOT_FOUND | KEY_FILE | DEV_KEY */
export async function chooseKey(context: Context, options: KeyOptions, chainId: string): Promise<Key> {
  if (options.from !== undefined && options.keyFile !== undefined) {
    throw new NodeError('USAGE', 'give --from or --key-file, not both');
  }
  if (options.keyFile !== undefined) return keyOfFile(context, resolve(options.keyFile), chainId);
  const wallet = await chooseWallet(context, options.from);
  requireAllowed(wallet.keystore, `wallet "${wallet.name}"`, chainId);
  return keyOfKeystore(context, wallet.keystore, wallet.address, `of wallet "${wallet.name}"`);
}

/** The one named, else the default one, else the only one. @throws NodeError USAGE | NOT_FOUND | KEY_FILE */
export async function chooseWallet(context: Context, name: string | undefined): ReturnType<typeof readWallet> {
  const { keystore: folder } = context.layout();
  const chosen = name ?? (await readDefault(folder));
  if (chosen !== null) return readWallet(folder, chosen);
  const wallets = await listWallets(folder, () => undefined);
  const [only] = wallets;
  if (only && wallets.length === 1) return only;
  throw new NodeError('USAGE', wallets.length === 0 ? `no wallet in ${folder}` : 'which wallet signs?', {
    hint:
      wallets.length === 0
        ? 'aitbc wallet create NAME makes one; --key-file F uses a key from elsewhere'
        : `--from ${wallets.map(({ name: each }) => each).join(' | ')}; aitbc wallet use NAME chooses for good`,
  });
}

/** That of the options, else the wallet of this address. @throws NodeError NOT_FOUND | USAGE | KEY_FILE | DEV_KEY */
export async function chooseKeyOf(
  context: Context,
  options: KeyOptions,
  address: string,
  chainId: string,
): Promise<Key> {
  const key = await chooseKey(context, await optionsFor(context, options, address), chainId);
  if (key.address === address) return key;
  throw new NodeError('USAGE', `the key of ${address} is needed, and this is the one of ${key.address}`, {
    hint: 'name the right wallet with --from, or its file with --key-file',
  });
}

async function optionsFor(context: Context, options: KeyOptions, address: string): Promise<KeyOptions> {
  if (options.from !== undefined || options.keyFile !== undefined) return options;
  const { keystore: folder } = context.layout();
  const found = (await listWallets(folder, () => undefined)).find((wallet) => wallet.address === address);
  if (found) return { from: found.name };
  throw new NodeError('NOT_FOUND', `no wallet in ${folder} has the address ${address}`, {
    data: { address, folder },
    hint: 'give --key-file F, --wallet-dir DIR, or take the key in: aitbc wallet import NAME',
  });
}

/** Keys that others may know are worth nothing where money is. @throws NodeError DEV_KEY */
function requireAllowed(keystore: Keystore, whose: string, chainId: string): void {
  if (!keystore.devnet_only || isDevnet(chainId)) return;
  throw new NodeError(
    'DEV_KEY',
    `${whose} is a development key: it signs for development chains only, not for ${chainId}`,
    {
      data: { chainId },
      hint: 'use a wallet of your own: aitbc wallet create NAME',
    },
  );
}

/** A wallet file, or the bare seed of a development account. */
async function keyOfFile(context: Context, path: string, chainId: string): Promise<Key> {
  const text = await readSmallText(path, MAX_KEYSTORE_CHARACTERS, 'a key file');
  if (text.trimStart().startsWith('{')) {
    const keystore = await parseKeystore(text);
    requireAllowed(keystore, path, chainId);
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
  return { address, publicKey: signer.publicKey, unlock: () => Promise.resolve(signer) };
}

function keyOfKeystore(context: Context, keystore: Keystore, address: string, whose: string): Key {
  return {
    address,
    publicKey: publicKeyOfKeystore(keystore),
    unlock: async () => {
      const password = await readPassword({ file: context.options.passwordFile, purpose: `password ${whose}` });
      return createNativeSigner(await openKeystore(keystore, password));
    },
  };
}
