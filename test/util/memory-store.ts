/** A chain's store and journal in memory, which fail when told to. */
import { bytesKey, equalBytes } from '../../src/bytes.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import type { Hash } from '../../src/bytes.ts';
import { encodeBlock } from '../../src/chain/block.ts';
import type { Block, Header } from '../../src/chain/block.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import type { Receipt } from '../../src/chain/receipt.ts';
import type { StateChanges, StateKey, StateReader } from '../../src/chain/state.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import type { Certificate } from '../../src/chain/votes.ts';
import { encodeCertificate } from '../../src/chain/votes.ts';
import type {
  AdoptedState,
  ChainStore,
  CommittedBlock,
  MempoolJournal,
  StoredHead,
  StoredTransaction,
} from '../../src/store/types.ts';

class MemoryJournal implements MempoolJournal {
  readonly entries = new Map<string, Uint8Array>();

  add(key: string, bytes: Uint8Array): void {
    this.entries.set(key, bytes);
  }

  remove(key: string): void {
    this.entries.delete(key);
  }

  load(): Promise<Uint8Array[]> {
    return Promise.resolve([...this.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}

export class MemoryStore implements ChainStore {
  readonly entries = new Map<StateKey, Uint8Array>();
  readonly journal = new MemoryJournal();
  readonly blocks: CommittedBlock[] = [];
  #base = 1;
  /** Thrown by every commit from now on. */
  commitFault: Error | null = null;
  /** Thrown by every read of the state from now on. */
  readFault: Error | null = null;
  /** Reads of the state. */
  reads = 0;
  /** Commits wait for it. */
  gate: Promise<void> = Promise.resolve();
  readonly state: StateReader = {
    get: (key) => {
      this.reads++;
      if (this.readFault) throw this.readFault;
      return this.entries.get(key);
    },
  };

  head(): StoredHead | null {
    const last = this.blocks.at(-1);
    if (!last) return null;
    const { block, blockId, certificate } = last;
    return { height: block.header.height, blockId, header: block.header, certificate };
  }

  base(): number {
    return this.#base;
  }

  prune(keepFrom: number): Promise<{ blocks: number; done: boolean }> {
    const gone = this.blocks.splice(0, Math.max(0, Math.min(keepFrom, this.head()?.height ?? 1) - this.#base));
    this.#base += gone.length;
    return Promise.resolve({ blocks: gone.length, done: true });
  }

  guardSequence(publicKey: Uint8Array): number {
    const key = bytesKey(publicKey);
    return Math.max(
      0,
      ...this.blocks.map(({ guard }) => (guard && bytesKey(guard.publicKey) === key ? guard.sequence : 0)),
    );
  }

  initialise(genesisState: StateChanges): Promise<void> {
    if (this.entries.size === 0) this.#put(genesisState);
    return Promise.resolve();
  }

  async commit(blocks: readonly CommittedBlock[]): Promise<void> {
    await this.gate;
    if (this.commitFault) throw this.commitFault;
    for (const committed of blocks) {
      this.blocks.push(committed);
      this.#put(committed.changes);
    }
  }

  async adopt({ block, blockId, certificate, entries }: AdoptedState): Promise<void> {
    const adopted = new Map<StateKey, Uint8Array>();
    for await (const chunk of entries) for (const { key, value } of chunk) adopted.set(key, value);
    this.entries.clear();
    for (const [key, value] of adopted) this.entries.set(key, value);
    this.blocks.push({ block, blockId, certificate, receipts: [], changes: adopted, guard: null });
    this.#base = block.header.height;
  }

  block(height: number): Block | undefined {
    return this.blocks[height - this.#base]?.block;
  }

  blockBytes(height: number): Uint8Array | undefined {
    const block = this.block(height);
    return block && encodeBlock(block);
  }

  header(height: number): Header | undefined {
    return this.block(height)?.header;
  }

  heightOf(blockId: Hash): number | undefined {
    return this.blocks.find((committed) => bytesKey(committed.blockId) === bytesKey(blockId))?.block.header.height;
  }

  certificate(height: number): Certificate | undefined {
    return this.blocks[height - this.#base]?.certificate;
  }

  certificateBytes(height: number): Uint8Array | undefined {
    const certificate = this.certificate(height);
    return certificate && encodeCertificate(certificate);
  }

  receipts(height: number): Receipt[] | undefined {
    const found = this.blocks[height - this.#base]?.receipts;
    return found && [...found];
  }

  transactionAt({ height, index }: StoredTransaction): Transaction | undefined {
    return this.block(height)?.txs[index];
  }

  receiptAt({ height, index }: StoredTransaction): Receipt | undefined {
    return this.receipts(height)?.[index];
  }

  transaction(id: Hash): StoredTransaction | undefined {
    for (const { block } of this.blocks) {
      const index = block.txs.findIndex((tx) => bytesKey(tx.id) === bytesKey(id));
      if (index >= 0) return { height: block.header.height, index };
    }
    return undefined;
  }

  validatorSet(hash: Hash): ValidatorSet | undefined {
    const found = this.blocks.find(({ block }) => equalBytes(block.header.nextValidatorsHash, hash));
    return found && getSets({ get: (key) => found.changes.get(key) }).current;
  }

  async *stateEntries(): AsyncGenerator<readonly [StateKey, Uint8Array]> {
    await Promise.resolve();
    yield* [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #put(changes: StateChanges): void {
    for (const [key, value] of changes) {
      if (value) this.entries.set(key, value);
      else this.entries.delete(key);
    }
  }
}
