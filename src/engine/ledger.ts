/**
 * The chain as far as this node holds it: store, state tree and tip in step. The only writer of all three. Blocks are
 * executed ahead of their commit, several candidates at a height if need be; a commit keeps one and frees the others.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, equalBytes, toHex } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import { blockId } from '../chain/block.ts';
import type {
  AppliedBlock,
  BlockProposal,
  ChainRules,
  ExecutedBlock,
  Parent,
  Tip,
  VerifiedTransactions,
} from '../chain/execute.ts';
import { applySteps, buildSteps, verifyBlock } from '../chain/execute.ts';
import type { Genesis } from '../chain/genesis.ts';
import { genesisBlockId, genesisState } from '../chain/genesis.ts';
import type { CertifiedCandidate, LinkedBlock, LinkedRange } from '../chain/linked-range.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import type { ValidatorSets } from '../chain/modules/validators-state.ts';
import type { HashedEntry } from '../chain/state-chunks.ts';
import { memoryState, statePath } from '../chain/state.ts';
import type { TreeVersion } from '../chain/tree.ts';
import { StateTree } from '../chain/tree.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { validatorSetHash } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { ChainStore, CommittedBlock, GuardMark } from '../store/types.ts';
import { isOwnFailure } from './own-failure.ts';
import { RangeExecution } from './range-execution.ts';
import type { Way } from './right-of-way.ts';
import { inTurns } from './turns.ts';

/** Candidates kept executed at once; rounds rarely need more than two. */
const MAX_CANDIDATES = 16;

/** Proves a certificate's signatures; power and structure are checked by the ledger. */
export type CertificateVerifier = (set: ValidatorSet, certificate: Certificate) => Promise<void>;

export class Ledger {
  readonly rules: ChainRules;
  readonly store: ChainStore;
  readonly #genesisSet: ValidatorSet;
  #tree: StateTree;
  readonly #candidates = new Map<string, AppliedBlock>();
  #tip: Tip;
  /** Those of the tip: the store shows the state of a block before its write has ended. */
  #validators: ValidatorSets;

  private constructor(rules: ChainRules, store: ChainStore, genesisSet: ValidatorSet, tree: StateTree, tip: Tip) {
    this.rules = rules;
    this.store = store;
    this.#genesisSet = genesisSet;
    this.#tree = tree;
    this.#tip = tip;
    this.#validators = getSets(tip.state);
  }

  /**
   * Opens the chain of a store, which is given the genesis state first when it is new. The tree is derived data, rebuilt
   * from the flat state, and compared with the head's root.
   *
   * @throws NodeError CORRUPT when the state does not have the root that the head's header names
   */
  static async open(rules: ChainRules, genesis: Genesis, store: ChainStore): Promise<Ledger> {
    const first = genesisState(rules.crypto, genesis);
    await store.initialise(first);
    const loader = StateTree.loader(rules.crypto);
    for await (const [key, value] of store.stateEntries()) {
      loader.add(statePath(rules.crypto, key), rules.crypto.hash(value));
    }
    const tree = loader.finish();
    const head = store.head();
    if (head && !equalBytes(head.header.stateRoot, tree.head.root)) {
      throw new NodeError('CORRUPT', 'the stored state does not have the root of the head', {
        data: { height: head.height, expected: toHex(head.header.stateRoot), found: toHex(tree.head.root) },
        hint: 'move the chain folder away and start again: the node syncs from its peers',
      });
    }
    const tip: Tip = {
      height: head?.height ?? 0,
      blockId: head?.blockId ?? genesisBlockId(genesis),
      timeMs: head?.header.timeMs ?? genesis.timeMs,
      state: store.state,
      tree,
      version: tree.head,
    };
    return new Ledger(rules, store, getSets(memoryState(first)).current, tree, tip);
  }

  get tip(): Tip {
    return this.#tip;
  }

  /** The sets of the head, the next height and the one after. */
  get validators(): ValidatorSets {
    return this.#validators;
  }

  /** A set by its hash in headers: those at hand, those that took effect since genesis, and that of genesis. */
  validatorSet(hash: Hash): ValidatorSet | undefined {
    const { last, current, next } = this.#validators;
    const isIt = (set: ValidatorSet | null): boolean =>
      set !== null && equalBytes(validatorSetHash(this.rules.crypto, set), hash);
    return [current, next, last].find(isIt) ?? this.store.validatorSet(hash) ?? [this.#genesisSet].find(isIt);
  }

  /** Asking for one keeps it: the oldest that nobody asked for make room first. */
  candidate(id: Hash): AppliedBlock | undefined {
    const key = bytesKey(id);
    const found = this.#candidates.get(key);
    if (!found) return undefined;
    this.#candidates.delete(key);
    this.#candidates.set(key, found);
    return found;
  }

  /**
   * Makes the next block; it is executed and kept as a candidate.
   *
   * @param way lets others have a turn while much is executed; nothing may move the tip meanwhile
   */
  async build(proposal: BlockProposal, way?: Way): Promise<AppliedBlock> {
    const built = inTurns(buildSteps(this.rules, this.#tip, proposal), way);
    return this.#keep(await built);
  }

  /**
   * Verifies and executes a block for the next height; signatures were checked.
   *
   * @param way as for `build` @throws NodeError BAD_BLOCK
   */
  async execute(block: Block, verified: VerifiedTransactions, way?: Way): Promise<AppliedBlock> {
    verifyBlock(this.rules, this.#tip, block);
    const applied = inTurns(applySteps(this.rules, this.#tip, block, verified), way);
    return this.#keep(await applied);
  }

  /** Makes a candidate final: one atomic synced batch, then the tip moves. */
  async commit(blockId: Hash, certificate: Certificate, guard: GuardMark | null): Promise<AppliedBlock> {
    const applied = this.candidate(blockId);
    if (!applied) throw new NodeError('INTERNAL', 'a block was committed that is no candidate');
    await this.store.commit([committed(applied, certificate, guard)]);
    this.#advance(applied, applied.version);
    return applied;
  }

  /**
   * Applies certified blocks above the head, as one synced batch. Stops at the first that is not valid; those
   * before it are committed. Blocks are executed when a certificate has proved them: what they say is then a quorum's
   * word, and who sent them is not to blame for it.
   *
   * @param verified the transactions of all blocks whose signatures were checked
   * @param way lets others have a turn now and then, while many blocks are executed
   * @returns what was committed, and why the next block was not: BAD_BLOCK or BAD_CERTIFICATE is the sender's fault
   * @throws NodeError STORAGE; CORRUPT or FORK when a block that a quorum made final does not fit this node's chain
   */
  async import(
    range: LinkedRange,
    verified: VerifiedTransactions,
    verifyCertificate: CertificateVerifier,
    guard: GuardMark | null,
    way?: Way,
  ): Promise<{ readonly applied: readonly ExecutedBlock[]; readonly fault: NodeError | null }> {
    const run = new RangeExecution(this.rules, this.#tip, verified, way);
    let fault: NodeError | null = null;
    let version: TreeVersion;
    try {
      for (const segment of range.after(this.#tip.height).segments()) {
        fault = (await this.#unproven(run.parent, segment, verifyCertificate)) ?? (await run.run(segment));
        if (fault !== null) break;
      }
      version = run.finish();
      await this.store.commit(run.done.map(({ executed, certificate }) => committed(executed, certificate, guard)));
    } catch (error) {
      run.release();
      throw error;
    }
    const last = run.done.at(-1);
    if (last) this.#advance(last.executed, version);
    return { applied: run.done.map(({ executed }) => executed), fault };
  }

  /**
   * Puts the state after a block in the place of the genesis state, chunk by chunk, and the tip on that block. The block
   * proved to be the chain's; the entries prove themselves by its state root, before anything of them counts.
   *
   * @throws NodeError CORRUPT when they do not have that root, INTERNAL after the first block, STORAGE
   */
  async adopt(
    { block, certificate }: CertifiedCandidate,
    chunks: AsyncIterable<readonly HashedEntry[]>,
  ): Promise<void> {
    if (this.#tip.height !== 0)
      throw new NodeError('INTERNAL', 'a state is adopted in place of the genesis state alone');
    const { header } = block;
    const tree = StateTree.load(this.rules.crypto, []);
    const id = blockId(this.rules.crypto, header);
    await this.store.adopt({ block, blockId: id, certificate, entries: grown(tree, header, chunks) });
    for (const { version } of this.#candidates.values()) this.#tree.release(version);
    this.#candidates.clear();
    this.#tree = tree;
    const { height, timeMs } = header;
    this.#tip = { height, blockId: id, timeMs, state: this.store.state, tree, version: tree.head };
    this.#validators = getSets(this.#tip.state);
  }

  /** Why blocks of one set of validators are not proved to follow the tip; null when they are. */
  async #unproven(
    tip: Parent,
    segment: readonly LinkedBlock[],
    verifyCertificate: CertificateVerifier,
  ): Promise<NodeError | null> {
    const [first] = segment;
    const last = segment.at(-1);
    if (!first || !last) return null;
    const height = tip.height + 1;
    if (first.block.header.height !== height) {
      return new NodeError('BAD_BLOCK', `block ${first.block.header.height}: expected height ${height}`);
    }
    try {
      await verifyCertificate(getSets(tip.state).current, last.certificate);
    } catch (error) {
      if (isOwnFailure(error)) throw error;
      return toNodeError(error);
    }
    const { parent } = first.block.header;
    if (equalBytes(parent, tip.blockId)) return null;
    throw new NodeError('FORK', 'a quorum made a block final that does not follow the head of this node', {
      data: { height, parent: toHex(parent), head: toHex(tip.blockId) },
      hint: 'two certified chains: keep the data folders as evidence, and find out which validators signed both',
    });
  }

  #keep(applied: AppliedBlock): AppliedBlock {
    const key = bytesKey(applied.blockId);
    const known = this.#candidates.get(key);
    if (known) {
      this.#tree.release(applied.version);
      return known;
    }
    for (const [oldest, { version }] of this.#candidates) {
      if (this.#candidates.size < MAX_CANDIDATES) break;
      this.#tree.release(version);
      this.#candidates.delete(oldest);
    }
    this.#candidates.set(key, applied);
    return applied;
  }

  /** Moves the tip to a block that is on disk now; candidates of the old tip are void. @param version after it */
  #advance(last: ExecutedBlock, version: TreeVersion): void {
    for (const candidate of this.#candidates.values()) {
      if (candidate.version !== version) this.#tree.release(candidate.version);
    }
    this.#candidates.clear();
    this.#tree.commit(version);
    const { height, timeMs } = last.block.header;
    this.#tip = { height, blockId: last.blockId, timeMs, state: this.store.state, tree: this.#tree, version };
    this.#validators = getSets(this.#tip.state);
  }
}

/** Grows the tree with the entries that pass, and lets the last ones pass when it has the root. */
async function* grown(
  tree: StateTree,
  { height, stateRoot }: Header,
  chunks: AsyncIterable<readonly HashedEntry[]>,
): AsyncGenerator<readonly HashedEntry[]> {
  for await (const entries of chunks) {
    tree.commit(tree.fork(tree.head, entries));
    yield entries;
  }
  if (equalBytes(tree.head.root, stateRoot)) return;
  throw new NodeError('CORRUPT', 'the chunks of a snapshot do not have the root of their block', {
    data: { height, expected: toHex(stateRoot), found: toHex(tree.head.root) },
    hint: 'start again: the state is fetched anew',
  });
}

function committed(applied: ExecutedBlock, certificate: Certificate, guard: GuardMark | null): CommittedBlock {
  const { block, blockId, receipts, changes } = applied;
  return { block, blockId, certificate, receipts, changes, guard };
}
