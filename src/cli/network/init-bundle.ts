/** `aitbc init --bundle`: the home of one node of a new network. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { storageError } from '../../store/storage-error.ts';
import { checkGenesis } from '../../sdk/verify.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { createKeystore } from '../../wallet/keystore.ts';
import type { Context } from '../context.ts';
import { describeFiles, makeHome } from '../home-files.ts';
import type { HomeOptions } from '../home-options.ts';
import { configOf } from '../home-options.ts';
import { readWallet, requireFreeName, writeWallet } from '../keystore-files.ts';
import { readPassword } from '../prompt.ts';
import { readSmallText } from '../small-file.ts';
import type { Bundle } from './bundle.ts';
import { MAX_BUNDLE_BYTES, openBundle } from './bundle.ts';
import { BUNDLE_SUFFIX, homeDocumentBytes, jsonBytes } from './files.ts';

export interface InitOptions extends HomeOptions {
  readonly genesis?: string;
  readonly bundle?: string;
}

/** @param path of the bundle, or of a folder that holds it */
export async function initFromBundle(context: Context, path: string, options: InitOptions): Promise<void> {
  if (options.genesis !== undefined) throw new NodeError('USAGE', 'a bundle holds its genesis: leave --genesis out');
  const file = await bundleFile(path, options.name);
  const text = await readSmallText(file, MAX_BUNDLE_BYTES, 'a bundle');
  const password = await readPassword({ file: context.options.passwordFile, purpose: 'the password of the bundle' });
  const bundle = await openBundle(text, password);
  const { chainId, name, genesisHash, keys } = bundle;
  const wanted = context.options.chain;
  if (wanted !== undefined && wanted !== chainId) {
    throw new NodeError('WRONG_CHAIN', `the bundle is of ${chainId}, not of ${wanted}`);
  }
  const genesis = checkGenesis(nativeCrypto, bundle.genesis, undefined);
  if (toHex(genesis.chain.genesisHash) !== genesisHash) {
    throw new NodeError('WRONG_GENESIS', 'the genesis in the bundle is not the one it names');
  }
  const home = await makeHome(context, {
    config: { ...bundle.config, ...configOf(options) },
    genesis: { bytes: jsonBytes(bundle.genesis), chainId, hash: genesisHash },
    joinDocument: homeDocumentBytes(bundle.join),
    seeds: keys,
  });
  const wallet = await placeOperator(home.layout.keystore, bundle, password);
  for (const seed of Object.values(keys)) seed.fill(0);
  context.out.data(
    {
      home: context.home,
      chain_id: chainId,
      genesis_hash: genesisHash,
      name,
      store_key: home.storeKeyPath,
      peer_id: home.peerId,
      validator: home.validator,
      operator: wallet.address,
      files: home.files,
    },
    [
      ...describeFiles(home.files),
      `Genesis of ${chainId}: ${genesisHash}`,
      `Peer id: ${home.peerId}`,
      `Validator key: ${home.validator}`,
      `Operator: ${wallet.address}, the wallet "${name}" with the password of the bundle`,
    ].join('\n'),
  );
  context.out.note(
    'Remove the bundle now, and use it in no second home: two nodes with one key sign against each other. ' +
      'aitbc backup create keeps a copy of the keys.',
  );
  context.out.note(`Next: aitbc start --home ${context.home}`);
}

async function placeOperator(folder: string, { name, keys }: Bundle, password: string): Promise<{ address: string }> {
  const keystore = await createKeystore({ name, seed: keys.operator, password });
  try {
    requireFreeName(folder, name);
  } catch (error) {
    const there = await readWallet(folder, name);
    if (toHex(there.publicKey) === keystore.pubkey) return there;
    throw error;
  }
  return writeWallet(folder, name, keystore);
}

async function bundleFile(path: string, name: string | undefined): Promise<string> {
  let files: string[];
  try {
    if (!(await stat(path)).isDirectory()) return path;
    files = (await readdir(path)).filter((file) => file.endsWith(BUNDLE_SUFFIX));
  } catch (error) {
    throw new NodeError('NOT_FOUND', `there is no bundle at ${path}`, {
      data: { path },
      cause: storageError(error, 'read', path),
    });
  }
  const wanted = name === undefined ? files : files.filter((file) => file === `${name}${BUNDLE_SUFFIX}`);
  const [only] = wanted;
  if (only !== undefined && wanted.length === 1) return join(path, only);
  throw new NodeError('USAGE', `${path} holds ${wanted.length === 0 ? 'no such bundle' : 'several bundles'}`, {
    data: { path },
    hint: `name the node: --name ${files[0]?.slice(0, -BUNDLE_SUFFIX.length) ?? 'at1-1'}`,
  });
}
