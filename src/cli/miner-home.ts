/** What `aitbc miner init|start` do: a node that does work for others. */
import { addressOf, formatAddress } from '../chain/address.ts';
import { loadConfig } from '../config.ts';
import { setOptions } from '../config/set-options.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import { replaceFile } from '../store/files.ts';
import { readKeyFile, writeKeyFile } from '../store/key-file.ts';
import { storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { readConfigText } from './context.ts';
import { parseAmount } from './amount.ts';
import type { NodeOptions } from './node-options.ts';
import { resolve } from 'node:path';

export interface MinerInitOptions {
  readonly keyFile?: string;
  readonly name?: string;
  readonly slots?: number;
  readonly stake?: string;
  readonly price?: readonly string[];
  readonly region?: string;
}

const UAIT_PER_AIT = 1_000_000;

export async function initMiner(context: Context, options: MinerInitOptions): Promise<void> {
  const layout = context.layout();
  const text = readConfigText(context.home);
  if (text === undefined) {
    throw new NodeError('CONFIG', `there is no node in ${context.home} yet`, {
      data: { path: layout.config },
      hint: `make it first: aitbc init --home ${context.home} --genesis FILE`,
    });
  }
  const named = options.keyFile === undefined ? undefined : resolve(options.keyFile);
  const next = setOptions(text, {
    'miner.enabled': true,
    'miner.key_file': named,
    'miner.name': options.name,
    'miner.slots': options.slots,
    'miner.stake_amount': options.stake === undefined ? undefined : wholeAit(options.stake),
    'miner.prices': options.price,
    'miner.region': options.region,
  });
  const { miner } = loadConfig({ fileText: next });
  if (!miner.enabled) {
    throw new NodeError('CONFIG', `${layout.config} sets the options of the miner in a form that this does not edit`, {
      hint: 'set enabled = true under [miner] yourself',
    });
  }
  const path = miner.keyFile || layout.minerKey;
  const { seed, isNew } = await ensureKey(path, named !== undefined);
  const address = formatAddress(addressOf(nativeCrypto, createNativeSigner(seed).publicKey));
  seed.fill(0);
  if (next !== text) await write(layout.config, next);
  const document = { address, key_file: path, key: isNew ? 'generated' : 'found', config: layout.config };
  context.out.data(document, [`Miner: ${address}`, `Key: ${path} (${document.key})`].join('\n'));
  context.out.note(
    [
      'Keep a copy of the key elsewhere: stake and earnings are its.',
      `Next: aitbc send ${address} AMOUNT   (the stake, and something for fees)`,
      `      aitbc miner start --home ${context.home}   (stakes once the balance suffices)`,
    ].join('\n'),
  );
}

/** The key is looked at before the node starts: a node would go on without its miner. */
export async function startMiner(context: Context, options: NodeOptions): Promise<void> {
  const { miner } = loadConfig({ fileText: readConfigText(context.home) ?? '', env: process.env });
  (await readKeyFile(miner.keyFile || context.layout().minerKey, { hint: 'make it with: aitbc miner init' })).fill(0);
  const { startNodeOf } = await import('./start.ts');
  await startNodeOf(context, options, { 'miner.enabled': true });
}

async function ensureKey(path: string, mustExist: boolean): Promise<{ seed: Uint8Array; isNew: boolean }> {
  if (mustExist) return { seed: await readKeyFile(path), isNew: false };
  const seed = crypto.getRandomValues(new Uint8Array(32));
  try {
    await writeKeyFile(path, seed);
    return { seed, isNew: true };
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'KEY_EXISTS') throw error;
    return { seed: await readKeyFile(path), isNew: false };
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await replaceFile(path, Buffer.from(text));
  } catch (error) {
    throw storageError(error, 'write', path);
  }
}

function wholeAit(text: string): number {
  const uait = parseAmount(text);
  if (uait % UAIT_PER_AIT === 0) return uait / UAIT_PER_AIT;
  throw new NodeError('USAGE', 'the stake is given in whole AIT', { hint: 'e.g. --stake 10000' });
}
