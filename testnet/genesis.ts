/** Genesis of a cluster: the template of its kind of chain, with this cluster's accounts and validator keys. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../src/bytes.ts';
import { pureCrypto } from '../src/chain/crypto/pure.ts';
import type { Genesis } from '../src/chain/genesis.ts';
import { parseGenesis } from '../src/chain/genesis.ts';
import type { Json, JsonObject } from '../src/chain/modules/types.ts';
import { NodeError } from '../src/errors.ts';
import { REPOSITORY } from './layout.ts';

export interface GenesisAccount {
  readonly address: string;
  readonly balanceUait: string;
}

export interface GenesisAuthority {
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly operator: string;
}

const KINDS = ['devnet', 'testnet', 'mainnet'] as const;

/** @throws NodeError USAGE for a chain id of no known kind */
export function templateOf(chainId: string): JsonObject {
  const kind = KINDS.find((name) => chainId.endsWith(`-${name}`));
  if (!kind) {
    throw new NodeError('USAGE', `--chain ${chainId} is of no known kind`, {
      hint: `use an id that ends in -${KINDS.join(', -')}, such as ait-devnet`,
    });
  }
  return JSON.parse(readFileSync(join(REPOSITORY, 'genesis', `${kind}.json`), 'utf8')) as JsonObject;
}

/** Where the genesis lies that every node was given. @param chainId that of a further chain; the default one's when absent */
export function genesisPath(dataDir: string, chainId?: string): string {
  return join(dataDir, chainId === undefined ? 'genesis.json' : `genesis-${chainId}.json`);
}

/** Genesis of a cluster that was made. @param chainId as for `genesisPath` */
export function clusterGenesis(dataDir: string, chainId?: string): Genesis {
  return parseGenesis(pureCrypto, JSON.parse(readFileSync(genesisPath(dataDir, chainId), 'utf8')) as Json);
}

/** @param params values that replace those of the template, for measurements */
export function buildGenesis(
  chainId: string,
  timeMs: number,
  accounts: readonly GenesisAccount[],
  authorities: readonly GenesisAuthority[],
  params: JsonObject = {},
): { json: Json; genesis: Genesis } {
  const template = templateOf(chainId);
  const modules = template['modules'] as JsonObject;
  const json: JsonObject = {
    ...template,
    chain_id: chainId,
    time_ms: timeMs,
    params: { ...(template['params'] as JsonObject), ...params },
    modules: {
      ...modules,
      bank: { accounts: accounts.map(({ address, balanceUait }) => ({ address, balance_uait: balanceUait })) },
      validators: {
        authorities: authorities.map(({ name, publicKey, operator }) => ({
          public_key: toHex(publicKey),
          power: 1,
          operator,
          name,
        })),
      },
    },
  };
  return { json, genesis: parseGenesis(pureCrypto, json) };
}
