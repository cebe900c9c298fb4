/** What is done with the database of a stopped node. */
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { readChainFile, writeChainFile } from '../engine/chain-file.ts';
import { storedBlocks } from '../engine/rebuild.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { nopLogger } from '../log.ts';
import { nativeCrypto } from '../native/crypto.ts';
import type { StoppedChainOptions } from '../node/stopped-chain.ts';
import { compactChain, StoppedChain } from '../node/stopped-chain.ts';
import { storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { createContext, readConfigText } from './context.ts';
import { createProgress } from './progress.ts';

export interface Heights {
  readonly from?: number;
  readonly to?: number;
}

/** Opens the chain of the command's home, and gives it back. @throws NodeError DATA_LOCKED while the node runs */
export async function onChain(
  command: Command,
  work: (at: StoppedChain, context: Context) => Promise<void>,
): Promise<void> {
  const context = createContext(command);
  const at = await StoppedChain.open(optionsOf(context));
  try {
    await work(at, context);
  } finally {
    await at.close();
  }
}

function optionsOf(context: Context): StoppedChainOptions {
  const config = loadConfig({ fileText: readConfigText(context.home) ?? '', env: process.env });
  return { home: context.home, chainId: context.layout().chainId, config, log: nopLogger };
}

export async function verify(at: StoppedChain, { out }: Context, options: Heights): Promise<void> {
  const { from, to } = heightsOf(at, options);
  const progress = createProgress('verifying', to);
  const { executed } = await at.verify(from, to, progress.onHeight).finally(() => progress.end());
  const words = executed
    ? `Heights ${from} to ${to} are as the blocks say: executed from genesis, indexes, receipts and state compared.`
    : `Heights ${from} to ${to}: links, certificates and roots hold. Execution could not be replayed from the genesis ` +
      `state: blocks are kept from height ${at.store.base()} on. The state has the root of the head.`;
  out.data({ chain_id: at.genesis.chain.chainId, from, to, executed, ok: true }, words);
}

export async function exportBlocks(at: StoppedChain, { out }: Context, file: string, options: Heights): Promise<void> {
  const { from, to } = heightsOf(at, options);
  const progress = createProgress('exporting', to);
  const blocks = function* (): ReturnType<typeof storedBlocks> {
    for (const candidate of storedBlocks(at.store, from, to)) {
      yield candidate;
      progress.onHeight(candidate.block.header.height);
    }
  };
  const bytes = writeChainFile(at.genesis.chain, from, blocks());
  try {
    if (file === '-') await pipeline(bytes, process.stdout, { end: false });
    else await pipeline(bytes, createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  } catch (error) {
    if (isNodeError(error)) {
      if (file !== '-') await rm(file, { force: true });
      throw error;
    }
    throw storageError(error, 'write the file', file);
  } finally {
    progress.end();
  }
  const document = { chain_id: at.genesis.chain.chainId, from, to, blocks: to - from + 1, file };
  // Blocks go to stdout then, and nothing else may.
  if (file === '-') out.note(`${document.blocks} blocks written`);
  else out.data(document, `${document.blocks} blocks, heights ${from} to ${to}, written to ${file}`);
}

export async function importBlocks(at: StoppedChain, { out }: Context, file: string): Promise<void> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  const from = at.height + 1;
  const progress = createProgress('importing', null);
  try {
    const chunks: AsyncIterable<Uint8Array> = Readable.from(input);
    const blocks = await at.import(readChainFile(nativeCrypto, at.genesis.chain, chunks), progress.onHeight);
    const rate = progress.end();
    out.data(
      { chain_id: at.genesis.chain.chainId, blocks, height: at.height, blocks_per_second: rate },
      `${blocks} blocks imported; the head is ${at.height}`,
    );
  } catch (error) {
    progress.end();
    if (at.height >= from) out.note(`Blocks up to height ${at.height} were taken and stay.`);
    throw isNodeError(error) ? error : storageError(error, 'read the file', file);
  } finally {
    input.destroy();
  }
}

export async function rollback(at: StoppedChain, { out }: Context, to: number): Promise<void> {
  const { height } = at;
  if (to >= height) {
    throw new NodeError('INVALID_PARAMS', `the head is ${height}: nothing lies above height ${to}`, {
      data: { to, head: height },
      hint: 'give a height below the head',
    });
  }
  await rebuild(at, 'rolling back', to);
  out.data({ chain_id: at.genesis.chain.chainId, height: to, before: height }, `The head is ${to}; it was ${height}.`);
  out.note(
    `The sign guard stays: what this key signed above height ${to} it does not sign again, so the node needs these ` +
      'blocks from its peers, or by `aitbc chain import`, before it signs.',
  );
}

export async function reindex(at: StoppedChain, { out }: Context): Promise<void> {
  const { height } = at;
  const rate = await rebuild(at, 'reindexing', height);
  out.data(
    { chain_id: at.genesis.chain.chainId, height, blocks_per_second: rate },
    `Indexes, receipts and state of ${height} blocks are made anew.`,
  );
}

async function rebuild(at: StoppedChain, what: string, to: number): Promise<number> {
  const progress = createProgress(what, to);
  try {
    await at.rebuild(to, progress.onHeight);
  } finally {
    progress.end();
  }
  return progress.end();
}

export async function compact(context: Context): Promise<void> {
  const options = optionsOf(context);
  const { bytesBefore, bytesAfter } = await compactChain(options);
  context.out.data(
    { chain_id: options.chainId, bytes_before: bytesBefore, bytes_after: bytesAfter },
    `${mebibytes(bytesBefore)} before, ${mebibytes(bytesAfter)} after`,
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** @throws NodeError PRUNED | NOT_FOUND | INVALID_PARAMS */
function heightsOf({ store }: StoppedChain, options: Heights): { readonly from: number; readonly to: number } {
  const head = store.head()?.height ?? 0;
  const base = store.base();
  const { from = base, to = head } = options;
  if (head === 0) throw new NodeError('NOT_FOUND', 'there is no block yet', { hint: 'start the node first' });
  if (from < base) {
    throw new NodeError('PRUNED', `blocks are kept from height ${base} on`, {
      data: { height: from, base, head },
      hint: `give --from ${base} or more, or use a node that keeps all`,
    });
  }
  if (from < 1 || from > to || to > head) {
    throw new NodeError('INVALID_PARAMS', `heights ${from} to ${to} are not a range of ${base} to ${head}`, {
      data: { from, to, base, head },
      hint: `give heights from ${base} to ${head}`,
    });
  }
  return { from, to };
}
