/**
 * Whether proposed blocks are valid. Bodies are completed and their signatures checked beside the engine's loop; a block is
 * executed when its turn in the loop comes.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, equalBytes, toHex } from '../bytes.ts';
import type { Input } from '../consensus/types.ts';
import { toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TxAdmission } from './admission.ts';
import type { Bodies } from './bodies.ts';
import type { Ledger } from './ledger.ts';
import { isOwnFailure } from './own-failure.ts';
import type { EngineEvent } from './modules.ts';
import type { HeardProposal, Proposals } from './proposals.ts';
import { bodyOf } from './proposals.ts';
import type { Way } from './right-of-way.ts';
import type { SigningGate } from './signing-gate.ts';
import type { Timers } from './timers.ts';

/** A check that could not be made, e.g. because too many wait, is tried again. */
const RETRY_MS = 100;

type Prepared = EngineEvent & { readonly type: 'prepared' };

export interface JudgingModules {
  readonly ledger: Ledger;
  readonly admission: TxAdmission;
  readonly bodies: Bodies;
  readonly gate: SigningGate;
  readonly log: Logger;
  readonly proposals: Proposals;
  readonly timers: Timers;
  readonly way: Way;
  /** Values that must not be dropped for newer ones. */
  readonly isHeld: (blockId: Hash) => boolean;
  /** Of the machine. */
  readonly height: () => number;
  /** Asks one peer for votes and proposals of the height in work. */
  readonly pull: () => void;
  /** For the queue: a block whose body is whole and whose signatures are checked. */
  readonly onPrepared: (prepared: Prepared) => void;
  /** To be asked once more. */
  readonly onRetry: (height: number, blockId: Hash) => void;
}

export class Judging {
  readonly #modules: JudgingModules;
  /** Block ids of this height found invalid; bounded like the bodies they came from. */
  readonly #refuted = new Set<string>();

  constructor(modules: JudgingModules) {
    this.#modules = modules;
  }

  /** A new height begins. */
  clear(): void {
    this.#refuted.clear();
  }

  keepBody(heard: HeardProposal): void {
    this.#modules.bodies.add(bodyOf(heard), this.#modules.isHeld);
  }

  /** @returns the verdict if it is known already; else the block is prepared, or fetched */
  ask(blockId: Hash): Input | undefined {
    const { ledger, bodies, log, proposals, timers } = this.#modules;
    const heard = proposals.find(blockId);
    // It may have made room for newer ones since.
    if (heard) this.keepBody(heard);
    const timely = bodies.get(blockId)?.timely ?? false;
    if (ledger.candidate(blockId)) return { type: 'validated', blockId, valid: true, timely };
    if (!bodies.get(blockId)) {
      proposals.want(blockId);
      this.#modules.pull();
      return undefined;
    }
    const height = this.#modules.height();
    bodies.prepare(blockId).then(
      (block) => {
        if (block !== undefined) this.#modules.onPrepared({ type: 'prepared', height, blockId, block, timely });
      },
      (error: unknown) => {
        log.warn('could not check a proposal, trying again', { error: toNodeError(error), height });
        timers.after(RETRY_MS, () => {
          this.#modules.onRetry(height, blockId);
        });
      },
    );
    return undefined;
  }

  /** Executes a block of this height. @throws NodeError what is not the block's fault */
  async execute({ height, blockId, block, timely }: Prepared): Promise<Input> {
    const { ledger, admission, way, log } = this.#modules;
    let valid = false;
    try {
      if (block) valid = equalBytes((await ledger.execute(block, admission.verified, way)).blockId, blockId);
    } catch (error) {
      if (isOwnFailure(error) || toNodeError(error).code === 'INTERNAL') throw error;
      log.warn('proposed block is invalid', { error, height, blockId: toHex(blockId) });
    }
    if (!valid) this.#refuted.add(bytesKey(blockId));
    return { type: 'validated', blockId, valid, timely };
  }

  /** A quorum made a block final whose body is not known to be valid here: it is fetched, unless it was refuted. */
  decided(blockId: Hash): void {
    const { gate, log, pull, height } = this.#modules;
    if (!this.#refuted.has(bytesKey(blockId))) {
      pull();
      return;
    }
    // One of the two is wrong, and signing on would take sides.
    const context = { height: height(), blockId: toHex(blockId) };
    log.error('a quorum decided for a block that is invalid here', context);
    gate.set('disagreement', `a quorum decided for a block at height ${context.height} that this node finds invalid`);
  }
}
