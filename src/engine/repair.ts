/** What a node says again while a height lasts: gossip does not retransmit. */
import { equalBytes } from '../bytes.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Vote } from '../chain/votes.ts';
import { votesOfCertificate } from '../chain/votes.ts';
import type { MachineState } from '../consensus/machine.ts';
import { justification, polkaCertificate } from '../consensus/selectors.ts';
import { MAX_VOTES } from '../../protocols/codec.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { ChainNetwork } from '../../protocols/network.ts';
import type { Validator } from './validator.ts';

/** Own votes of this round and the one before, the votes that justify the round, and the polka of the valid value. */
function votesToRepeat(machine: MachineState, own: readonly Vote[], set: ValidatorSet): Vote[] {
  const polka = polkaCertificate(machine);
  const votes = [
    ...own.filter((vote) => vote.round >= machine.round - 1),
    ...(polka ? votesOfCertificate(set, polka) : []),
    ...justification(machine),
  ];
  // Above it nothing would leave at all. What traitors add to the votes of a round comes last.
  return votes.slice(0, MAX_VOTES);
}

/** What this node knows of a round, to be said another time. `attempt`: see `ProposalMessage`. */
export interface Said {
  readonly own: ProposalMessage | undefined;
  readonly validator: Validator | null;
  readonly set: ValidatorSet;
  readonly attempt: number;
}

export function sayAgain(network: ChainNetwork, machine: MachineState, { own, validator, set, attempt }: Said): void {
  const votes = votesToRepeat(machine, validator?.signedVotes ?? [], set);
  if (votes.length > 0) network.publish('vote', { attempt, votes });
  if (own && validator && equalBytes(own.proposal.proposer, validator.publicKey)) {
    network.publish('proposal', { ...own, attempt });
  }
}
