/** The consensus key of a home. */
import { existsSync } from 'node:fs';
import type { Signer } from '../chain/crypto/types.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';

/** @returns null on a home without one @throws NodeError KEY_FILE */
export async function ownValidatorKey(path: string): Promise<Signer | null> {
  return existsSync(path) ? createNativeSigner(await readKeyFile(path)) : null;
}
