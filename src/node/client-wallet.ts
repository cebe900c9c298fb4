/** The key of the account that pays for the jobs of a node: a wallet with its password, or on chains of development a plain key. */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Signer } from '../chain/crypto/types.ts';
import { isDevnet } from '../chain/genesis.ts';
import type { NodeConfig } from '../config.ts';
import { NodeError } from '../errors.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';
import { MAX_KEYSTORE_CHARACTERS, openKeystore, parseKeystore } from '../wallet/keystore.ts';

/** Name of the credential for systemd's LoadCredential= and LoadCredentialEncrypted=. */
const PASSWORD_CREDENTIAL = 'aitbc-market-password';
const MAX_PASSWORD_BYTES = 1024;

type MarketConfig = NodeConfig['market'];

/** @returns null where none is configured @throws NodeError DEV_KEY | KEY_FILE | WRONG_PASSWORD | CONFIG */
export async function readMarketKey(market: MarketConfig, chainId: string): Promise<Signer | null> {
  const { keyFile, wallet } = market;
  if (keyFile !== '' && wallet !== '') {
    throw new NodeError('CONFIG', 'market.key_file and market.wallet are both set', {
      hint: 'leave one of them empty',
    });
  }
  if (wallet !== '') return createNativeSigner(await readWallet(market, chainId));
  if (keyFile === '') return null;
  if (isDevnet(chainId)) return createNativeSigner(await readKeyFile(keyFile));
  throw new NodeError('DEV_KEY', `a plain key file pays for nothing on ${chainId}`, {
    data: { chain_id: chainId },
    hint: 'make a wallet (aitbc wallet create) and set market.wallet and market.password_file',
  });
}

async function readWallet({ wallet, passwordFile }: MarketConfig, chainId: string): Promise<Uint8Array> {
  const keystore = await parseKeystore(await readText(wallet, MAX_KEYSTORE_CHARACTERS));
  if (keystore.devnet_only && !isDevnet(chainId)) {
    throw new NodeError('DEV_KEY', `the wallet is for chains of development, not for ${chainId}`, {
      data: { chain_id: chainId },
      hint: 'others may know its key: make a new one with aitbc wallet create',
    });
  }
  const password = await readText(passwordFile || credential(), MAX_PASSWORD_BYTES);
  return openKeystore(keystore, password.replace(/\r?\n$/, ''));
}

/** @throws NodeError CONFIG */
function credential(): string {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  const path = folder === undefined ? '' : join(folder, PASSWORD_CREDENTIAL);
  if (path !== '' && existsSync(path)) return path;
  throw new NodeError('CONFIG', 'market.wallet has no password to open it with', {
    hint: `set market.password_file, or give the service the credential ${PASSWORD_CREDENTIAL}`,
  });
}

async function readText(path: string, maxBytes: number): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new NodeError('KEY_FILE', `cannot read ${path}`, {
      data: { path },
      hint: 'check market.wallet and market.password_file, and that the node may read them',
      cause: error,
    });
  }
}
