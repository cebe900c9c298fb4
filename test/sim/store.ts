/** A chain's store on a simulated disk: commits are atomic, and durable or lost; values are kept encoded. */
import { bytesKey, equalBytes } from '../../src/bytes.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import type { Block, Header } from '../../src/chain/block.ts';
import { decodeBlock, encodeBlock } from '../../src/chain/block.ts';
import type { Receipt } from '../../src/chain/receipt.ts';
import type { StateKey } from '../../src/chain/state.ts';
import type { Certificate } from '../../src/chain/votes.ts';
import { decodeCertificate, encodeCertificate } from '../../src/chain/votes.ts';
import { NodeError } from '../../src/errors.ts';
import { storageError } from '../../src/store/storage-error.ts';
import type {
  AdoptedState,
  ChainStore,
  CommittedBlock,
  MempoolJournal,
  StoredHead,
  StoredTransaction,
} from '../../src/store/types.ts';
import type { ProcessDisk } from './disk.ts';
import { simCrypto } from './signatures.ts';

interface StoredBlock {
  readonly blockId: Uint8Array;
  readonly bytes: Uint8Array;
  readonly certificate: Uint8Array;
  readonly receipts: readonly Receipt[];
}

/** What the disk holds. */
export class StoredChain {
  initialised = false;
  /** Height of the first block held. */
  base = 1;
  readonly state = new Map<StateKey, Uint8Array>();
  readonly blocks: StoredBlock[] = [];
  readonly heights = new Map<string, number>();
  readonly places = new Map<string, StoredTransaction>();
  readonly guardMarks = new Map<string, number>();
  readonly pending = new Map<string, Uint8Array>();

  get height(): number {
    return this.base - 1 + this.blocks.length;
  }

  at(height: number): StoredBlock | undefined {
    return this.blocks[height - this.base];
  }

  /** A copy of the files as they are. */
  copy(): StoredChain {
    const copy = new StoredChain();
    copy.initialised = this.initialised;
    copy.base = this.base;
    copy.blocks.push(...this.blocks);
    for (const name of ['state', 'heights', 'places', 'guardMarks', 'pending'] as const) {
      const to = copy[name] as Map<string, unknown>;
      for (const [key, value] of this[name]) to.set(key, value);
    }
    return copy;
  }

  /** The state after a block in place of what there was. */
  adopt({ block, blockId, certificate }: AdoptedState, entries: ReadonlyMap<StateKey, Uint8Array>): void {
    const { height } = block.header;
    this.base = height;
    this.blocks.push({ blockId, bytes: encodeBlock(block), certificate: encodeCertificate(certificate), receipts: [] });
    this.heights.set(bytesKey(blockId), height);
    this.state.clear();
    for (const [key, value] of entries) this.state.set(key, value);
  }

  /** @returns how many blocks went */
  prune(base: number): number {
    const gone = this.blocks.splice(0, Math.max(0, base - this.base));
    this.base += gone.length;
    for (const { blockId, bytes } of gone) {
      this.heights.delete(bytesKey(blockId));
      for (const { id } of decodeBlock(simCrypto, bytes).txs) this.places.delete(bytesKey(id));
    }
    return gone.length;
  }

  put({ block, blockId, certificate, receipts, changes, guard }: CommittedBlock): void {
    const { height } = block.header;
    this.blocks.push({ blockId, bytes: encodeBlock(block), certificate: encodeCertificate(certificate), receipts });
    this.heights.set(bytesKey(blockId), height);
    block.txs.forEach((tx, index) => this.places.set(bytesKey(tx.id), { height, index }));
    for (const [key, value] of changes) {
      if (value === undefined) this.state.delete(key);
      else this.state.set(key, value);
    }
    if (!guard) return;
    const key = bytesKey(guard.publicKey);
    this.guardMarks.set(key, Math.max(guard.sequence, this.guardMarks.get(key) ?? 0));
  }
}

export class SimStore implements ChainStore {
  readonly #chain: StoredChain;
  readonly #disk: ProcessDisk;
  readonly #onCommit: (blocks: readonly CommittedBlock[]) => void;
  #failure: NodeError | null = null;
  #busy = false;
  #head: StoredHead | null;

  /** @param onCommit called when blocks are on the disk, known to the process or not */
  constructor(chain: StoredChain, disk: ProcessDisk, onCommit: (blocks: readonly CommittedBlock[]) => void) {
    this.#chain = chain;
    this.#disk = disk;
    this.#onCommit = onCommit;
    this.#head = this.#readHead();
  }

  readonly state = { get: (key: StateKey): Uint8Array | undefined => this.#chain.state.get(key) };

  readonly journal: MempoolJournal = {
    add: (key, bytes) => {
      this.#chain.pending.set(key, bytes);
    },
    remove: (key) => {
      this.#chain.pending.delete(key);
    },
    load: () =>
      Promise.resolve([...this.#chain.pending].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes)),
    flush: () => Promise.resolve(),
  };

  head(): StoredHead | null {
    return this.#head;
  }

  base(): number {
    return this.#chain.base;
  }

  /** Deletes all at once, and at once: what is pruned is never asked for again, crash or not. */
  prune(keepFrom: number): Promise<{ blocks: number; done: boolean }> {
    if (this.#failure) return Promise.reject(this.#failure);
    const blocks = this.#chain.prune(Math.min(keepFrom, this.#head?.height ?? 1));
    return Promise.resolve({ blocks, done: true });
  }

  guardSequence(publicKey: Uint8Array): number {
    return this.#chain.guardMarks.get(bytesKey(publicKey)) ?? 0;
  }

  async initialise(genesisState: ReadonlyMap<StateKey, Uint8Array | undefined>): Promise<void> {
    if (this.#chain.initialised) return;
    const apply = (): void => {
      for (const [key, value] of genesisState) if (value) this.#chain.state.set(key, value);
      this.#chain.initialised = true;
    };
    await this.#write(apply);
  }

  async commit(blocks: readonly CommittedBlock[]): Promise<void> {
    if (blocks.length === 0) return;
    this.#checkFollows(blocks);
    await this.#write(() => {
      for (const block of blocks) this.#chain.put(block);
      this.#onCommit(blocks);
    });
    this.#head = this.#readHead();
  }

  async adopt(state: AdoptedState): Promise<void> {
    if (this.#chain.height > 0)
      throw new NodeError('INTERNAL', 'a state is adopted in place of the genesis state alone');
    const entries = new Map<StateKey, Uint8Array>();
    for await (const chunk of state.entries) for (const { key, value } of chunk) entries.set(key, value);
    await this.#write(() => {
      this.#chain.adopt(state, entries);
    });
    this.#head = this.#readHead();
  }

  block(height: number): Block | undefined {
    const bytes = this.blockBytes(height);
    return bytes && decodeBlock(simCrypto, bytes);
  }

  blockBytes(height: number): Uint8Array | undefined {
    return this.#chain.at(height)?.bytes;
  }

  header(height: number): Header | undefined {
    return this.block(height)?.header;
  }

  heightOf(blockId: Uint8Array): number | undefined {
    return this.#chain.heights.get(bytesKey(blockId));
  }

  certificate(height: number): Certificate | undefined {
    const bytes = this.certificateBytes(height);
    return bytes && decodeCertificate(bytes);
  }

  certificateBytes(height: number): Uint8Array | undefined {
    return this.#chain.at(height)?.certificate;
  }

  receipts(height: number): Receipt[] | undefined {
    const receipts = this.#chain.at(height)?.receipts;
    return receipts && [...receipts];
  }

  transactionAt({ height, index }: StoredTransaction): Transaction | undefined {
    return this.block(height)?.txs[index];
  }

  receiptAt({ height, index }: StoredTransaction): Receipt | undefined {
    return this.receipts(height)?.[index];
  }

  transaction(id: Uint8Array): StoredTransaction | undefined {
    return this.#chain.places.get(bytesKey(id));
  }

  /** Nothing that is simulated asks for old sets. */
  validatorSet(): undefined {
    return undefined;
  }

  async *stateEntries(): AsyncGenerator<readonly [StateKey, Uint8Array], void, void> {
    await Promise.resolve();
    for (const entry of [...this.#chain.state].sort(([a], [b]) => (a < b ? -1 : 1))) yield entry;
  }

  close(): Promise<void> {
    this.#failure ??= new NodeError('STORAGE', 'the store is closed');
    return Promise.resolve();
  }

  async #write(apply: () => void): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#busy) throw new NodeError('INTERNAL', 'the store is being written already');
    this.#busy = true;
    try {
      // Atomic: torn is as good as lost, which the recovery of the log on the disk sees to.
      await this.#disk.write('store', { apply, tear: () => undefined });
    } catch (error) {
      this.#failure = storageError(error, 'write the block store', 'simulated');
      throw this.#failure;
    } finally {
      this.#busy = false;
    }
  }

  #readHead(): StoredHead | null {
    const { height } = this.#chain;
    const last = this.#chain.at(height);
    if (!last) return null;
    const { header } = decodeBlock(simCrypto, last.bytes);
    return { height, blockId: last.blockId, header, certificate: decodeCertificate(last.certificate) };
  }

  #checkFollows(blocks: readonly CommittedBlock[]): void {
    let height = this.#chain.height;
    let parent = this.#chain.at(height)?.blockId ?? null;
    for (const { block, blockId, certificate } of blocks) {
      const follows = block.header.height === ++height && (!parent || equalBytes(block.header.parent, parent));
      if (!follows || !equalBytes(certificate.blockId, blockId)) {
        throw new NodeError('INTERNAL', 'the block does not follow the head of the store', {
          data: { height: block.header.height, expected: height },
        });
      }
      parent = blockId;
    }
  }
}
