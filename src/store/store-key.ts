/** Which chains' databases are encrypted, and where the operator's key for that, the store key, lies. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyFile } from './key-file.ts';

/** Chains whose databases are encrypted unless the operator says otherwise. */
const ENCRYPTED_CHAINS: readonly string[] = ['ait-mainnet'];

/** Name of the credential for systemd's LoadCredential= and LoadCredentialEncrypted=. */
const CREDENTIAL = 'aitbc-store-key';

export interface StoreKeySource {
  readonly path: string;
  /** systemd lets a service read its credentials through the group bits of an access list. */
  readonly isCredential: boolean;
}

/** Of the node's options. */
export interface EncryptionOptions {
  readonly encrypt: 'on' | 'off' | 'auto';
  /** Absolute; empty: the usual places. */
  readonly encryptionKeyFile: string;
}

type Env = Readonly<Record<string, string | undefined>>;

export function isEncrypted({ encrypt }: EncryptionOptions, chainId: string): boolean {
  return encrypt === 'auto' ? ENCRYPTED_CHAINS.includes(chainId) : encrypt === 'on';
}

/** The file named in the configuration, else the credential of the service, else the usual place in the home. */
export function storeKeySource({ encryptionKeyFile }: EncryptionOptions, usual: string, env: Env): StoreKeySource {
  if (encryptionKeyFile !== '') return { path: encryptionKeyFile, isCredential: false };
  const credentials = env['CREDENTIALS_DIRECTORY'];
  if (credentials) {
    const path = join(credentials, CREDENTIAL);
    if (existsSync(path)) return { path, isCredential: true };
  }
  return { path: usual, isCredential: false };
}

/** @returns 32 bytes, to be wiped after use. @throws NodeError KEY_FILE | STORAGE */
export function readStoreKey({ path, isCredential }: StoreKeySource): Promise<Uint8Array> {
  return readKeyFile(path, {
    groupMayRead: isCredential,
    hint: 'make it with `aitbc init --encrypt`, restore it from your backup, name its place in store.encryption_key_file, or set store.encrypt = "off" where the database is not encrypted',
  });
}
