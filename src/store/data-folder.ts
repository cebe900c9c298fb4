/**
 * The layout of a node's own folder, its version and its lock:
 *
 *     FORMAT                     version of this layout
 *     LOCK                       the process that uses the folder
 *     identity/node_key          libp2p key
 *     identity/store_key         key for encrypted databases, unless it is kept elsewhere
 *     run/admin.sock             what the operator asks, while the node runs
 *     chains/<chain id>/         genesis.json, join.json, db/, validator_key, sign_guard-<key>/,
 *                                snapshots/, joining/, miner_key, market/
 */
import { chmod, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { MAX_CHAIN_ID_BYTES } from '../chain/signing.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { nopLogger } from '../log.ts';
import { ensurePrivateFolder, replaceFile } from './files.ts';
import { lockFolder } from './folder-lock.ts';
import { errorCode, storageError } from './storage-error.ts';

/** Version of the layout. A folder with a higher one is refused. */
const FORMAT = 1;

export interface ChainFolder {
  /** Where the sign guards lie too. */
  readonly folder: string;
  readonly genesisFile: string;
  /** What others join the chain with; not every home has one. */
  readonly joinDocumentFile: string;
  readonly dbFolder: string;
  readonly snapshotsFolder: string;
  /** What a node that joins by a snapshot has fetched. */
  readonly joinFolder: string;
  readonly validatorKeyFile: string;
  /** Databases of the market's sides, which nobody else has, and sealed inputs of jobs. */
  readonly market: { readonly miner: string; readonly coordinator: string; readonly blobs: string };
  /** The miner's account; the usual place, which the configuration may replace. */
  readonly minerKeyFile: string;
  /** Of the whole home; the usual place, which the configuration may replace. */
  readonly storeKeyFile: string;
}

export interface DataFolder {
  readonly home: string;
  readonly nodeKeyFile: string;
  /** In a folder for this user alone. */
  readonly adminSocket: string;
  readonly apiKeysFile: string;
  /** What API keys have spent. */
  readonly budgetsFile: string;
  /** Makes the chain's folder if it lacks. @throws NodeError CONFIG when the id cannot be a chain's */
  chain(chainId: string): Promise<ChainFolder>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/**
 * Makes the folder if it lacks, and holds it for this process until closed or killed.
 *
 * @throws NodeError DATA_TOO_NEW | DATA_LOCKED | DATA_FOLDER | STORAGE
 */
export async function openDataFolder(home: string, options: { readonly log?: Logger } = {}): Promise<DataFolder> {
  const root = resolve(home);
  const identity = join(root, 'identity');
  const run = join(root, 'run');
  try {
    await ensurePrivateFolder(root);
    const found = await readFormat(root);
    const lock = await lockFolder(root, options.log ?? nopLogger);
    try {
      if (found === undefined) await replaceFile(join(root, 'FORMAT'), Buffer.from(`${FORMAT}\n`));
      await ensurePrivateFolder(identity);
      await ensurePrivateFolder(run);
      // A copy or a restored folder may have lost it.
      await chmod(run, 0o700);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return {
      home: root,
      nodeKeyFile: join(identity, 'node_key'),
      adminSocket: join(run, 'admin.sock'),
      apiKeysFile: join(root, 'access', 'api_keys'),
      budgetsFile: join(root, 'access', 'budgets'),
      chain: (chainId) => openChainFolder(root, chainId),
      close: () => lock.release(),
    };
  } catch (error) {
    throw folderError(error, root);
  }
}

/** The places of a chain's files, without making or locking anything. @throws NodeError CONFIG */
export function chainFolderOf(home: string, chainId: string): ChainFolder {
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(chainId) || chainId.length > MAX_CHAIN_ID_BYTES) {
    throw new NodeError('CONFIG', 'not a chain id', {
      data: { chainId },
      hint: 'use up to 32 lower-case letters, digits and hyphens, as in ait-devnet',
    });
  }
  const folder = join(resolve(home), 'chains', chainId);
  return {
    folder,
    genesisFile: join(folder, 'genesis.json'),
    joinDocumentFile: join(folder, 'join.json'),
    dbFolder: join(folder, 'db'),
    snapshotsFolder: join(folder, 'snapshots'),
    joinFolder: join(folder, 'joining'),
    validatorKeyFile: join(folder, 'validator_key'),
    market: {
      miner: join(folder, 'market', 'miner'),
      coordinator: join(folder, 'market', 'coordinator'),
      blobs: join(folder, 'market', 'blobs'),
    },
    minerKeyFile: join(folder, 'miner_key'),
    storeKeyFile: join(resolve(home), 'identity', 'store_key'),
  };
}

async function openChainFolder(root: string, chainId: string): Promise<ChainFolder> {
  const chain = chainFolderOf(root, chainId);
  try {
    await ensurePrivateFolder(chain.folder);
  } catch (error) {
    throw folderError(error, root);
  }
  return chain;
}

/** @returns undefined for a folder that is new */
async function readFormat(root: string): Promise<number | undefined> {
  const path = join(root, 'FORMAT');
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const format = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : Number.NaN;
  if (format > FORMAT) {
    throw new NodeError('DATA_TOO_NEW', `the data folder has format ${format}, this program knows ${FORMAT}`, {
      data: { path, format, known: FORMAT },
      hint: 'start the newer program, or use another data folder',
    });
  }
  if (Number.isNaN(format)) {
    throw new NodeError('DATA_FOLDER', 'the file FORMAT of the data folder is not readable', {
      data: { path },
      hint: `if this folder was made by this version of the program, write ${FORMAT} into that file`,
    });
  }
  return format;
}

function folderError(error: unknown, root: string): NodeError {
  if (isNodeError(error)) return error;
  const failure = storageError(error, 'use the data folder', root);
  const code = errorCode(error);
  if (code === 'EACCES' || code === 'EPERM' || code === 'ENOTDIR' || code === 'EEXIST') {
    const { message, data, hint } = failure;
    return new NodeError('DATA_FOLDER', message, { data, ...(hint !== undefined && { hint }), cause: error });
  }
  return failure;
}
