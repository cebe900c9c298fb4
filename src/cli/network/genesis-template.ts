/** A genesis made of the template of its kind of chain, with the accounts and validators of a new network. */
import devnet from '../../../genesis/devnet.json' with { type: 'json' };
import mainnet from '../../../genesis/mainnet.json' with { type: 'json' };
import testnet from '../../../genesis/testnet.json' with { type: 'json' };
import { toHex } from '../../bytes.ts';
import { pureCrypto } from '../../chain/crypto/pure.ts';
import type { Genesis } from '../../chain/genesis.ts';
import { parseGenesis } from '../../chain/genesis.ts';
import type { JsonObject } from '../../chain/modules/types.ts';
import { NodeError } from '../../errors.ts';

export interface GenesisAccount {
  readonly address: string;
  readonly balanceUait: string;
}

export interface GenesisAuthority {
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly operator: string;
  /** 1 when absent. */
  readonly power?: number;
}

const TEMPLATES: Readonly<Record<string, JsonObject>> = { devnet, testnet, mainnet };

/** @throws NodeError USAGE for a chain id of no known kind */
export function templateOf(chainId: string): JsonObject {
  const kinds = Object.keys(TEMPLATES);
  const kind = kinds.find((name) => chainId.endsWith(`-${name}`));
  const template = TEMPLATES[kind ?? ''];
  if (template) return template;
  throw new NodeError('USAGE', `the chain id ${chainId} is of no known kind`, {
    hint: `use an id that ends in -${kinds.join(', -')}, such as ait-devnet`,
  });
}

/** @param params values that replace those of the template, for measurements @throws NodeError USAGE | BAD_GENESIS */
export function buildGenesis(
  chainId: string,
  timeMs: number,
  accounts: readonly GenesisAccount[],
  authorities: readonly GenesisAuthority[],
  params: JsonObject = {},
): { json: JsonObject; genesis: Genesis } {
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
        authorities: authorities.map(({ name, publicKey, operator, power = 1 }) => ({
          public_key: toHex(publicKey),
          power,
          operator,
          name,
        })),
      },
    },
  };
  return { json, genesis: parseGenesis(pureCrypto, json) };
}
