/** A node's whole home with a chain, snapshots and what joining left in it, and everything that can be asked of it, as text by question. */
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { blockId, encodeBlock, encodeHeader } from '../../../src/chain/block.ts';
import { parseGenesis } from '../../../src/chain/genesis.ts';
import type { Json } from '../../../src/chain/modules/types.ts';
import { encodeReceipt } from '../../../src/chain/receipt.ts';
import type { ChainContext } from '../../../src/chain/signing.ts';
import { statePath } from '../../../src/chain/state.ts';
import { encodeStateProof } from '../../../src/chain/tree-proof.ts';
import { encodeCertificate } from '../../../src/chain/votes.ts';
import { systemClock } from '../../../src/clock.ts';
import { loadConfig } from '../../../src/config.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { Ledger } from '../../../src/engine/ledger.ts';
import { RightOfWay } from '../../../src/engine/right-of-way.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { openNodeChain } from '../../../src/node/open-chain.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { chainFolderOf, openDataFolder } from '../../../src/store/data-folder.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { JoinFolder } from '../../../src/store/join-folder.ts';
import { readKeyFile, writeKeyFile } from '../../../src/store/key-file.ts';
import { Snapshots } from '../../../src/store/snapshots.ts';
import type { ChainStore } from '../../../src/store/types.ts';
import { ChainMaker, chainRules } from '../../../scripts/bench/chain-maker.ts';
import { genesisJson, makeTransfer, seed, signer } from '../../util/chain-fixture.ts';
import { InlineVerifier } from '../../util/inline-verifier.ts';

const CHAIN = 'ait-devnet';
const ACCOUNTS = 6;

/** Blocks enough for several tables, two levels, and a log that is not empty. */
export const BLOCKS = 120;

export interface Home {
  readonly folder: string;
  readonly isEncrypted: boolean;
}

export async function makeHome(folder: string, isEncrypted: boolean): Promise<Home> {
  const layout = homeLayout(folder, CHAIN);
  const json = source();
  const genesis = parseGenesis(nativeCrypto, json);
  const data = await openDataFolder(folder);
  const { dbFolder } = await data.chain(CHAIN);
  await mkdir(layout.chain, { recursive: true });
  await writeFile(layout.genesis, JSON.stringify(json));
  await writeKeyFile(layout.nodeKey, seed('node'));
  await writeKeyFile(layout.validatorKey, seed('validator-0'));
  await writeKeyFile(layout.storeKey, seed('store'));
  const { chain } = genesis;
  const store = await openChainStore({
    ...chain,
    folder: dbFolder,
    hasher: nativeCrypto,
    database: { writeBufferBytes: 65_536 },
    ...(isEncrypted && { storeKey: seed('store') }),
  });
  const maker = new ChainMaker(await Ledger.open(chainRules(genesis), genesis, store), [signer('validator-0')]);
  for (let height = 1; height <= BLOCKS; height++) {
    const from = `account-${height % ACCOUNTS}`;
    const nonce = Math.floor((height - 1) / ACCOUNTS) * 2;
    const to = `account-${(height + 1) % ACCOUNTS}`;
    await maker.next([
      makeTransfer(genesis, { from, to, nonce }),
      makeTransfer(genesis, { from, to, nonce: nonce + 1 }),
    ]);
  }
  for (let i = 0; i < 5; i++) {
    const pending = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: 1_000 + i });
    store.journal.add(pending.key, pending.bytes);
  }
  await makeSnapshot(folder, store);
  await store.close();
  const { publicKey } = signer('validator-0');
  const guard = await openSignGuard({
    folder: layout.chain,
    ...chain,
    publicKey,
    store: { sequence: 0, height: BLOCKS },
  });
  await guard.reset(BLOCKS);
  await guard.close();
  await data.close();
  return { folder, isEncrypted };
}

/** And the chunks of it in the folder of joining, as a crash after a state was in place leaves them. */
async function makeSnapshot(home: string, store: ChainStore): Promise<void> {
  const { snapshotsFolder, joinFolder } = chainFolderOf(home, CHAIN);
  const snapshots = await openSnapshots(snapshotsFolder);
  const block = store.block(BLOCKS);
  const certificate = store.certificate(BLOCKS);
  if (!block || !certificate) throw new Error('no head');
  snapshots.onCommit(block.header, ACCOUNTS, store);
  await snapshots.idle();
  const manifest = snapshots.manifestBelow(BLOCKS + 1);
  const [held] = snapshots.held;
  if (!manifest || !held) throw new Error('no snapshot');
  const joining = new JoinFolder(joinFolder, nativeCrypto, nopLogger);
  await joining.begin({ manifest, block, certificate });
  for (let i = 0; i < held.chunks; i++) await joining.put(i, await snapshots.chunk(held.manifestHash, i));
}

function openSnapshots(folder: string): Promise<Snapshots> {
  return Snapshots.open({
    ...{ folder, interval: BLOCKS, keep: 1, hasher: nativeCrypto, clock: systemClock },
    ...{ log: nopLogger, metrics: nopRegister },
  });
}

/** Files of a home, by their paths in it; what a running process alone uses is left out. */
export async function filesOf(home: string): Promise<string[]> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(home, join(entry.parentPath, entry.name)))
    .sort();
}

export function copyHome(home: Home, folder: string): Promise<void> {
  return cp(home.folder, folder, { recursive: true });
}

/** Heights up to it are never signed again, whatever happened to the files. */
export async function signAboveOf(home: Home): Promise<number> {
  const { chain: folder } = homeLayout(home.folder, CHAIN);
  const { publicKey } = signer('validator-0');
  const guard = await openSignGuard({ folder, ...chainOf(), publicKey, store: { sequence: 0, height: 0 } });
  await guard.close();
  return guard.signAbove;
}

/** `damages`: what the chain was told to fail for. */
export interface Answers {
  /** State root by height, by the headers. */
  readonly roots: ReadonlyMap<number, string>;
  readonly answers: ReadonlyMap<string, string>;
  readonly height: number;
  readonly stateRoot: string;
  readonly damages: readonly NodeError[];
}

/** The answer where a read was refused. */
export const REFUSED = 'CORRUPT';

/**
 * Opens a home as the node does, and asks for everything: each block, certificate, receipts, index, state value and its
 * proof, pending transactions, genesis, keys.
 *
 * @throws NodeError when opening refuses
 */
export async function askEverything(home: Home, truth: Truth | null): Promise<Answers> {
  const layout = homeLayout(home.folder, CHAIN);
  const data = await openDataFolder(home.folder);
  const damages: NodeError[] = [];
  try {
    const { chain, genesisJson: served } = await openNodeChain({
      folder: await data.chain(CHAIN),
      chainId: CHAIN,
      config: loadConfig({ env: home.isEncrypted ? { AITBC_STORE_ENCRYPT: 'on' } : {} }),
      log: nopLogger,
      metrics: nopRegister,
      verifier: new InlineVerifier(),
      chains: () => 1,
      way: new RightOfWay(systemClock).share(),
      onFatal: (error) => damages.push(error),
    });
    try {
      const roots = new Map<number, string>();
      const answers = new Map<string, string>([['genesis', JSON.stringify(served)]]);
      const ask = (question: string, read: () => unknown): void => {
        answers.set(question, answerOf(read));
      };
      const { ledger } = chain;
      const { store } = ledger;
      const { tip } = ledger;
      for (let height = 1; height <= BLOCKS; height++) {
        ask(`block ${height}`, () => encoded(store.block(height), encodeBlock));
        ask(`block bytes ${height}`, () => encoded(store.blockBytes(height), (bytes) => bytes));
        ask(`header ${height}`, () => {
          const header = store.header(height);
          if (header) roots.set(height, toHex(header.stateRoot));
          return encoded(header, encodeHeader);
        });
        ask(`certificate ${height}`, () => encoded(store.certificate(height), encodeCertificate));
        ask(`receipts ${height}`, () => store.receipts(height)?.map((receipt) => toHex(encodeReceipt(receipt))));
      }
      for (const id of truth?.blocks ?? []) ask(`height of ${toHex(id)}`, () => store.heightOf(id));
      for (const id of truth?.txs ?? []) ask(`transaction ${toHex(id)}`, () => store.transaction(id));
      for (const key of truth?.keys ?? []) {
        ask(`state ${key}`, () => encoded(tip.state.get(key), (bytes) => bytes));
        ask(`proof ${key}`, () => toHex(encodeStateProof(tip.tree.prove(tip.version, statePath(nativeCrypto, key)))));
      }
      answers.set('node key', toHex(await readKeyFile(layout.nodeKey)));
      answers.set('validator key', chain.validatorKey ? toHex(chain.validatorKey) : 'none');
      for (const { height, manifestHash, chunks } of chain.snapshots?.held ?? []) {
        for (let i = 0; i < chunks; i++) {
          const bytes = await chain.snapshots?.chunk(manifestHash, i).catch(notFoundOnly);
          if (bytes) answers.set(`snapshot ${height} ${toHex(manifestHash)} ${i}`, toHex(bytes));
        }
      }
      const pending = await store.journal.load().catch(refusedOnly);
      for (const bytes of pending === REFUSED ? [] : pending) answers.set(`pending ${toHex(bytes)}`, 'yes');
      return {
        roots,
        answers,
        height: tip.height,
        stateRoot: toHex(tip.version.root),
        damages,
      };
    } finally {
      await chain.stop();
    }
  } finally {
    await data.close();
  }
}

/** What there is to ask for. */
export interface Truth {
  readonly blocks: readonly Uint8Array[];
  readonly txs: readonly Uint8Array[];
  readonly keys: readonly string[];
}

export async function truthOf(home: Home): Promise<Truth> {
  const store = await openChainStore({
    ...chainOf(),
    folder: join(homeLayout(home.folder, CHAIN).chain, 'db'),
    hasher: nativeCrypto,
    ...(home.isEncrypted && { storeKey: seed('store') }),
  });
  try {
    const blocks: Uint8Array[] = [];
    const txs: Uint8Array[] = [];
    const keys: string[] = [];
    for (let height = 1; height <= BLOCKS; height++) {
      const block = store.block(height);
      if (!block) throw new Error(`no block ${height}`);
      blocks.push(blockId(nativeCrypto, block.header));
      txs.push(...block.txs.map((tx) => tx.id));
    }
    for await (const [key] of store.stateEntries()) keys.push(key);
    return { blocks, txs, keys };
  } finally {
    await store.close();
  }
}

function source(): Json {
  return genesisJson({ powers: [1], accounts: ACCOUNTS, timeMs: 1_700_000_000_000 });
}

function chainOf(): ChainContext {
  return parseGenesis(nativeCrypto, source()).chain;
}

function encoded<T>(value: T | undefined, encode: (value: T) => Uint8Array): string | undefined {
  return value && toHex(encode(value));
}

function answerOf(read: () => unknown): string {
  try {
    return JSON.stringify(read()) ?? 'none';
  } catch (error) {
    return refusedOnly(error);
  }
}

function refusedOnly(error: unknown): typeof REFUSED {
  if (error instanceof NodeError && error.code === 'CORRUPT' && error.hint !== undefined) return REFUSED;
  throw error;
}

function notFoundOnly(error: unknown): undefined {
  if (error instanceof NodeError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
