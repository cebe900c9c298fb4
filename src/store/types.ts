/** What the rest of the node needs of a chain's store; LevelDB behind it in the node, simulated disks in tests. */
import type { Transaction } from '../chain/tx.ts';
import type { Hash, PublicKey } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import type { Receipt } from '../chain/receipt.ts';
import type { StateChanges, StateKey, StateReader } from '../chain/state.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';

export interface StoredHead {
  readonly height: number;
  readonly blockId: Hash;
  readonly header: Header;
  readonly certificate: Certificate;
}

/** Which record of which key's sign guard was the last when a block was committed. */
export interface GuardMark {
  readonly publicKey: PublicKey;
  readonly sequence: number;
}

/** All that one block changes, written in one atomic batch: block, indexes, receipts, certificate, state, head. */
export interface CommittedBlock {
  readonly block: Block;
  readonly blockId: Hash;
  readonly certificate: Certificate;
  readonly receipts: readonly Receipt[];
  readonly changes: StateChanges;
  /** The sign guard when this block was committed; null where none is kept. */
  readonly guard: GuardMark | null;
}

/** The state after a block, in place of the genesis state of a store without blocks. */
export interface AdoptedState {
  readonly block: Block;
  readonly blockId: Hash;
  readonly certificate: Certificate;
  /** All entries; what it throws at its end keeps the state from counting. */
  readonly entries: AsyncIterable<readonly { readonly key: StateKey; readonly value: Uint8Array }[]>;
}

export interface StoredTransaction {
  readonly height: number;
  readonly index: number;
}

/** What one step of pruning did. */
export interface SweepStep {
  /** Heights that are gone now. */
  readonly blocks: number;
  /** Whether there is nothing left to delete. */
  readonly done: boolean;
}

export interface ChainStore {
  /** Last whole block; null before height 1. */
  head(): StoredHead | null;
  /**
   * Lowest height whose block, certificate and receipts are held: 1 in an archive, higher once blocks were pruned or when
   * the chain began here with a snapshot; never above the head, once there is one.
   */
  base(): number;
  /** The state at the head, also while a commit is under way. Values are shared: never write to them. */
  readonly state: StateReader;
  /** Highest guard sequence that a committed block recorded for this key; 0 when none did. */
  guardSequence(publicKey: PublicKey): number;
  /** First use of an empty store: writes the genesis state and pins the hash. Does nothing when that was done. */
  initialise(genesisState: StateChanges): Promise<void>;
  /**
   * Blocks in ascending order, contiguous with the head; one atomic, synced batch. One call at a time.
   *
   * @throws NodeError STORAGE after which the store takes no more writes until it is opened again
   * @throws NodeError INTERNAL when the blocks do not follow the head
   */
  commit(blocks: readonly CommittedBlock[]): Promise<void>;
  /**
   * Replaces the genesis state; the block becomes head and base. Until the last, synced write, the store counts as one
   * that was never used: after a crash, or when `entries` throws, it begins with `initialise` once it is opened again.
   *
   * @throws NodeError INTERNAL when there are blocks; STORAGE; what `entries` throws. Then it takes no more writes
   */
  adopt(state: AdoptedState): Promise<void>;
  /**
   * One bounded step of pruning: what is below this height, and below the head, is no longer kept from now on; some of it
   * is deleted, beside commits and not synced. Validator sets stay. One call at a time, until it is done.
   *
   * @throws NodeError STORAGE as `commit`
   */
  prune(keepFrom: number): Promise<SweepStep>;
  block(height: number): Block | undefined;
  /** The encoded block, as stored. */
  blockBytes(height: number): Uint8Array | undefined;
  header(height: number): Header | undefined;
  heightOf(blockId: Hash): number | undefined;
  certificate(height: number): Certificate | undefined;
  /** The encoded certificate, as stored. */
  certificateBytes(height: number): Uint8Array | undefined;
  receipts(height: number): readonly Receipt[] | undefined;
  /** One of the block's, at a fraction of the cost of all. */
  transactionAt(place: StoredTransaction): Transaction | undefined;
  receiptAt(place: StoredTransaction): Receipt | undefined;
  transaction(id: Hash): StoredTransaction | undefined;
  /** A set that took effect after genesis, by its hash in headers. */
  validatorSet(hash: Hash): ValidatorSet | undefined;
  /** Every key and value of the state at the head, in key order. */
  stateEntries(): AsyncIterable<readonly [StateKey, Uint8Array]>;
  /** Pending transactions that survive a restart. `add` and `remove` are queued and written together, unsynced. */
  readonly journal: MempoolJournal;
  close(): Promise<void>;
}

export interface MempoolJournal {
  /**
   * Dropped (and counted) when the journal is full: the transaction then lives in memory only.
   *
   * @param key of the transaction's id
   * @param heldElsewhere the node that took it from its client writes it: here it may wait for some seconds
   */
  add(key: string, bytes: Uint8Array, heldElsewhere?: boolean): void;
  remove(key: string): void;
  /** Bytes of all entries, in order of their ids. */
  load(): Promise<Uint8Array[]>;
  /** Resolves when everything queued so far is written. @throws NodeError STORAGE */
  flush(): Promise<void>;
}
