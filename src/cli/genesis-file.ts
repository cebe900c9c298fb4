/** Genesis files, read for what signatures are bound to. */
import { readFile } from 'node:fs/promises';
import type { Genesis } from '../chain/genesis.ts';
import { parseGenesis } from '../chain/genesis.ts';
import type { Json } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { errorCode } from '../store/storage-error.ts';

/** @throws NodeError BAD_GENESIS */
export function parseGenesisText(text: string, path: string): Genesis {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch (error) {
    throw new NodeError('BAD_GENESIS', `${path} is not JSON`, { data: { path }, cause: error });
  }
  return parseGenesis(nativeCrypto, json);
}

/** @returns null when there is no such file @throws NodeError BAD_GENESIS */
export async function readChain(path: string, chainId: string): Promise<ChainContext | null> {
  return (await readGenesisFile(path, chainId))?.chain ?? null;
}

/** @returns null when there is no such file @throws NodeError BAD_GENESIS */
export async function readGenesisFile(path: string, chainId: string): Promise<Genesis | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new NodeError('BAD_GENESIS', `cannot read ${path}`, { data: { path }, cause: error });
  }
  const genesis = parseGenesisText(text, path);
  if (genesis.chain.chainId === chainId) return genesis;
  throw new NodeError('BAD_GENESIS', `${path} is the genesis of ${genesis.chain.chainId}, not of ${chainId}`, {
    data: { path },
  });
}
