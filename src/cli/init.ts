/** `aitbc init`: makes what a node's home lacks, and leaves what it has. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { toHex } from '../bytes.ts';
import type { ConfigValues } from '../config.ts';
import { loadConfig, renderConfigToml } from '../config.ts';
import { addChain } from '../config/add-chain.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { createFile, ensurePrivateFolder, replaceFile } from '../store/files.ts';
import { readKeyFile, writeKeyFile } from '../store/key-file.ts';
import { isEncrypted, readStoreKey, storeKeySource } from '../store/store-key.ts';
import { storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { createContext, readConfigText } from './context.ts';
import { parseGenesisText, readChain } from './genesis-file.ts';
import { collect } from './options.ts';
import { peerIdOf } from './peer-id.ts';

interface InitOptions {
  readonly genesis?: string;
  readonly name?: string;
  readonly p2pListen?: readonly string[];
  readonly rpcListen?: string;
  readonly metricsListen?: string;
  readonly peer?: readonly string[];
  readonly encrypt?: boolean;
}

interface Made {
  readonly path: string;
  readonly action: 'generated' | 'found' | 'changed';
}

export function register(program: Command): void {
  program
    .command('init')
    .description('make keys, config.toml and the folder of a chain; what exists stays')
    .option('--genesis <file>', 'genesis of the chain')
    .option('--name <name>', 'name of this node')
    .option('--p2p-listen <multiaddr>', 'where other nodes connect to (repeatable)', collect)
    .option('--rpc-listen <host:port>', 'where HTTP is served')
    .option('--metrics-listen <host:port>', 'where metrics are served, or "off"')
    .option('--peer <multiaddr>', 'node to stay connected with (repeatable)', collect)
    .option('--encrypt', 'encrypt the databases made from now on, and make the key for it')
    .action(async (options: InitOptions, command: Command) => {
      await init(createContext(command), options);
    });
}

async function init(context: Context, options: InitOptions): Promise<void> {
  const genesisBytes = await readGenesis(options.genesis, context.options.chain);
  const layout = context.layout(genesisBytes?.chainId);
  const made: Made[] = [await ensureConfig(context, layout.config, layout.chainId, options)];
  const nodeKey = await ensureKey(layout.nodeKey, made);
  const validatorKey = await ensureKey(layout.validatorKey, made);
  const storeKeyPath = await ensureStoreKey(context, layout, made);
  if (genesisBytes) made.push(await ensureGenesis(layout.genesis, genesisBytes));
  const chain = await readChain(layout.genesis, layout.chainId);

  const document = {
    home: context.home,
    chain_id: layout.chainId,
    genesis_hash: chain && toHex(chain.genesisHash),
    store_key: storeKeyPath,
    peer_id: peerIdOf(createNativeSigner(nodeKey).publicKey),
    validator: toHex(createNativeSigner(validatorKey).publicKey),
    files: made,
  };
  const words = { generated: 'Generated', found: 'Found', changed: 'Changed' };
  const lines = made.map(({ path, action }) => `${words[action]} ${path}`);
  lines.push(`Peer id: ${document.peer_id}`, `Validator key: ${document.validator}`);
  context.out.data(document, lines.join('\n'));
  context.out.note(
    chain === null
      ? `Next: aitbc init --home ${context.home} --genesis FILE   (the genesis of ${layout.chainId} is missing)`
      : `Next: aitbc start --home ${context.home}`,
  );
}

async function ensureConfig(context: Context, path: string, chainId: string, options: InitOptions): Promise<Made> {
  const values: ConfigValues = {
    chains: [chainId],
    name: options.name,
    'p2p.listen': options.p2pListen,
    'p2p.peers': options.peer,
    'rpc.listen': options.rpcListen,
    'metrics.listen': options.metricsListen,
    'store.encrypt': options.encrypt ? 'on' : undefined,
  };
  const text = readConfigText(context.home);
  if (text === undefined) return ensureFile(path, Buffer.from(renderConfigToml(values)));
  const { chains: _chains, ...others } = values;
  if (Object.values(others).some((value) => value !== undefined)) {
    context.out.note(`${path} is there already and keeps its options: edit it, or remove it and run this again`);
  }
  return addToConfig(context, path, text, chainId);
}

/** A home may hold several chains: this one too is started with the node. */
async function addToConfig(context: Context, path: string, text: string, chainId: string): Promise<Made> {
  const next = addChain(text, chainId);
  if (next === text) return { path, action: 'found' };
  if (next === null) {
    context.out.note(`add ${chainId} to "chains" in ${path} to have it started with the node`);
    return { path, action: 'found' };
  }
  loadConfig({ fileText: next });
  try {
    await replaceFile(path, Buffer.from(next));
  } catch (error) {
    throw storageError(error, 'write', path);
  }
  return { path, action: 'changed' };
}

/** @returns where the store key lies; null when the chain's database is not to be encrypted */
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
async function ensureKey(path: string, made: Made[]): Promise<Uint8Array> {
  const seed = crypto.getRandomValues(new Uint8Array(32));
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

interface GenesisBytes {
  readonly bytes: Uint8Array;
  readonly chainId: string;
  readonly hash: string;
}

/** @throws NodeError BAD_GENESIS */
async function readGenesis(file: string | undefined, chainId: string | undefined): Promise<GenesisBytes | null> {
  if (file === undefined) return null;
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

/** @throws NodeError WRONG_GENESIS when the chain's folder has another one */
async function ensureGenesis(path: string, genesis: GenesisBytes): Promise<Made> {
  const made = await ensureFile(path, genesis.bytes);
  const there = await readChain(path, genesis.chainId);
  if (there && toHex(there.genesisHash) === genesis.hash) return made;
  throw new NodeError('WRONG_GENESIS', `${path} is there already and is another genesis`, {
    data: { path, expected: genesis.hash, found: there && toHex(there.genesisHash) },
    hint: 'use another --home, or move the chain folder away',
  });
}
