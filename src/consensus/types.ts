/**
 * The closed unions of the agreement machine. It is Tendermint (arXiv 1807.04938, Algorithm 1), one instance a height,
 * without I/O: signatures were verified before a message comes in, and the engine carries out the effects in order.
 */
import type { Hash, PublicKey } from '../bytes.ts';
import type { Evidence } from '../chain/evidence.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Certificate, Proposal, Vote, VoteType } from '../chain/votes.ts';

/** `idle`: round 0 not entered, no reason for a block yet (block on demand). */
export type Step = 'idle' | 'propose' | 'prevote' | 'precommit' | 'committed';

export type TimeoutKind = 'propose' | 'prevote' | 'precommit';

/** Durations are node-local: they may differ between nodes and cannot fork. Round r waits base + delta · r, capped. */
export interface Timeouts {
  readonly proposeMs: number;
  readonly proposeDeltaMs: number;
  readonly voteMs: number;
  readonly voteDeltaMs: number;
  readonly capMs: number;
}

/**
 * What survives a crash: the guard's last record, see src/store/guard.ts. The machine re-enters `round`, in the step that
 * the own signatures of that round prove: `step` may be one further where the crash came between two signatures.
 */
export interface Resume {
  readonly round: number;
  readonly step: 'propose' | 'prevote' | 'precommit';
  readonly lockedRound: number;
  readonly lockedId: Hash | null;
  readonly validRound: number;
  readonly validId: Hash | null;
  /** Everything this node signed at this height, and the votes that justified entering `round` and holding `validId`. */
  readonly votes: readonly Vote[];
  readonly proposals: readonly Proposal[];
}

export interface HeightStart {
  readonly height: number;
  readonly validators: ValidatorSet;
  /** This node's key; null, or a key outside the set, follows without signing. */
  readonly self: PublicKey | null;
  readonly timeouts: Timeouts;
  readonly resume: Resume | null;
}

/**
 * All signatures were verified, and every height equals the machine's: the engine drops or defers the rest.
 *
 * - work: there is a reason for a block, and the least interval since the parent has passed
 * - proposal: the signed core arrived; the body may still be on its way. Feed it before the polka that came with it
 * - validated: the answer to `validate`: the engine holds the body of `blockId` and executed it; `timely` matters for a
 *   fresh proposal only. The first answer for a block id stands; one that was not asked for is ignored
 * - built: the engine's answer to the effect `build`; without anything to propose it may stay out
 * - vote: from the network. One of this node's own key tells of signatures that its folder forgot
 * - certificate: a verified quorum, of prevotes (a polka that came with a proposal, or that a peer repeats) or of
 *   precommits. Where a signer equivocates it moves the machine when its votes one by one might not
 * - self-vote, self-proposal: signed, guarded on disk and about to be published
 * - timeout: a timer that the machine asked for; any other is ignored
 */
export type Input =
  | { readonly type: 'work' }
  | { readonly type: 'proposal'; readonly proposal: Proposal }
  | { readonly type: 'validated'; readonly blockId: Hash; readonly valid: boolean; readonly timely: boolean }
  | { readonly type: 'built'; readonly round: number; readonly blockId: Hash }
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'certificate'; readonly certificate: Certificate }
  | { readonly type: 'self-vote'; readonly vote: Vote }
  | { readonly type: 'self-proposal'; readonly proposal: Proposal }
  | { readonly type: 'timeout'; readonly kind: TimeoutKind; readonly round: number };

/**
 * To be carried out in order.
 *
 * - build: make a fresh value for this round, answer with `built`; asked once a round
 * - propose / vote: sign, write the guard with `MachineState`'s lock and valid value, sync, publish, feed back as self-*
 * - validate: get the body of `blockId`, execute it, answer with `validated`; asked once a block id, so the engine goes on
 *   trying. `proposal` is null when only votes told of it
 * - timer: one timer a (kind, round), to answer with `timeout`
 * - commit: a quorum of precommits in `round`, the body is held and valid; the machine is finished
 * - await-body: a quorum decided `blockId` but its body is not here or not executed: fetch it from anyone. After an
 *   answer of invalid it means that this node and the quorum disagree: it must stop signing
 */
export type Effect =
  | { readonly type: 'build'; readonly round: number }
  | { readonly type: 'propose'; readonly round: number; readonly polRound: number; readonly blockId: Hash }
  | { readonly type: 'vote'; readonly voteType: VoteType; readonly round: number; readonly blockId: Hash | null }
  | { readonly type: 'validate'; readonly blockId: Hash; readonly proposal: Proposal | null }
  | { readonly type: 'timer'; readonly kind: TimeoutKind; readonly round: number; readonly ms: number }
  | { readonly type: 'new-round'; readonly round: number; readonly proposer: PublicKey }
  | { readonly type: 'await-body'; readonly blockId: Hash }
  | { readonly type: 'commit'; readonly blockId: Hash; readonly certificate: Certificate }
  | { readonly type: 'evidence'; readonly evidence: Evidence };
