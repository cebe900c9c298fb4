/** What a validator may sign after what it signed before: never lower, never twice differently. */
import { equalBytes } from '../bytes.ts';
import type { Proposal, Vote } from '../chain/votes.ts';
import { proposalSignBytes, voteSignBytes } from '../chain/votes.ts';
import type { ErrorCode } from '../errors.ts';
import { NodeError } from '../errors.ts';
import type { GuardIdentity, GuardRecord } from './guard-record.ts';
import { stepIndex } from './guard-record.ts';

/** One signature: where it stands in the height, and what exactly was signed. */
interface Signed {
  /** Orders (round, step); two signatures of one key at one height never share it. */
  readonly position: number;
  readonly signBytes: Uint8Array;
}

const STEPS_A_ROUND = 3;

/**
 * @param last the record that `next` follows; undefined when there is none
 * @throws NodeError WOULD_DOUBLE_SIGN when `next` goes back, or signs something else where something was signed
 * @throws NodeError INTERNAL when `next` contradicts itself
 */
export function checkSuccessor(identity: GuardIdentity, last: GuardRecord | undefined, next: GuardRecord): void {
  const signed = signedBy(identity, next);
  const position = positionOf(next);
  for (const [at] of signed) {
    if (at > position) throw refusal('INTERNAL', 'a signature lies beyond the position of its record', next);
  }
  if (last === undefined || next.height > last.height) return;
  const lastPosition = positionOf(last);
  if (next.height < last.height || position < lastPosition) {
    throw refusal('WOULD_DOUBLE_SIGN', 'a later height, round or step was signed already', next, last);
  }
  const before = signedBy(identity, last);
  for (const [at, signBytes] of signed) {
    const known = before.get(at);
    if (known ? !equalBytes(known, signBytes) : at < lastPosition) {
      throw refusal('WOULD_DOUBLE_SIGN', 'something else was signed at this height, round and step', next, last);
    }
  }
  if (position === lastPosition && before.has(position) && !signed.has(position)) {
    throw refusal('INTERNAL', 'the record forgets the newest signature', next, last);
  }
}

function positionOf(at: { readonly round: number; readonly step: GuardRecord['step'] }): number {
  return at.round * STEPS_A_ROUND + stepIndex(at.step);
}

/** Sign bytes by position. @throws NodeError INTERNAL */
function signedBy(identity: GuardIdentity, record: GuardRecord): Map<number, Uint8Array> {
  const map = new Map<number, Uint8Array>();
  const all = [
    ...record.signedVotes.map((vote) => signedVote(identity, vote)),
    ...record.signedProposals.map((proposal) => signedProposal(identity, proposal)),
  ];
  const own =
    record.signedVotes.every((vote) => equalBytes(vote.validator, identity.publicKey)) &&
    record.signedProposals.every((proposal) => equalBytes(proposal.proposer, identity.publicKey));
  const here = [...record.signedVotes, ...record.signedProposals].every(({ height }) => height === record.height);
  if (!own || !here) throw refusal('INTERNAL', 'a signature of another key or height', record);
  for (const { position, signBytes } of all) {
    const known = map.get(position);
    if (known && !equalBytes(known, signBytes)) {
      throw refusal('WOULD_DOUBLE_SIGN', 'two different things at one height, round and step', record);
    }
    map.set(position, signBytes);
  }
  return map;
}

function signedVote(identity: GuardIdentity, vote: Vote): Signed {
  return { position: positionOf({ round: vote.round, step: vote.type }), signBytes: voteSignBytes(identity, vote) };
}

function signedProposal(identity: GuardIdentity, proposal: Proposal): Signed {
  return {
    position: positionOf({ round: proposal.round, step: 'propose' }),
    signBytes: proposalSignBytes(identity, proposal),
  };
}

function refusal(code: ErrorCode, reason: string, next: GuardRecord, last?: GuardRecord): NodeError {
  const { height, round, step } = next;
  return new NodeError(code, `refused to sign at height ${height}, round ${round}, ${step}: ${reason}`, {
    data: { height, round, step, lastHeight: last?.height, lastRound: last?.round, lastStep: last?.step },
    hint: 'this is a fault of the program or of a restored data folder: keep the folder and report it',
  });
}
