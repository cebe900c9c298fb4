/** Trusted heads kept in the home: <home>/light/<chain>-<genesis8>.json, 0600, replaced whole. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex, utf8 } from '../bytes.ts';
import type { Json } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { isNodeError } from '../errors.ts';
import type { TrustedHead } from '../chain/light.ts';
import { headsFromJson, headsToJson } from '../sdk/trusted-heads.ts';
import { ensurePrivateFolder, replaceFile } from '../store/files.ts';
import { errorCode, storageError } from '../store/storage-error.ts';

/** Heads kept; with two sets of 128 validators each they stay below the largest file read. */
const MAX_KEPT = 4;
const MAX_FILE_BYTES = 256 * 1024;

function trustedHeadsPath(home: string, { chainId, genesisHash }: ChainContext): string {
  return join(home, 'light', `${chainId}-${toHex(genesisHash).slice(0, 8)}.json`);
}

/** What cannot be read or is of another chain is left aside: trust then begins at the root again. */
export async function readTrustedHeads(home: string, chain: ChainContext): Promise<TrustedHead[]> {
  const path = trustedHeadsPath(home, chain);
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) return [];
    return headsFromJson(chain, JSON.parse(await readFile(path, 'utf8')) as Json);
  } catch (error) {
    if (isNodeError(error) || error instanceof SyntaxError || errorCode(error) === 'ENOENT') return [];
    throw storageError(error, 'read the trusted heads', path);
  }
}

/** @throws NodeError STORAGE */
export async function writeTrustedHeads(
  home: string,
  chain: ChainContext,
  heads: readonly TrustedHead[],
): Promise<void> {
  const path = trustedHeadsPath(home, chain);
  try {
    await ensurePrivateFolder(dirname(path));
    await replaceFile(path, utf8(`${JSON.stringify(headsToJson(chain, heads.slice(-MAX_KEPT)))}\n`));
  } catch (error) {
    throw storageError(error, 'write the trusted heads', path);
  }
}
