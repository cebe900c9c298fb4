/**
 * Proved blocks in a row, executed before any of them is written. Roots of receipts are compared block by block. The tree
 * takes what many blocks changed at once, and its root is compared with the header of the last of them: a leaf that ten
 * blocks change is hashed once, and so is what lies above it. A root that differs is looked for block by block.
 */
import { equalBytes } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { ChainRules, ExecutedBlock, Parent, Tip, VerifiedTransactions } from '../chain/execute.ts';
import { applyBlock, executeSteps, forkTree, verifyPlace } from '../chain/execute.ts';
import type { LinkedBlock } from '../chain/linked-range.ts';
import type { StateChanges, StateKey, StateReader } from '../chain/state.ts';
import type { TreeVersion } from '../chain/tree.ts';
import type { Certificate } from '../chain/votes.ts';
import { delay } from '../clock.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { isOwnFailure } from './own-failure.ts';
import type { Way } from './right-of-way.ts';
import { inTurns } from './turns.ts';

/** Blocks executed without a pause hold so many transactions, which is some milliseconds of work. */
const TXS_BETWEEN_PAUSES = 128;

/** The tree takes changes when so many came together, which is some milliseconds of work too. */
export const CHANGES_A_ROOT = 1024;

export interface CertifiedExecution {
  readonly executed: ExecutedBlock;
  readonly certificate: Certificate;
}

export class RangeExecution {
  readonly #rules: ChainRules;
  readonly #from: Tip;
  readonly #verified: VerifiedTransactions;
  readonly #way: Way | undefined;
  readonly #state: RangeState;
  readonly #done: CertifiedExecution[] = [];
  /** After the blocks of which the root was compared. */
  #version: TreeVersion;
  #parent: Parent;
  #sincePause = 0;

  /** @param way lets others have a turn now and then; nothing may move the tip meanwhile */
  constructor(rules: ChainRules, from: Tip, verified: VerifiedTransactions, way: Way | undefined) {
    this.#rules = rules;
    this.#from = from;
    this.#verified = verified;
    this.#way = way;
    this.#state = new RangeState(from.state);
    this.#version = from.version;
    this.#parent = from;
  }

  /** What the next block follows. */
  get parent(): Parent {
    return this.#parent;
  }

  get done(): readonly CertifiedExecution[] {
    return this.#done;
  }

  /**
   * @returns UPGRADE_NEEDED when this program does not know what the next block holds, or null
   * @throws NodeError CORRUPT when a block is invalid here
   */
  async run(segment: readonly LinkedBlock[]): Promise<NodeError | null> {
    for (const { block, blockId, certificate } of segment) {
      try {
        verifyPlace(this.#rules, this.#parent, block);
        const steps = executeSteps(this.#rules, this.#parent, block, blockId, this.#verified);
        this.#add({ executed: await inTurns(steps, this.#way), certificate });
      } catch (error) {
        if (isOwnFailure(error)) throw error;
        if (toNodeError(error).code === 'UPGRADE_NEEDED') return toNodeError(error);
        throw disagreement(block, error);
      }
      if (this.#state.uncompared >= CHANGES_A_ROOT) this.#compare();
      await this.#pause(block);
    }
    return null;
  }

  /** @returns the state after all blocks, to commit on the tip's tree. @throws NodeError CORRUPT when a root differs */
  finish(): TreeVersion {
    // A version of its own even where nothing changed: what is committed builds on the head.
    if (this.#state.uncompared > 0 || this.#version === this.#from.version) this.#compare();
    return this.#version;
  }

  /** Nothing of it is going to be committed. Safe at any time before. */
  release(): void {
    if (this.#version !== this.#from.version) this.#from.tree.release(this.#version);
    this.#version = this.#from.version;
  }

  #add(execution: CertifiedExecution): void {
    const { block, blockId, changes } = execution.executed;
    const { height, timeMs } = block.header;
    this.#state.add(changes);
    this.#parent = { height, blockId, timeMs, state: this.#state };
    this.#done.push(execution);
  }

  #compare(): void {
    const last = this.#done.at(-1);
    if (!last) return;
    const version = forkTree(this.#rules.crypto, this.#from.tree, this.#version, this.#state.takeUncompared());
    this.release();
    this.#version = version;
    if (!equalBytes(version.root, last.executed.block.header.stateRoot)) throw this.#firstDisagreement();
  }

  async #pause({ txs }: Block): Promise<void> {
    this.#sincePause += 1 + txs.length;
    if (this.#sincePause < TXS_BETWEEN_PAUSES) return;
    this.#sincePause = 0;
    if (this.#way) await delay(this.#way.clock, 0);
  }

  /** Does everything again with a root for each block: it is the last that this node does on this chain. */
  #firstDisagreement(): NodeError {
    const { tree } = this.#from;
    const state = new RangeState(this.#from.state);
    let tip = this.#from;
    let named: NodeError | null = null;
    for (const { executed } of this.#done) {
      const { block } = executed;
      try {
        const { blockId, changes, version } = applyBlock(this.#rules, tip, block, this.#verified);
        state.add(changes);
        if (tip !== this.#from) tree.release(tip.version);
        const { height, timeMs } = block.header;
        tip = { height, blockId, timeMs, state, tree, version };
      } catch (error) {
        named = isOwnFailure(error) ? toNodeError(error) : disagreement(block, error);
        break;
      }
    }
    if (tip !== this.#from) tree.release(tip.version);
    return named ?? new NodeError('INTERNAL', 'blocks lead to one state together and to another one by one');
  }
}

/** A quorum signed what this node finds invalid: one of the two is wrong, and going on would take sides. */
function disagreement({ header }: Block, cause: unknown): NodeError {
  return new NodeError('CORRUPT', 'a block that a quorum made final is invalid here', {
    data: { height: header.height, reason: toNodeError(cause).message },
    hint:
      'this node holds another state, or its program has other rules, than the validators: compare versions, check the ' +
      'folder with `aitbc chain verify`, or move it away and sync anew',
    cause,
  });
}

/** The state while blocks are executed: the stored one, with what the blocks so far changed. */
class RangeState implements StateReader {
  readonly #base: StateReader;
  readonly #changes = new Map<StateKey, Uint8Array | undefined>();
  /** What the tree has not taken. */
  #uncompared = new Map<StateKey, Uint8Array | undefined>();

  constructor(base: StateReader) {
    this.#base = base;
  }

  get(key: StateKey): Uint8Array | undefined {
    const value = this.#changes.get(key);
    return value !== undefined || this.#changes.has(key) ? value : this.#base.get(key);
  }

  get uncompared(): number {
    return this.#uncompared.size;
  }

  takeUncompared(): StateChanges {
    const taken = this.#uncompared;
    this.#uncompared = new Map();
    return taken;
  }

  add(changes: StateChanges): void {
    changes.forEach((value, key) => {
      this.#changes.set(key, value);
      this.#uncompared.set(key, value);
    });
  }
}
