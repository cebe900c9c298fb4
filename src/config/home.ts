/** Where everything of a node lies on disk. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface HomeLayout {
  readonly home: string;
  readonly config: string;
  /** Seed of the libp2p key: 32 bytes in hex, 0600. */
  readonly nodeKey: string;
  /** Unix socket for the operator, 0600 in a folder of its own, 0700; there while the node runs. */
  readonly adminSocket: string;
  /** Usual place of the key for encrypted databases: 32 bytes in hex, 0600. */
  readonly storeKey: string;
  /** Folder of wallet files, 0700. */
  readonly keystore: string;
  /** Folder of the chain: genesis, validator key, database, sign guard. */
  readonly chain: string;
  readonly genesis: string;
  /** What others join the chain with, served over RPC; not every home has one. */
  readonly joinDocument: string;
  readonly validatorKey: string;
  /** Usual place of the miner's account. */
  readonly minerKey: string;
}

/** The folder by `--home`, else AITBC_HOME, else the XDG data folder; absolute. */
export function resolveHome(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const given = flag ?? env['AITBC_HOME'];
  if (given) return resolve(given);
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'aitbc');
}

export function homeLayout(home: string, chainId: string): HomeLayout {
  const chain = join(home, 'chains', chainId);
  return {
    home,
    config: join(home, 'config.toml'),
    nodeKey: join(home, 'identity', 'node_key'),
    adminSocket: join(home, 'run', 'admin.sock'),
    storeKey: join(home, 'identity', 'store_key'),
    keystore: join(home, 'keystore'),
    chain,
    genesis: join(chain, 'genesis.json'),
    joinDocument: join(chain, 'join.json'),
    validatorKey: join(chain, 'validator_key'),
    minerKey: join(chain, 'miner_key'),
  };
}
