/** Where things of a cluster lie on disk. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromHex, toHex } from '../src/bytes.ts';
import type { HomeLayout } from '../src/config/home.ts';
import { homeLayout } from '../src/config/home.ts';
import { NodeError } from '../src/errors.ts';
import { chainFolderOf } from '../src/store/data-folder.ts';

export const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));

export const NODE_PROGRAM = join(REPOSITORY, 'src', 'cli', 'main.ts');
export const CHILD_PRELOAD = join(REPOSITORY, 'testnet', 'child.ts');

/** Where Node keeps compiled sources, as bin/aitbc.mjs has it: a start costs half. */
export const COMPILE_CACHE = join(REPOSITORY, 'node_modules', '.cache', 'aitbc');

export const DEFAULT_CHAIN = 'ait-devnet';

export function defaultDataDir(chainId: string): string {
  return join(REPOSITORY, '.testnet', chainId);
}

/** A node's own folder, with what the launcher adds. */
export interface NodeLayout extends HomeLayout {
  /** Folder of the chain's LevelDB. */
  readonly database: string;
  readonly log: string;
  /** Process id and start time of the node, written by whoever started it. */
  readonly process: string;
  /** Exit code, left by the process itself. */
  readonly exit: string;
}

export function nodeLayout(home: string, chainId: string): NodeLayout {
  return {
    ...homeLayout(home, chainId),
    database: chainFolderOf(home, chainId).dbFolder,
    log: join(home, 'node.log'),
    process: join(home, 'process.json'),
    exit: join(home, 'exit.json'),
  };
}

export function accountKeyPath(dataDir: string, name: string): string {
  return join(dataDir, 'keys', name);
}

/** Seed that the keys of `--accounts K` are derived from. */
export function loadSeedPath(dataDir: string): string {
  return accountKeyPath(dataDir, 'load_seed');
}

/** Makes a file of 32 random bytes in hex, 0600, or reads the one that is there. */
export function ensureSeed(path: string): Uint8Array {
  if (existsSync(path)) return readSeed(path);
  const seed = randomBytes(32);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${toHex(seed)}\n`, { mode: 0o600, flag: 'wx' });
  return seed;
}

/** @throws NodeError KEY_FILE */
export function readSeed(path: string): Uint8Array {
  try {
    return fromHex(readFileSync(path, 'utf8').trim(), 32);
  } catch (error) {
    throw new NodeError('KEY_FILE', `${path} does not hold a 32-byte seed in hex`, { cause: error });
  }
}

export function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, text, { mode: 0o600 });
}
