/** A chain of a stopped node, for work on its database: the data folder is held as by a node that runs. */
import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChainRules } from '../chain/execute.ts';
import type { Genesis } from '../chain/genesis.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import { findValidator, hasQuorum } from '../chain/validator-set.ts';
import type { NodeConfig } from '../config.ts';
import { Ledger } from '../engine/ledger.ts';
import { rebuild } from '../engine/rebuild.ts';
import { replay } from '../engine/replay.ts';
import type { CertifiedCandidate } from '../chain/linked-range.ts';
import { verifyChain, verifyLinks } from '../engine/verify-chain.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import type { VerifyPool } from '../native/verify-pool.ts';
import { createVerifyPool } from '../native/verify-pool.ts';
import { openChainStore } from '../store/chain-store.ts';
import type { ChainFolder, DataFolder } from '../store/data-folder.ts';
import { openDataFolder } from '../store/data-folder.ts';
import { openDatabase } from '../store/db.ts';
import { openSignGuard } from '../store/guard.ts';
import { guardAdvice } from '../store/guard-advice.ts';
import { readKeyFile } from '../store/key-file.ts';
import { rebuildFolders, replaceDatabase, settleDatabase } from '../store/rebuild-folder.ts';
import type { ChainStore, GuardMark } from '../store/types.ts';
import { readGenesis, storeKeyOf } from './open-chain.ts';

export interface StoppedChainOptions {
  readonly home: string;
  readonly chainId: string;
  readonly config: NodeConfig;
  readonly log: Logger;
}

/** Called with every height that was worked on. */
export type OnHeight = (height: number) => void;

export class StoppedChain {
  readonly genesis: Genesis;
  readonly store: ChainStore;
  readonly #options: StoppedChainOptions;
  readonly #dataFolder: DataFolder;
  readonly #folder: ChainFolder;
  readonly #verifier: VerifyPool = createVerifyPool();
  #isStoreOpen = true;

  private constructor(
    options: StoppedChainOptions,
    dataFolder: DataFolder,
    folder: ChainFolder,
    genesis: Genesis,
    store: ChainStore,
  ) {
    this.#options = options;
    this.#dataFolder = dataFolder;
    this.#folder = folder;
    this.genesis = genesis;
    this.store = store;
  }

  /** @throws NodeError DATA_LOCKED when the node runs; of genesis, key and database */
  static async open(options: StoppedChainOptions): Promise<StoppedChain> {
    const { home, chainId, log } = options;
    const dataFolder = await openExisting(home, log);
    try {
      const folder = await dataFolder.chain(chainId);
      const { genesis } = await readGenesis(folder, chainId);
      await settleDatabase(folder.dbFolder);
      const store = await openStore(options, folder, genesis, folder.dbFolder);
      return new StoppedChain(options, dataFolder, folder, genesis, store);
    } catch (error) {
      await dataFolder.close();
      throw error;
    }
  }

  get rules(): ChainRules {
    return { chain: this.genesis.chain, params: this.genesis.params, crypto: nativeCrypto };
  }

  get height(): number {
    return this.store.head()?.height ?? 0;
  }

  async close(): Promise<void> {
    if (this.#isStoreOpen) await this.store.close();
    this.#isStoreOpen = false;
    await this.#verifier.close();
    await this.#dataFolder.close();
  }

  /**
   * @returns whether blocks were executed: not where the first ones are no longer kept
   * @throws NodeError of the first difference
   */
  async verify(from: number, to: number, onHeight: OnHeight): Promise<{ readonly executed: boolean }> {
    const { rules, genesis, store: source } = this;
    const verifier = this.#verifier;
    if (source.base() > 1) {
      // Its state is compared with the root of its head all the same.
      await Ledger.open(rules, genesis, source);
      await verifyLinks({
        rules,
        genesis,
        verifier,
        source,
        target: source,
        from: Math.max(from, source.base()),
        to,
        onHeight,
      });
      return { executed: false };
    }
    const { making } = rebuildFolders(this.#folder.dbFolder);
    const target = await openStore(this.#options, this.#folder, genesis, making);
    try {
      await verifyChain({ rules, genesis, verifier, source, target, from, to, onHeight });
    } finally {
      await target.close();
      await rm(making, { recursive: true, force: true });
    }
    return { executed: true };
  }

  /** Applies blocks that follow the head. @returns how many. @throws NodeError of the first that does not fit */
  async import(blocks: AsyncIterable<CertifiedCandidate>, onHeight: OnHeight): Promise<number> {
    const ledger = await Ledger.open(this.rules, this.genesis, this.store);
    return replay(blocks, { ledger, verifier: this.#verifier, guard: null, onHeight });
  }

  /**
   * Makes the database anew from its blocks up to a height; then it takes the place of the old one, in one step. The
   * sign guard stays as it is, and the new database knows of it. The chain is closed afterwards.
   */
  async rebuild(to: number, onHeight: OnHeight): Promise<void> {
    const { rules, genesis, store: source } = this;
    const { dbFolder } = this.#folder;
    const guard = await this.#guardMark();
    const target = await openStore(this.#options, this.#folder, genesis, rebuildFolders(dbFolder).making);
    try {
      await rebuild({ rules, genesis, verifier: this.#verifier, source, target, to, guard, onHeight });
    } finally {
      await target.close();
    }
    await source.close();
    this.#isStoreOpen = false;
    await replaceDatabase(dbFolder);
  }

  /** @returns why the sign guard would let nothing be signed, and what to do; undefined when it would not, or is none */
  async signingAdvice(): Promise<string | undefined> {
    const { validatorKeyFile, folder } = this.#folder;
    if (!existsSync(validatorKeyFile)) return undefined;
    const { publicKey } = createNativeSigner(await readKeyFile(validatorKeyFile));
    const { height } = this;
    const store = { sequence: this.store.guardSequence(publicKey), height };
    const guard = await openSignGuard({ ...this.genesis.chain, folder, publicKey, store });
    await guard.close();
    const set = height > 0 ? getSets(this.store.state).current : undefined;
    const own = set && findValidator(set, publicKey);
    return guardAdvice(guard.status, height, set !== undefined && hasQuorum(set, own?.power ?? 0));
  }

  async #guardMark(): Promise<GuardMark | null> {
    const { validatorKeyFile } = this.#folder;
    if (!existsSync(validatorKeyFile)) return null;
    const { publicKey } = createNativeSigner(await readKeyFile(validatorKeyFile));
    const sequence = this.store.guardSequence(publicKey);
    return sequence > 0 ? { publicKey, sequence } : null;
  }
}

/** Writes a database anew, without what was deleted or written over. @returns its size before and after, in bytes */
export async function compactChain(
  options: StoppedChainOptions,
): Promise<{ readonly bytesBefore: number; readonly bytesAfter: number }> {
  const dataFolder = await openExisting(options.home, options.log);
  try {
    const { dbFolder } = await dataFolder.chain(options.chainId);
    await settleDatabase(dbFolder);
    if (!existsSync(dbFolder)) {
      throw new NodeError('NOT_FOUND', `this home has no database of ${options.chainId}`, { data: { path: dbFolder } });
    }
    const bytesBefore = await sizeOf(dbFolder);
    const db = await openDatabase(dbFolder);
    try {
      await db.compact({ gte: new Uint8Array(), lt: Uint8Array.of(255) });
    } finally {
      await db.close();
    }
    return { bytesBefore, bytesAfter: await sizeOf(dbFolder) };
  } finally {
    await dataFolder.close();
  }
}

/** @throws NodeError DATA_FOLDER where no node ever was */
async function openExisting(home: string, log: Logger): Promise<DataFolder> {
  if (!existsSync(join(home, 'chains'))) {
    throw new NodeError('DATA_FOLDER', 'there is no node in this folder', {
      data: { path: home },
      hint: 'give --home of the node, or set AITBC_HOME',
    });
  }
  return openDataFolder(home, { log });
}

async function openStore(
  { chainId, config }: StoppedChainOptions,
  folder: ChainFolder,
  genesis: Genesis,
  dbFolder: string,
): Promise<ChainStore> {
  const storeKey = await storeKeyOf({ chainId, config, folder });
  return openChainStore({
    folder: dbFolder,
    chainId: genesis.chain.chainId,
    genesisHash: genesis.chain.genesisHash,
    hasher: nativeCrypto,
    stateCacheEntries: config.store.stateCacheEntries,
    journal: { memory: true },
    ...(storeKey && { storeKey }),
  }).finally(() => storeKey?.fill(0));
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).size;
  return bytes;
}
