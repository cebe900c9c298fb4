/** The effects that make something and sign it: building a block, proposing, voting. */
import type { Hash } from '../bytes.ts';
import { earliestTimeMs } from '../chain/execute.ts';
import type { Vote } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import type { MachineState } from '../consensus/machine.ts';
import { justification, polkaCertificate } from '../consensus/selectors.ts';
import type { Effect } from '../consensus/types.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Mempool } from '../mempool.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { TxAdmission } from './admission.ts';
import type { Bodies } from './bodies.ts';
import { wholeBody } from './bodies.ts';
import type { EvidencePool } from './evidence-pool.ts';
import type { Ledger } from './ledger.ts';
import type { Pacer } from './pacer.ts';
import type { Way } from './right-of-way.ts';
import type { SigningGate } from './signing-gate.ts';
import type { Held, HeldBody, Validator } from './validator.ts';

export interface SigningModules {
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly bodies: Bodies;
  readonly evidence: EvidencePool;
  readonly gate: SigningGate;
  readonly pacer: Pacer;
  readonly validator: Validator | null;
  readonly clock: Clock;
  readonly way: Way;
  readonly log: Logger;
  /** Values that must not be dropped for newer ones. */
  readonly isHeld: (blockId: Hash) => boolean;
}

export class SigningEffects {
  readonly #modules: SigningModules;

  constructor(modules: SigningModules) {
    this.#modules = modules;
  }

  /** A fresh block for the next height, executed and kept; undefined when there is no reason for one. */
  async build(round: number): Promise<Hash | undefined> {
    const { ledger, pool, admission, bodies, evidence, clock, way, validator, pacer, log } = this.#modules;
    if (!validator) return undefined;
    const { tip, rules, store } = ledger;
    const timeMs = Math.max(clock.now(), earliestTimeMs(rules, tip));
    const atMs = clock.monotonic();
    const { maxBlockTxs, maxBlockBytes } = rules.params;
    // Others would have to ask for what still waits here for company, before and after.
    admission.flush();
    await admission.settle();
    admission.flush();
    const proposal = {
      timeMs,
      proposer: validator.publicKey,
      lastCommit: store.head()?.certificate ?? null,
      evidence: evidence.pending(),
      txs: pool.select(admission.view(), Math.min(maxBlockTxs, admission.capacity.blockTxs), maxBlockBytes),
    };
    way.begin(proposal.txs.length);
    const { block, blockId } = await ledger.build(proposal, way);
    if (block.txs.length === 0 && block.evidence.length === 0 && !pacer.isDue(timeMs)) {
      way.end();
      log.debug('nothing to propose', { height: block.header.height, round });
      return undefined;
    }
    admission.capacity.onBegun(atMs);
    bodies.add(wholeBody(blockId, block), this.#modules.isHeld);
    return blockId;
  }

  /** @returns the signed message to publish; undefined when the guard refused or the body is gone */
  async propose(machine: MachineState, effect: Effect & { type: 'propose' }): Promise<ProposalMessage | undefined> {
    const { ledger, validator } = this.#modules;
    const block = ledger.candidate(effect.blockId)?.block;
    if (!validator || !block) return undefined;
    const { header, lastCommit, evidence, txs } = block;
    const { round, polRound, blockId } = effect;
    const polka = polRound >= 0 ? polkaCertificate(machine) : null;
    const unsigned = { attempt: 0, header, lastCommit, evidence, txIds: txs.map((tx) => tx.id), polka };
    const core = { height: header.height, round, polRound, blockId };
    const held = this.#held(machine);
    if (!this.#maySign(validator, held, { blockId, block })) return undefined;
    return this.#guarded(machine, () => validator.propose(unsigned, core, held, block));
  }

  /** @returns the signed vote to publish; undefined when the guard refused */
  async vote(machine: MachineState, effect: Effect & { type: 'vote' }): Promise<Vote | undefined> {
    const { validator } = this.#modules;
    if (!validator) return undefined;
    const { voteType, round, blockId } = effect;
    const held = this.#held(machine);
    if (!this.#maySign(validator, held)) return undefined;
    return this.#guarded(machine, () => validator.vote(voteType, round, blockId, held));
  }

  /** Asked for every signature: the gate may have closed since the height began. */
  #maySign(validator: Validator, held: Held, own: HeldBody | null = null): boolean {
    const { gate, log } = this.#modules;
    if (!gate.mayBeAt(held.height)) return false;
    const can = validator.canKeep(held, own);
    if (!can) log.warn('not signing before the block of an own earlier vote is here', { height: held.height });
    return can;
  }

  /** A refusal of the guard ends signing at this height; a failing disk ends all of it. */
  async #guarded<T>(machine: MachineState, sign: () => Promise<T>): Promise<T | undefined> {
    const { gate, log } = this.#modules;
    try {
      return await sign();
    } catch (error) {
      if (!isNodeError(error) || (error.code !== 'WOULD_DOUBLE_SIGN' && error.code !== 'GUARD')) throw error;
      log.error('the sign guard refused a signature', { error, height: machine.height });
      gate.floorHeight = Math.max(gate.floorHeight, machine.height);
      return undefined;
    }
  }

  #held(machine: MachineState): Held {
    const { height, lockedRound, lockedId, validRound, validId } = machine;
    const bodies = [lockedId, validId].flatMap((blockId) => {
      const block = blockId && this.#modules.ledger.candidate(blockId)?.block;
      return block ? { blockId, block } : [];
    });
    const [rounds, polka] = [justification(machine), polkaCertificate(machine)];
    return { height, lockedRound, lockedId, validRound, validId, justification: rounds, polka, bodies };
  }
}
