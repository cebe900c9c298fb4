/** What a node says again while a height lasts: gossip does not retransmit. */
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Vote } from '../chain/votes.ts';
import { votesOfCertificate } from '../chain/votes.ts';
import type { MachineState } from '../consensus/machine.ts';
import { justification, polkaCertificate } from '../consensus/selectors.ts';
import { MAX_VOTES } from '../../protocols/codec.ts';

/** Own votes of this round and the one before, the votes that justify the round, and the polka of the valid value. */
export function votesToRepeat(machine: MachineState, own: readonly Vote[], set: ValidatorSet): Vote[] {
  const polka = polkaCertificate(machine);
  const votes = [
    ...own.filter((vote) => vote.round >= machine.round - 1),
    ...(polka ? votesOfCertificate(set, polka) : []),
    ...justification(machine),
  ];
  // Above it nothing would leave at all. What traitors add to the votes of a round comes last.
  return votes.slice(0, MAX_VOTES);
}
