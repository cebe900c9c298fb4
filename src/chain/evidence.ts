/** Proof that a validator signed two different things where the rules allow one. */
import type { Hash, PublicKey } from '../bytes.ts';
import { compareBytes, equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher, SignatureCheck } from './crypto/types.ts';
import { listRoot } from './list-root.ts';
import type { ChainContext } from './signing.ts';
import type { Proposal, Vote } from './votes.ts';
import {
  compareVotes,
  MIN_VOTE_BYTES,
  proposalCheck,
  readProposal,
  readVote,
  sameBlockId,
  voteCheck,
  writeProposal,
  writeVote,
} from './votes.ts';

/** Cap a block. */
export const MAX_EVIDENCE = 16;
export const MIN_EVIDENCE_BYTES = 1 + 2 * MIN_VOTE_BYTES;

/** `a` sorts before `b` by encoding, so that one offence has one encoding. */
export type Evidence =
  | { readonly kind: 'duplicate-vote'; readonly a: Vote; readonly b: Vote }
  | { readonly kind: 'duplicate-proposal'; readonly a: Proposal; readonly b: Proposal };

export function duplicateVote(x: Vote, y: Vote): Evidence {
  return compareVotes(x, y) < 0 ? { kind: 'duplicate-vote', a: x, b: y } : { kind: 'duplicate-vote', a: y, b: x };
}

export function duplicateProposal(x: Proposal, y: Proposal): Evidence {
  return compareProposals(x, y) < 0
    ? { kind: 'duplicate-proposal', a: x, b: y }
    : { kind: 'duplicate-proposal', a: y, b: x };
}

export function evidenceOffender(evidence: Evidence): PublicKey {
  return evidence.kind === 'duplicate-vote' ? evidence.a.validator : evidence.a.proposer;
}

export function evidenceHeight(evidence: Evidence): number {
  return evidence.a.height;
}

/**
 * The two really contradict each other; signatures are checked by `evidenceChecks`, membership by the validators module.
 *
 * @throws NodeError BAD_BLOCK
 */
export function checkEvidence(evidence: Evidence): void {
  const { kind, a, b } = evidence;
  const sameSlot = a.height === b.height && a.round === b.round;
  const contradiction =
    kind === 'duplicate-vote'
      ? evidence.a.type === evidence.b.type &&
        equalBytes(evidence.a.validator, evidence.b.validator) &&
        !sameBlockId(evidence.a.blockId, evidence.b.blockId) &&
        compareVotes(evidence.a, evidence.b) < 0
      : equalBytes(evidence.a.proposer, evidence.b.proposer) &&
        !equalBytes(evidence.a.blockId, evidence.b.blockId) &&
        compareProposals(evidence.a, evidence.b) < 0;
  if (!sameSlot || !contradiction) {
    throw new NodeError('BAD_BLOCK', 'evidence does not show a contradiction', { data: { kind, height: a.height } });
  }
}

export function evidenceChecks(chain: ChainContext, evidence: Evidence): SignatureCheck[] {
  return evidence.kind === 'duplicate-vote'
    ? [voteCheck(chain, evidence.a), voteCheck(chain, evidence.b)]
    : [proposalCheck(chain, evidence.a), proposalCheck(chain, evidence.b)];
}

export function writeEvidence(writer: Writer, evidence: Evidence): void {
  if (evidence.kind === 'duplicate-vote') {
    writer.u8(1);
    writeVote(writer, evidence.a);
    writeVote(writer, evidence.b);
  } else {
    writer.u8(2);
    writeProposal(writer, evidence.a);
    writeProposal(writer, evidence.b);
  }
}

export function readEvidence(reader: Reader): Evidence {
  const kind = reader.u8();
  if (kind === 1) return { kind: 'duplicate-vote', a: readVote(reader), b: readVote(reader) };
  if (kind === 2) return { kind: 'duplicate-proposal', a: readProposal(reader), b: readProposal(reader) };
  throw reader.reject('non-canonical');
}

export function encodeEvidence(evidence: Evidence): Uint8Array {
  const writer = new Writer(320);
  writeEvidence(writer, evidence);
  return writer.finish();
}

export function decodeEvidence(bytes: Uint8Array): Evidence {
  const reader = new Reader(bytes, 'evidence');
  const evidence = readEvidence(reader);
  reader.end();
  return evidence;
}

export function evidenceRoot(hasher: Hasher, evidence: readonly Evidence[]): Hash {
  return listRoot(
    hasher,
    evidence.map((item) => hasher.hash(encodeEvidence(item))),
  );
}

function compareProposals(a: Proposal, b: Proposal): number {
  const encode = (proposal: Proposal): Uint8Array => {
    const writer = new Writer(160);
    writeProposal(writer, proposal);
    return writer.finish();
  };
  return compareBytes(encode(a), encode(b));
}
