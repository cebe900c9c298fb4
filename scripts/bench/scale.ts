/**
 * How the store grows: one process, no network. Blocks of the right form and size that nobody executed go through the
 * store's own commits, and a state of many accounts becomes a tree; once in the open, once encrypted, in turn. Times are
 * CPU time of the main thread, except `written_per_s` and `until_synced_ms`.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesKey, utf8, ZERO_HASH } from '../../src/bytes.ts';
import type { Hash } from '../../src/bytes.ts';
import { blockId } from '../../src/chain/block.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { stateKey, statePath } from '../../src/chain/state.ts';
import { StateTree } from '../../src/chain/tree.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { assembleTransaction } from '../../src/chain/tx.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { openChainStore } from '../../src/store/chain-store.ts';
import { checkDatabaseFiles } from '../../src/store/database-check.ts';
import type { ChainStore, CommittedBlock } from '../../src/store/types.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import type { BenchArgs } from './args.ts';
import type { Check } from './result.ts';
import { invariant } from './result.ts';

const CHAIN = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(9) };
const VALIDATORS = 4;
const BATCH_BLOCKS = 256;
const SENDERS = 1_000;
const OPENINGS = 3;
const LOOKUPS = 2_000;
const LARGE_BLOCKS = 40;
const LARGE_BLOCK_TXS = 1_000;
const PROVED = 1_000;
const ACCOUNTS_A_BLOCK = 5_000;

type Figures = Record<string, unknown>;

export async function scale(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Figures }> {
  const figures: Record<string, Figures> = {};
  let whole = true;
  for (const mode of ['plain', 'encrypted'] as const) {
    const folder = await mkdtemp(join(tmpdir(), 'aitbc-scale-'));
    try {
      const bench = new StoreBench(folder, mode === 'encrypted' ? new Uint8Array(32).fill(1) : undefined);
      const blocks = await bench.blocks(args.blocks);
      tell(`${mode}, ${args.blocks} blocks: ${JSON.stringify(blocks.figures)}`);
      const large = await bench.largeBlocks();
      tell(`${mode}, blocks of ${LARGE_BLOCK_TXS} transactions: ${JSON.stringify(large)}`);
      const accounts = await bench.accounts(args.accounts);
      tell(`${mode}, ${args.accounts} accounts: ${JSON.stringify(accounts)}`);
      figures[mode] = { blocks: blocks.figures, large_blocks: large, accounts };
      whole &&= blocks.whole;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return { checks: [invariant('every block is found again', whole)], figures };
}

class StoreBench {
  readonly #folder: string;
  readonly #storeKey: Uint8Array | undefined;

  constructor(folder: string, storeKey: Uint8Array | undefined) {
    this.#folder = folder;
    this.#storeKey = storeKey;
  }

  /** Small blocks: speed of writing, disk, start, look-ups. */
  async blocks(count: number): Promise<{ readonly figures: Figures; readonly whole: boolean }> {
    const folder = join(this.#folder, 'blocks');
    const store = await this.#open(folder);
    await store.initialise(new Map());
    const startMs = performance.now();
    let parent: Hash = CHAIN.genesisHash;
    const ids: Hash[] = [];
    for (let height = 1; height <= count; ) {
      const batch: CommittedBlock[] = [];
      for (; batch.length < BATCH_BLOCKS && height <= count; height++) {
        const made = block(height, parent, 1);
        batch.push(made);
        parent = made.blockId;
        ids.push(made.block.txs[0]?.id ?? ZERO_HASH);
      }
      await store.commit(batch);
    }
    const seconds = (performance.now() - startMs) / 1000;
    await store.close();
    const openMs: number[] = [];
    const checkMs: number[] = [];
    for (let i = 0; i < OPENINGS; i++) {
      const checkedFrom = cpuMs();
      await checkDatabaseFiles(folder);
      const from = cpuMs();
      checkMs.push(from - checkedFrom);
      const again = await this.#open(folder);
      openMs.push(cpuMs() - from);
      await again.close();
    }
    const bytes = await sizeOf(folder);
    const reader = await this.#open(folder);
    const heights = Array.from({ length: LOOKUPS }, (_, i) => 1 + ((i * 7_919) % count));
    let whole = reader.head()?.height === count;
    const blockUs = each(heights, (height) => {
      whole &&= reader.block(height)?.header.height === height;
    });
    const txUs = each(heights, (height) => {
      whole &&= reader.transaction(ids[height - 1] ?? ZERO_HASH)?.height === height;
    });
    await reader.close();
    const figures = {
      written_per_s: Math.round(count / seconds),
      bytes_a_block: Math.round(bytes / count),
      open_ms: percentiles(openMs),
      of_it_checksums_ms: percentiles(checkMs),
      block_by_height_us: blockUs,
      transaction_by_id_us: txUs,
    };
    return { figures, whole };
  }

  async largeBlocks(): Promise<Figures> {
    const store = await this.#open(join(this.#folder, 'large'));
    await store.initialise(new Map());
    const mainMs: number[] = [];
    const syncedMs: number[] = [];
    let parent: Hash = CHAIN.genesisHash;
    for (let height = 1; height <= LARGE_BLOCKS; height++) {
      const made = block(height, parent, LARGE_BLOCK_TXS);
      parent = made.blockId;
      const from = performance.now();
      const cpuFrom = cpuMs();
      const pending = store.commit([made]);
      mainMs.push(cpuMs() - cpuFrom);
      await pending;
      syncedMs.push(performance.now() - from);
    }
    await store.close();
    return { main_thread_ms: percentiles(mainMs), until_synced_ms: percentiles(syncedMs) };
  }

  async accounts(count: number): Promise<Figures> {
    const folder = join(this.#folder, 'accounts');
    await this.#fill(folder, count);
    const keys = Array.from({ length: PROVED }, (_, i) => accountKey(Math.floor((i * count) / PROVED)));
    const rssBefore = process.memoryUsage().rss;
    const from = cpuMs();
    const store = await this.#open(folder);
    const openedMs = cpuMs() - from;
    const loader = StateTree.loader(nativeCrypto);
    for await (const [key, value] of store.stateEntries()) {
      loader.add(statePath(nativeCrypto, key), nativeCrypto.hash(value));
    }
    const tree = loader.finish();
    const loadedMs = cpuMs() - from;
    const rssMiB = (process.memoryUsage().rss - rssBefore) / 2 ** 20;
    const paths = keys.map((key) => statePath(nativeCrypto, key));
    const proofUs = each(paths, (path) => tree.prove(tree.head, path));
    const readUs = each(keys, (key) => store.state.get(key));
    const cachedUs = each(keys, (key) => store.state.get(key));
    const updateMs: number[] = [];
    for (let round = 0; round < 9; round++) {
      const changes = paths.map((path) => ({ path, valueHash: nativeCrypto.hash(utf8(`${round}`)) }));
      const start = cpuMs();
      tree.commit(tree.fork(tree.head, changes));
      updateMs.push(cpuMs() - start);
    }
    await store.close();
    return {
      disk_bytes_an_account: Math.round((await sizeOf(folder)) / count),
      open_ms: Math.round(openedMs),
      open_and_tree_ms: Math.round(loadedMs),
      rss_grown_mib: Math.round(rssMiB),
      state_read_us: readUs,
      state_read_cached_us: cachedUs,
      proof_us: proofUs,
      root_of_1000_changes_ms: percentiles(updateMs),
    };
  }

  async #fill(folder: string, count: number): Promise<void> {
    const store = await this.#open(folder);
    await store.initialise(new Map());
    let parent: Hash = CHAIN.genesisHash;
    for (let from = 0, height = 1; from < count; from += ACCOUNTS_A_BLOCK, height++) {
      const changes = new Map<StateKey, Uint8Array>();
      for (let i = from; i < Math.min(count, from + ACCOUNTS_A_BLOCK); i++) {
        changes.set(accountKey(i), new Uint8Array(24).fill(i & 255));
      }
      const made = { ...block(height, parent, 0), changes };
      await store.commit([made]);
      parent = made.blockId;
    }
    await store.close();
  }

  #open(folder: string): Promise<ChainStore> {
    const storeKey = this.#storeKey;
    return openChainStore({ ...CHAIN, folder, hasher: nativeCrypto, ...(storeKey && { storeKey }) });
  }
}

/** CPU time of this thread, which other load on the machine does not change much. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Mean of a call, in microseconds of CPU time. */
function each<T>(items: readonly T[], call: (item: T) => unknown): number {
  const from = cpuMs();
  for (const item of items) call(item);
  return Math.round(((cpuMs() - from) / items.length) * 10_000) / 10;
}

async function sizeOf(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function accountKey(index: number): StateKey {
  return stateKey(1, nativeCrypto.hash(utf8(`account ${index}`)).subarray(0, 20));
}

/** Transactions of some 200 bytes, two state changes each, certificates of all validators. */
function block(height: number, parent: Hash, transactions: number): CommittedBlock {
  const txs = Array.from({ length: transactions }, (_, index) => transaction(height, index));
  const header = {
    version: 1,
    chainId: CHAIN.chainId,
    height,
    timeMs: 1_700_000_000_000 + height * 1_000,
    parent,
    proposer: noise(`proposer ${height % VALIDATORS}`),
    txRoot: txs[0]?.id ?? ZERO_HASH,
    receiptsRoot: noise(`receipts ${height}`),
    stateRoot: noise(`state ${height}`),
    validatorsHash: noise('set'),
    nextValidatorsHash: noise('set'),
    lastCommitHash: noise(`commit ${height}`),
    evidenceRoot: ZERO_HASH,
  };
  const id = blockId(nativeCrypto, header);
  const changes = new Map<StateKey, Uint8Array>();
  for (let i = 0; i < 2 * transactions; i++) {
    changes.set(accountKey((height * 2 + i) % SENDERS), noise(`${height} ${i}`).subarray(0, 24));
  }
  return {
    block: { header, lastCommit: height === 1 ? null : certificate(height - 1, parent), evidence: [], txs },
    blockId: id,
    certificate: certificate(height, id),
    receipts: txs.map((tx) => ({ txId: tx.id, code: 0, feeUait: 3_000, events: [] })),
    changes,
    guard: null,
  };
}

function certificate(height: number, id: Hash): CommittedBlock['certificate'] {
  const signers = Array.from({ length: VALIDATORS }, (_, i) => i);
  const signatures = signers.map((i) => signature(`${height} ${i} ${bytesKey(id)}`));
  return { type: 'precommit', height, round: 0, blockId: id, signers, signatures };
}

function transaction(height: number, index: number): Transaction {
  const fields = {
    version: 1,
    type: 1,
    sender: noise(`sender ${(height + index) % SENDERS}`),
    nonce: Math.floor(height / SENDERS),
    feeUait: 3_000,
    validUntilHeight: height + 100,
    payload: noise(`${height}/${index}`),
  };
  return assembleTransaction(nativeCrypto, fields, signature(`${height} ${index}`));
}

function signature(text: string): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(noise(text));
  bytes.set(noise(`${text}.`), 32);
  return bytes;
}

/** Bytes that do not compress. */
function noise(text: string): Uint8Array {
  return nativeCrypto.hash(utf8(text));
}
