/**
 * The proposals heard at the height in work. One a round counts: a second one only proves its proposer's fault, unless
 * votes name its block. So whatever one proposer signs, it takes no more room than its turns.
 */
import type { Hash, PublicKey } from '../bytes.ts';
import { bytesKey, equalBytes } from '../bytes.ts';
import type { Input } from '../consensus/types.ts';
import { PAST_ROUNDS } from '../consensus/votes.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { PeerId } from '../../protocols/network.ts';
import type { Body } from './bodies.ts';

/** A verified proposal. */
export interface HeardProposal {
  readonly message: ProposalMessage;
  /** Null: made here. */
  readonly from: PeerId | null;
  /** The header's time was within the window when it arrived. */
  readonly timely: boolean;
}

/** What the machine is told of it, in this order: the polka's round is kept for the proposal's sake. */
export function inputsOf(message: ProposalMessage | undefined): Input[] {
  if (!message) return [];
  const { proposal, polka } = message;
  return [{ type: 'proposal', proposal }, ...(polka ? [{ type: 'certificate' as const, certificate: polka }] : [])];
}

/** What this key signed comes before all that could make it sign again: a restored folder does not know it. */
export function ownFirst(inputs: readonly Input[], key: PublicKey | null): Input[] {
  const isOwn = (input: Input): boolean => {
    if (key === null) return false;
    if (input.type === 'vote') return equalBytes(input.vote.validator, key);
    return input.type === 'proposal' && equalBytes(input.proposal.proposer, key);
  };
  return [...inputs.filter(isOwn), ...inputs.filter((input) => !isOwn(input))];
}

/** What it says of the block, the transactions still to be found. */
export function bodyOf({ message, from, timely }: HeardProposal): Body {
  const { proposal, header, lastCommit, evidence, txIds } = message;
  const txs = txIds.map(() => undefined);
  return { blockId: proposal.blockId, head: { header, lastCommit, evidence, txIds }, from, timely, txs };
}

export class Proposals {
  readonly #byRound = new Map<number, HeardProposal>();
  /** Besides those: proposals of blocks that votes named. */
  readonly #named = new Map<string, HeardProposal>();
  /** Rounds in which two were heard. */
  readonly #doubled = new Set<number>();
  /** Block ids that votes named and no proposal did. */
  readonly #wanted = new Set<string>();

  get size(): number {
    return this.#byRound.size + this.#named.size;
  }

  /** The first of a round. */
  at(round: number): HeardProposal | undefined {
    return this.#byRound.get(round);
  }

  find(blockId: Hash): HeardProposal | undefined {
    for (const heard of this.#byRound.values()) {
      if (equalBytes(heard.message.proposal.blockId, blockId)) return heard;
    }
    return this.#named.get(bytesKey(blockId));
  }

  /** Ascending by round. */
  all(): ProposalMessage[] {
    const all = [...this.#byRound.values(), ...this.#named.values()].map(({ message }) => message);
    return all.sort((a, b) => a.proposal.round - b.proposal.round);
  }

  want(blockId: Hash): void {
    this.#wanted.add(bytesKey(blockId));
  }

  wants(blockId: Hash): boolean {
    return this.#wanted.has(bytesKey(blockId));
  }

  /** Its signature was seen already. */
  isKnown({ proposal }: ProposalMessage): boolean {
    const known = [this.#byRound.get(proposal.round), this.#named.get(bytesKey(proposal.blockId))];
    return known.some((heard) => heard && equalBytes(heard.message.proposal.signature, proposal.signature));
  }

  /** Nothing can follow from another proposal of this round. */
  isSpent({ proposal }: ProposalMessage): boolean {
    return this.#doubled.has(proposal.round) && !this.wants(proposal.blockId);
  }

  /** @returns whether its block is to be kept */
  add(heard: HeardProposal): boolean {
    const { round, blockId } = heard.message.proposal;
    const isWanted = this.#wanted.delete(bytesKey(blockId));
    const first = this.#byRound.get(round);
    if (first === undefined) this.#byRound.set(round, heard);
    else if (equalBytes(first.message.proposal.blockId, blockId)) return isWanted;
    else this.#doubled.add(round);
    if (first !== undefined && isWanted) this.#named.set(bytesKey(blockId), heard);
    return first === undefined || isWanted;
  }

  /** Forgets rounds that agreement has left behind. */
  prune(round: number, isHeld: (blockId: Hash) => boolean): void {
    for (const [at, { message }] of this.#byRound) {
      if (at < round - PAST_ROUNDS && !isHeld(message.proposal.blockId)) this.#byRound.delete(at);
    }
    for (const at of this.#doubled) if (at < round - PAST_ROUNDS) this.#doubled.delete(at);
  }

  clear(): void {
    for (const part of [this.#byRound, this.#named, this.#doubled, this.#wanted]) part.clear();
  }
}
