/**
 * The signing half of a validator. A signature leaves only after the guard holds it on disk, together with the lock, the
 * valid value with its body and its polka, and the votes that justify the round: without the last two a crash at the
 * wrong moment stalls three nodes for good.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import { encodeBlock } from '../chain/block.ts';
import type { Signer } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Certificate, Proposal, Vote, VoteType } from '../chain/votes.ts';
import { proposalSignBytes, votesOfCertificate, voteSignBytes } from '../chain/votes.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Input, Resume } from '../consensus/types.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import { decodeProposalMessage, encodeProposalMessage } from '../../protocols/codec.ts';
import type { SignGuard } from '../store/guard.ts';
import type { GuardRecord } from '../store/guard-record.ts';
import { stepIndex } from '../store/guard-record.ts';
import type { GuardMark } from '../store/types.ts';

/** The machine's memory at the moment of signing. */
export interface Held {
  readonly height: number;
  readonly lockedRound: number;
  readonly lockedId: Hash | null;
  readonly validRound: number;
  readonly validId: Hash | null;
  readonly justification: readonly Vote[];
  readonly polka: Certificate | null;
  /** Of the blocks of `lockedId` and `validId`, those at hand. */
  readonly bodies: readonly HeldBody[];
}

export interface HeldBody {
  readonly blockId: Hash;
  readonly block: Block;
}

/** Where in the order of a key's signatures one stands. */
export interface Place {
  readonly height: number;
  readonly round: number;
  readonly step: 'propose' | 'prevote' | 'precommit';
}

/** Own signatures of one height kept in the guard; earlier rounds no longer matter to anyone. */
const MAX_KEPT = 32;

/** What a guard knows of a height that was not finished. */
export interface Resumption {
  readonly resume: Resume;
  /** The own compact proposal of the latest round it proposed in. */
  readonly ownProposal: ProposalMessage | null;
  /** Encoded blocks whose ids the record names. */
  readonly values: readonly Uint8Array[];
}

export class Validator {
  readonly #chain: ChainContext;
  readonly #signer: Signer;
  readonly #guard: SignGuard;
  #votes: Vote[] = [];
  #proposals: Proposal[] = [];
  #proposalBytes: Uint8Array | null = null;

  constructor(chain: ChainContext, signer: Signer, guard: SignGuard) {
    this.#chain = chain;
    this.#signer = signer;
    this.#guard = guard;
  }

  get publicKey(): Uint8Array {
    return this.#signer.publicKey;
  }

  get guardMark(): GuardMark {
    return { publicKey: this.#signer.publicKey, sequence: this.#guard.sequence };
  }

  /** Signs a status or another message that the guard need not see. */
  sign(message: Uint8Array): Uint8Array {
    return this.#signer.sign(message);
  }

  /** The guard allows signatures at this height: not below its last record, nor where it is unsure. */
  maySign(height: number): boolean {
    return height > this.#guard.signAbove;
  }

  /** The highest height at which the guard knows, or must assume, signatures of this key. */
  get knownHeight(): number {
    const { status, signAbove } = this.#guard;
    return status.kind === 'ready' ? status.record.height : signAbove;
  }

  /** Above everything that the guard knows, or must assume, to be signed: only a younger folder, or a second one, signed it. */
  isBeyond({ height, round, step }: Place): boolean {
    const { status, signAbove } = this.#guard;
    if (status.kind !== 'ready') return height > signAbove;
    const { record } = status;
    if (height !== record.height) return height > record.height;
    return round === record.round ? stepIndex(step) > stepIndex(record.step) : round > record.round;
  }

  /**
   * Begins a height: what was signed at it before a crash, if anything.
   *
   * @param heard what is known of the height already: of it, own votes and proposals that the folder forgot come first
   */
  begin(height: number, set: ValidatorSet, heard: readonly Input[]): Resumption | null {
    this.#votes = [];
    this.#proposals = [];
    this.#proposalBytes = null;
    const { status } = this.#guard;
    if (status.kind !== 'ready' || status.record.height !== height) return null;
    const { record } = status;
    this.#votes = [...record.signedVotes];
    this.#proposals = [...record.signedProposals];
    this.#proposalBytes = record.proposalMessage;
    const others = [...record.justification, ...(record.polka ? votesOfCertificate(set, record.polka) : [])];
    const ids = [record.lockedId, record.validId, this.#proposals.at(-1)?.blockId ?? null];
    return {
      resume: {
        round: record.round,
        step: record.step,
        lockedRound: record.lockedRound,
        lockedId: record.lockedId,
        validRound: record.validRound,
        validId: record.validId,
        votes: [...this.#votes, ...others, ...heard.flatMap((input) => (input.type === 'vote' ? input.vote : []))],
        proposals: this.#proposals,
      },
      ownProposal: record.proposalMessage ? decodeProposalMessage(record.proposalMessage) : null,
      values: ids.flatMap((id) => (id === null ? [] : (this.#guard.value(id) ?? []))),
    };
  }

  /** Votes and proposals signed at this height, newest last. */
  get signedVotes(): readonly Vote[] {
    return this.#votes;
  }

  /**
   * Whether the guard can keep what a signature rests on: the blocks that its record names must be there already, but for
   * one at hand. A lock learned from the own votes in a folder that forgot them names a block that peers still have.
   */
  canKeep(held: Held, own: HeldBody | null = null): boolean {
    const missing = this.#missing(held, own);
    return missing.length === 0 || (missing.length === 1 && this.#valueOf(held, own) !== null);
  }

  /** @throws NodeError WOULD_DOUBLE_SIGN | STORAGE | GUARD */
  async vote(type: VoteType, round: number, blockId: Hash | null, held: Held): Promise<Vote> {
    const core = { type, height: held.height, round, blockId };
    const signature = this.#signer.sign(voteSignBytes(this.#chain, core));
    const vote: Vote = { ...core, validator: this.publicKey, signature };
    const votes = [...this.#votes, vote].slice(-MAX_KEPT);
    await this.#save({ held, round, step: type, signedVotes: votes, signedProposals: this.#proposals });
    this.#votes = votes;
    return vote;
  }

  /** @throws NodeError WOULD_DOUBLE_SIGN | STORAGE | GUARD */
  async propose(
    unsigned: Omit<ProposalMessage, 'proposal'>,
    core: Omit<Proposal, 'proposer' | 'signature'>,
    held: Held,
    body: Block,
  ): Promise<ProposalMessage> {
    const signature = this.#signer.sign(proposalSignBytes(this.#chain, core));
    const proposal: Proposal = { ...core, proposer: this.publicKey, signature };
    const message: ProposalMessage = { ...unsigned, proposal };
    const proposals = [...this.#proposals, proposal].slice(-MAX_KEPT);
    this.#proposalBytes = encodeProposalMessage(message);
    const record = {
      held,
      round: core.round,
      step: 'propose' as const,
      signedVotes: this.#votes,
      signedProposals: proposals,
    };
    await this.#save(record, { blockId: core.blockId, block: body });
    this.#proposals = proposals;
    return message;
  }

  /** Ids of blocks that a record would name and the guard does not hold. */
  #missing({ lockedId, validId }: Held, own: HeldBody | null): Hash[] {
    const missing: Hash[] = [];
    for (const id of [lockedId, validId, own?.blockId ?? null]) {
      const isNew = id !== null && this.#guard.value(id) === undefined;
      if (isNew && !missing.some((other) => equalBytes(other, id))) missing.push(id);
    }
    return missing;
  }

  #valueOf(held: Held, own: HeldBody | null): HeldBody | null {
    const [id] = this.#missing(held, own);
    return [own, ...held.bodies].find((body) => body && id && equalBytes(body.blockId, id)) ?? null;
  }

  async #save(
    { held, ...record }: Pick<GuardRecord, 'round' | 'step' | 'signedVotes' | 'signedProposals'> & { held: Held },
    own: HeldBody | null = null,
  ): Promise<void> {
    const body = this.#valueOf(held, own);
    const value = body ? { blockId: body.blockId, bytes: encodeBlock(body.block) } : undefined;
    await this.#guard.save(
      {
        ...record,
        height: held.height,
        lockedRound: held.lockedRound,
        lockedId: held.lockedId,
        validRound: held.validRound,
        validId: held.validId,
        justification: held.justification,
        polka: held.polka,
        proposalMessage: this.#proposalBytes,
      },
      value,
    );
  }
}
