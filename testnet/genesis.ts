/** Where the genesis of a cluster lies. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pureCrypto } from '../src/chain/crypto/pure.ts';
import type { Genesis } from '../src/chain/genesis.ts';
import { parseGenesis } from '../src/chain/genesis.ts';
import type { Json } from '../src/chain/modules/types.ts';

/** Where the genesis lies that every node was given. @param chainId that of a further chain; the default one's when absent */
export function genesisPath(dataDir: string, chainId?: string): string {
  return join(dataDir, chainId === undefined ? 'genesis.json' : `genesis-${chainId}.json`);
}

/** Genesis of a cluster that was made. @param chainId as for `genesisPath` */
export function clusterGenesis(dataDir: string, chainId?: string): Genesis {
  return parseGenesis(pureCrypto, JSON.parse(readFileSync(genesisPath(dataDir, chainId), 'utf8')) as Json);
}
