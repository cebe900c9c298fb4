/** A wallet as commands print it; the keys are a contract. */
import { toHex } from '../bytes.ts';
import type { WalletFile } from './keystore-files.ts';

export interface WalletDocument {
  readonly name: string;
  readonly address: string;
  readonly public_key: string;
  readonly path: string;
  /** Of the words; null for a key that was not derived. */
  readonly derivation_path: string | null;
  readonly is_default: boolean;
  readonly devnet_only: boolean;
}

/** @param chosen name of the default wallet */
export function walletDocument(wallet: WalletFile, chosen: string | null): WalletDocument {
  const { name, address, publicKey, path, keystore } = wallet;
  return {
    name,
    address,
    public_key: toHex(publicKey),
    path,
    derivation_path: keystore.path === '' ? null : keystore.path,
    is_default: name === chosen,
    devnet_only: keystore.devnet_only === true,
  };
}
