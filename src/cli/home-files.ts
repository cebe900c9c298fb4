/** Makes what a node's home lacks, and leaves what it has. */
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { equalBytes, toHex } from '../bytes.ts';
import type { ConfigValues } from '../config.ts';
import { loadConfig, renderConfigToml } from '../config.ts';
import { addChain, addPeers } from '../config/add-to-config.ts';
import type { HomeLayout } from '../config/home.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { createFile, ensurePrivateFolder, replaceFile } from '../store/files.ts';
import { readKeyFile, writeKeyFile } from '../store/key-file.ts';
import { isEncrypted, readStoreKey, storeKeySource } from '../store/store-key.ts';
import { storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { readConfigText } from './context.ts';
import { parseGenesisText, readChain } from './genesis-file.ts';
import { peerIdOf } from './peer-id.ts';

export interface Made {
  readonly path: string;
  readonly action: 'generated' | 'found' | 'changed';
}

export interface GenesisBytes {
  readonly bytes: Uint8Array;
  readonly chainId: string;
  readonly hash: string;
}

export interface HomeParts {
  /** What config.toml holds when there is none yet; chain and peers are added to one that is there. */
  readonly config: ConfigValues;
  /** Null: what is there stays, and may be missing. */
  readonly genesis: GenesisBytes | null;
  /** Content of join.json, which replaces an older one. */
  readonly joinDocument?: Uint8Array;
  /** Drawn when absent and there are none. */
  readonly seeds?: { readonly node: Uint8Array; readonly validator: Uint8Array };
}

export interface Home {
  readonly layout: HomeLayout & { readonly chainId: string };
  readonly files: readonly Made[];
  readonly peerId: string;
  /** Consensus key in hex. */
  readonly validator: string;
  /** Hex; null while the genesis is missing. */
  readonly genesisHash: string | null;
  /** Null when the chain's database is not to be encrypted. */
  readonly storeKeyPath: string | null;
}

/**
 * Nothing is written before genesis and keys that are there were compared with those given.
 *
 * @throws NodeError WRONG_GENESIS | KEY_EXISTS for others than those given; BAD_GENESIS, KEY_FILE, CONFIG, STORAGE
 */
export async function makeHome(context: Context, parts: HomeParts): Promise<Home> {
  const { config, genesis, joinDocument, seeds } = parts;
  const layout = context.layout(genesis?.chainId);
  if (genesis) await checkGenesisThere(layout.genesis, genesis);
  if (seeds) {
    await checkKeyThere(layout.nodeKey, seeds.node);
    await checkKeyThere(layout.validatorKey, seeds.validator);
  }
  const files: Made[] = [await ensureConfig(context, layout.config, layout.chainId, config)];
  const nodeKey = await ensureKey(layout.nodeKey, files, seeds?.node);
  const validatorKey = await ensureKey(layout.validatorKey, files, seeds?.validator);
  const storeKeyPath = await ensureStoreKey(context, layout, files);
  if (genesis) {
    files.push(await ensureFile(layout.genesis, genesis.bytes));
    await checkGenesisThere(layout.genesis, genesis);
  }
  if (joinDocument) files.push(await putFile(layout.joinDocument, joinDocument));
  const chain = await readChain(layout.genesis, layout.chainId);
  return {
    layout,
    files,
    storeKeyPath,
    genesisHash: chain && toHex(chain.genesisHash),
    peerId: peerIdOf(createNativeSigner(nodeKey).publicKey),
    validator: toHex(createNativeSigner(validatorKey).publicKey),
  };
}

/** A line for each file. */
export function describeFiles(files: readonly Made[]): string[] {
  const words = { generated: 'Generated', found: 'Found', changed: 'Changed' };
  return files.map(({ path, action }) => `${words[action]} ${path}`);
}

/** @throws NodeError BAD_GENESIS */
export async function readGenesisBytes(file: string, chainId: string | undefined): Promise<GenesisBytes> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new NodeError('BAD_GENESIS', `cannot read ${file}`, { data: { path: file }, cause: error });
  });
  const { chain } = parseGenesisText(bytes.toString('utf8'), file);
  if (chainId !== undefined && chain.chainId !== chainId) {
    throw new NodeError('BAD_GENESIS', `${file} is the genesis of ${chain.chainId}, not of ${chainId}`, {
      data: { path: file, chainId: chain.chainId },
      hint: `give --chain ${chain.chainId}`,
    });
  }
  return { bytes, chainId: chain.chainId, hash: toHex(chain.genesisHash) };
}

async function ensureConfig(context: Context, path: string, chainId: string, values: ConfigValues): Promise<Made> {
  const text = readConfigText(context.home);
  if (text === undefined) return ensureFile(path, Buffer.from(renderConfigToml({ ...values, chains: [chainId] })));
  const peers = (values['p2p.peers'] ?? []) as readonly string[];
  const others = Object.entries(values).filter(([name]) => name !== 'chains' && name !== 'p2p.peers');
  if (others.length > 0) {
    context.out.note(`${path} is there already and keeps its options: edit it, or remove it and run this again`);
  }
  const withPeers = addPeers(text, peers);
  if (withPeers === null) context.out.note(`add to "peers" of [p2p] in ${path}: ${JSON.stringify(peers)}`);
  const withChain = addChain(withPeers ?? text, chainId);
  if (withChain === null) context.out.note(`add ${chainId} to "chains" in ${path} to have it started with the node`);
  const next = withChain ?? withPeers ?? text;
  if (next === text) return { path, action: 'found' };
  loadConfig({ fileText: next });
  return putFile(path, Buffer.from(next));
}

async function ensureStoreKey(
  context: Context,
  { chainId, storeKey }: { readonly chainId: string; readonly storeKey: string },
  made: Made[],
): Promise<string | null> {
  const { store } = loadConfig({ fileText: readConfigText(context.home) ?? '', env: process.env });
  if (!isEncrypted(store, chainId)) return null;
  const source = storeKeySource(store, storeKey, process.env);
  const { path } = source;
  if (source.isCredential) {
    (await readStoreKey(source)).fill(0);
    made.push({ path, action: 'found' });
  } else (await ensureKey(path, made)).fill(0);
  context.out.note(`Without ${path} the database cannot be read: keep a copy of it elsewhere`);
  return path;
}

/** The seed of a key file, made when there is none. */
async function ensureKey(path: string, made: Made[], given?: Uint8Array): Promise<Uint8Array> {
  const seed = given ?? crypto.getRandomValues(new Uint8Array(32));
  try {
    await writeKeyFile(path, seed);
    made.push({ path, action: 'generated' });
    return seed;
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'KEY_EXISTS') throw error;
    made.push({ path, action: 'found' });
    return readKeyFile(path);
  }
}

async function ensureFile(path: string, bytes: Uint8Array): Promise<Made> {
  try {
    await ensurePrivateFolder(dirname(path));
    return { path, action: (await createFile(path, bytes)) ? 'generated' : 'found' };
  } catch (error) {
    throw storageError(error, 'write', path);
  }
}

async function putFile(path: string, bytes: Uint8Array): Promise<Made> {
  const action = existsSync(path) ? 'changed' : 'generated';
  try {
    await ensurePrivateFolder(dirname(path));
    await replaceFile(path, bytes);
    return { path, action };
  } catch (error) {
    throw storageError(error, 'write', path);
  }
}

async function checkGenesisThere(path: string, genesis: GenesisBytes): Promise<void> {
  const there = await readChain(path, genesis.chainId);
  if (!there || toHex(there.genesisHash) === genesis.hash) return;
  throw new NodeError('WRONG_GENESIS', `${path} is there already and is another genesis`, {
    data: { path, expected: genesis.hash, found: toHex(there.genesisHash) },
    hint: 'use another --home, or move the chain folder away',
  });
}

async function checkKeyThere(path: string, seed: Uint8Array): Promise<void> {
  if (!existsSync(path) || equalBytes(await readKeyFile(path), seed)) return;
  throw new NodeError('KEY_EXISTS', `${path} is there already and is another key`, {
    data: { path },
    hint: 'use another --home: each node has its own',
  });
}
