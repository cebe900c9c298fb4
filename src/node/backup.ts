/**
 * Backups of what cannot be had again: keys, API keys, sign guards, wallets, configuration, genesis. Blocks and state are
 * not among it: peers have them. Nor are the books of the market: who pays from older ones than it signed since gives more
 * than it knows; without them what is set aside comes back when its agreement expires.
 */
import { link, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { openDataFolder } from '../store/data-folder.ts';
import { createFile, ensurePrivateFolder, readBytes, replaceFile } from '../store/files.ts';
import type { GuardCopy, GuardSlot } from '../store/guard-copy.ts';
import { isAhead, parseGuard, readGuard, writeGuard } from '../store/guard-copy.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import type { Backup, BackupFile } from './backup-file.ts';

export interface RestoredPath {
  /** Relative to the home; of a guard its folder. */
  readonly path: string;
  /** `kept`: the guard in the home says more than that of the backup, or as much. `replaced`: the old file lies beside. */
  readonly action: 'restored' | 'found' | 'replaced' | 'kept';
}

/** Also while the node runs. @throws NodeError NOT_FOUND without keys; GUARD for a guard that cannot be read; STORAGE */
export async function collectBackup(home: string, created: string): Promise<Backup> {
  const files: BackupFile[] = [];
  const add = async (path: string): Promise<void> => {
    const bytes = await readIfThere(join(home, path));
    if (bytes) files.push({ path, bytes });
  };
  for (const path of ['config.toml', 'identity/node_key', 'identity/store_key', 'access/api_keys']) await add(path);
  for (const name of await namesOf(join(home, 'keystore')))
    if (/^[A-Za-z0-9]/.test(name)) await add(`keystore/${name}`);
  for (const chain of await namesOf(join(home, 'chains'))) {
    const folder = `chains/${chain}`;
    for (const name of ['genesis.json', 'validator_key', 'miner_key']) await add(`${folder}/${name}`);
    for (const name of await namesOf(join(home, folder))) {
      if (!/^sign_guard-[0-9a-f]{16}$/.test(name)) continue;
      const guard = await readGuard(join(home, folder, name));
      for (const { slot, bytes } of guard?.slots ?? []) files.push({ path: `${folder}/${name}/${slot}`, bytes });
    }
  }
  if (files.some(({ path }) => path === 'identity/node_key')) return { created, files };
  throw new NodeError('NOT_FOUND', `there is no node in ${home}`, {
    data: { path: home },
    hint: 'give --home of the node, or set AITBC_HOME',
  });
}

/**
 * Everything is looked at before anything is written. Guards are written before keys, so that no key is ever without its
 * guard; what was done before a crash is found by the next try.
 *
 * @param replace identity, keys and configuration that are there and differ are moved aside instead of refused
 * @throws NodeError DATA_LOCKED while the node runs; KEY_EXISTS | WRONG_GENESIS | GUARD, and nothing is changed; STORAGE
 */
export async function restoreBackup(
  home: string,
  { files }: Backup,
  { replace, log }: { readonly replace: boolean; readonly log: Logger },
): Promise<RestoredPath[]> {
  const guards = guardsOf(files);
  const others = files.filter(({ path }) => !isGuardSlot(path));
  const folder = await openDataFolder(home, { log });
  try {
    const guardPlans = [];
    for (const guard of guards)
      guardPlans.push({ ...guard, ahead: isAhead(guard.copy, await readGuard(join(home, guard.path))) });
    const plans = [];
    for (const file of others) plans.push({ ...file, action: await planFile(home, file, replace) });
    const done: RestoredPath[] = [];
    for (const { path, copy, ahead } of guardPlans) {
      if (ahead) await writeGuard(join(home, path), copy);
      done.push({ path, action: ahead ? 'restored' : 'kept' });
    }
    for (const { path, bytes, action } of plans) {
      if (action !== 'found') await writeFile(join(home, path), bytes);
      done.push({ path, action });
    }
    return done;
  } catch (error) {
    throw error instanceof NodeError ? error : storageError(error, 'restore the backup', home);
  } finally {
    await folder.close();
  }
}

async function planFile(
  home: string,
  { path, bytes }: BackupFile,
  replace: boolean,
): Promise<'restored' | 'found' | 'replaced'> {
  const there = await readIfThere(join(home, path));
  if (!there) return 'restored';
  if (equalBytes(there, bytes)) return 'found';
  if (path.endsWith('/genesis.json')) {
    throw new NodeError('WRONG_GENESIS', `${join(home, path)} is there already and is another genesis`, {
      data: { path },
      hint: 'restore into another home',
    });
  }
  if (replace) return 'replaced';
  throw new NodeError('KEY_EXISTS', `${join(home, path)} is there already and differs from that of the backup`, {
    data: { path },
    hint: 'restore into another home, or with --replace, which moves what is there aside',
  });
}

/** The old file gets a second name before the new one takes its first: neither is ever missing. */
async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  await ensurePrivateFolder(dirname(path));
  if (await createFile(path, bytes)) return;
  for (let number = 1; ; number++) {
    try {
      await link(path, `${path}.replaced-${number}`);
      break;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  await replaceFile(path, bytes);
}

function isGuardSlot(path: string): boolean {
  return /\/sign_guard-[0-9a-f]{16}\/[ab]$/.test(path);
}

/** @throws NodeError GUARD */
function guardsOf(files: readonly BackupFile[]): { readonly path: string; readonly copy: GuardCopy }[] {
  const byFolder = new Map<string, GuardSlot[]>();
  for (const { path, bytes } of files.filter((file) => isGuardSlot(file.path))) {
    const folder = path.slice(0, -2);
    const slot = path.endsWith('a') ? 'a' : 'b';
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), { slot, bytes }]);
  }
  return [...byFolder].map(([path, slots]) => ({ path, copy: parseGuard(slots, path) }));
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readBytes(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw storageError(error, 'read', path);
  }
}

async function namesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw storageError(error, 'read', folder);
  }
}
