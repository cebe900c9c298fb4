/** What a node says again while a height lasts: gossip does not retransmit. */
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Vote } from '../chain/votes.ts';
import { votesOfCertificate } from '../chain/votes.ts';
import type { MachineState } from '../consensus/machine.ts';
import { justification, polkaCertificate } from '../consensus/selectors.ts';

/** Own votes of this round and the one before, the votes that justify the round, and the polka of the valid value. */
export function votesToRepeat(machine: MachineState, own: readonly Vote[], set: ValidatorSet): Vote[] {
  const polka = polkaCertificate(machine);
  return [
    ...own.filter((vote) => vote.round >= machine.round - 1),
    ...justification(machine),
    ...(polka ? votesOfCertificate(set, polka) : []),
  ];
}
