/** Records of a sign guard for tests. */
import type { Hash } from '../../../src/bytes.ts';
import type { Proposal, Vote, VoteType } from '../../../src/chain/votes.ts';
import type { SignGuard, SignGuardOptions } from '../../../src/store/guard.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import type { GuardDisk } from '../../../src/store/guard-disk.ts';
import type { GuardRecord } from '../../../src/store/guard-record.ts';
import { CHAIN_ID, certificateOf, filled, GENESIS_HASH } from './fixtures.ts';

export const PUBLIC_KEY = filled(0x77);

export function openGuard(disk: GuardDisk, options: Partial<SignGuardOptions> = {}): Promise<SignGuard> {
  return openSignGuard({
    folder: '/nowhere',
    chainId: CHAIN_ID,
    genesisHash: GENESIS_HASH,
    publicKey: PUBLIC_KEY,
    store: { sequence: 0, height: 0 },
    disk,
    ...options,
  });
}

export function vote(type: VoteType, height: number, round: number, blockId: Hash | null): Vote {
  return { type, height, round, blockId, validator: PUBLIC_KEY, signature: filled(round, 64) };
}

export function proposal(height: number, round: number, blockId: Hash, polRound = -1): Proposal {
  return { height, round, polRound, blockId, proposer: PUBLIC_KEY, signature: filled(round, 64) };
}

/** A record that signs one vote, or nothing for `propose`. */
export function record(
  height: number,
  round: number,
  step: GuardRecord['step'],
  fields: Partial<GuardRecord> = {},
): GuardRecord {
  return {
    height,
    round,
    step,
    lockedRound: -1,
    lockedId: null,
    validRound: -1,
    validId: null,
    signedVotes: step === 'propose' ? [] : [vote(step, height, round, null)],
    signedProposals: [],
    justification: [],
    polka: null,
    proposalMessage: null,
    ...fields,
  };
}

/** A record with something in every field, and the value that it names. */
export function fullRecord(height: number): { record: GuardRecord; value: { blockId: Hash; bytes: Uint8Array } } {
  const blockId = filled(height);
  return {
    value: { blockId, bytes: filled(height, 300) },
    record: record(height, 2, 'precommit', {
      lockedRound: 2,
      lockedId: blockId,
      validRound: 2,
      validId: blockId,
      signedVotes: [vote('prevote', height, 2, blockId), vote('precommit', height, 2, blockId)],
      signedProposals: [proposal(height, 2, blockId)],
      justification: [{ ...vote('prevote', height, 1, null), validator: filled(1) }],
      polka: { ...certificateOf(height, blockId), type: 'prevote' },
      proposalMessage: filled(6, 90),
    }),
  };
}
