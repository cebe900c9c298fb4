/**
 * What peers say about agreement: checked cheap to dear, signatures verified in batches, then fed to the engine. Messages
 * of the next height wait for it here, because gossip does not repeat them. The codes become verdicts by one table.
 */
import type { Hash, PublicKey } from '../bytes.ts';
import { bytesKey, equalBytes, keyBytes } from '../bytes.ts';
import { blockId, lastCommitHash } from '../chain/block.ts';
import type { BatchVerifier, SignatureCheck } from '../chain/crypto/types.ts';
import { evidenceRoot } from '../chain/evidence.ts';
import { listRoot } from '../chain/list-root.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { findValidator, proposerOf } from '../chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../chain/votes.ts';
import { certificateChecks, checkCertificatePower, encodeVote, proposalCheck, voteCheck } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import type { Input } from '../consensus/types.ts';
import { PAST_ROUNDS } from '../consensus/votes.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ProposalMessage, VoteBatch, VotesRequest, VotesResponse } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import { TokenBucket } from '../../protocols/quotas.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { Engine } from './engine.ts';
import type { Ledger } from './ledger.ts';
import type { Place } from './validator.ts';

/** Votes of the next height that may wait, of one validator. */
export const MAX_EARLY_VOTES = 16;
/** Proposals of the next height that may wait, one a proposer and round, the lowest rounds. */
export const MAX_EARLY_PROPOSALS = 4;
/** Rounds ahead of ours for which a proposal is looked at; the proposer of a far round is dear to find. */
export const MAX_ROUNDS_AHEAD = 16;
/** Votes of one validator that are taken. It signs two a round, and repetitions do not count. */
export const VOTE_QUOTA = { capacity: 512, refillPerSecond: 256 };
/** Signatures of a message verified first: who sends forgeries shall not have hundreds of them verified. */
export const PROBE = 4;
/** Questions to peers under way, so that silent ones do not hold up the others. */
export const MAX_PULLS = 4;
/** Votes in one answer to a peer. */
const MAX_VOTES_ANSWER = 512;
const MAX_PROPOSALS_ANSWER = 4;
/** Remembered encodings of votes seen good, so that a repetition costs no signature check. */
const MAX_SEEN = 8192;

export interface IntakeModules {
  readonly ledger: Ledger;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly log: Logger;
  readonly engine: () => Engine;
  /** A peer speaks of heights beyond the next: it, or who it repeats, is ahead. */
  readonly onAhead: (peer: PeerId, height: number) => void;
  /** The most useful known votes for a peer in a round. */
  readonly votesKnown: (round: number, limit: number) => readonly Vote[];
  /** The peer that carries a validator's key, where that is known. */
  readonly peerOf: (validator: PublicKey) => PeerId | undefined;
  /** Null on a follower. */
  readonly ownKey: PublicKey | null;
  /** Something that the own key signed came from outside. */
  readonly onOwn: (place: Place) => void;
}

interface EarlyProposal {
  readonly message: ProposalMessage;
  readonly from: PeerId;
  readonly timely: boolean;
}

export class Intake {
  readonly #modules: IntakeModules;
  /** By validator. */
  #earlyVotes = new Map<string, Vote[]>();
  /** By round and proposer: whose turn it is, is known when the height begins. */
  #earlyProposals = new Map<string, EarlyProposal>();
  readonly #quotas = new Map<string, TokenBucket>();
  readonly #seen = new Set<string>();
  #network: ChainNetwork | null = null;
  #nextPeer = 0;
  #pulls = 0;

  constructor(modules: IntakeModules) {
    this.#modules = modules;
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
  }

  async onVotes({ attempt, votes }: VoteBatch, from: PeerId): Promise<GossipCode> {
    const { ledger, clock } = this.#modules;
    const fresh: Vote[] = [];
    // What was not verified must not be relayed as if it were, so one such vote keeps the batch here.
    let unchecked: GossipCode | null = null;
    for (const vote of votes) {
      const set = this.#setOf(vote.height);
      this.#hearOf(vote.height, from);
      if (!set) unchecked = this.#offHeight(vote.height);
      else if (!findValidator(set, vote.validator)) unchecked = 'UNKNOWN_SIGNER';
      else if (this.#seen.has(bytesKey(encodeVote(vote)))) continue;
      else if (!this.#quotaOf(vote).take(0, clock.monotonic())) unchecked = 'REFUSED';
      else fresh.push(vote);
    }
    if (fresh.length === 0) return unchecked ?? 'DUPLICATE';
    if (this.#modules.engine().busy) return 'NOT_READY';
    const { chain } = ledger.rules;
    const verdict = await this.#verify(fresh.map((vote) => voteCheck(chain, vote)));
    if (verdict !== 'OK') return verdict;
    for (const vote of fresh) {
      this.#quotaOf(vote).charge(1, clock.monotonic());
      if (vote.height === ledger.tip.height + 1) this.#modules.engine().input(vote.height, { type: 'vote', vote });
      else if (vote.height <= ledger.tip.height || !this.#keepEarly(vote)) continue;
      this.#remember(vote);
      this.#tellIfOwn(vote.validator, { height: vote.height, round: vote.round, step: vote.type });
    }
    if (unchecked) return unchecked;
    // What is said again went astray somewhere: then everyone tells everyone.
    const isFirstHand = attempt === 0 && votes.every(({ validator }) => this.#modules.peerOf(validator) === from);
    return isFirstHand ? 'FIRST_HAND' : 'OK';
  }

  async onProposal(message: ProposalMessage, from: PeerId): Promise<GossipCode> {
    const { ledger } = this.#modules;
    const receivedAtMs = this.#modules.clock.now();
    const { proposal } = message;
    const set = this.#setOf(proposal.height);
    this.#hearOf(proposal.height, from);
    if (!set) return this.#offHeight(proposal.height);
    const { machine, proposals } = this.#modules.engine();
    const isCurrent = machine.height === proposal.height;
    const round = isCurrent ? machine.round : 0;
    if (proposal.round > round + MAX_ROUNDS_AHEAD) return 'FUTURE';
    if (isCurrent && proposal.round < round - PAST_ROUNDS && !proposals.wants(proposal.blockId)) return 'STALE';
    if (!findValidator(set, proposal.proposer)) return 'UNKNOWN_SIGNER';
    // Which validators are demoted at a height, the block below it says.
    const isEarly = proposal.height > ledger.tip.height + 1;
    if (!isEarly && !isItsTurn(set, proposal)) return 'WRONG_PROPOSER';
    if (this.#isKnown(message)) return 'DUPLICATE';
    if (isCurrent && proposals.isSpent(message)) return 'REFUSED';
    if (!this.#isConsistent(message)) return 'UNJUSTIFIED';
    const { chain } = ledger.rules;
    const checks = [
      proposalCheck(chain, proposal),
      ...(message.polka ? certificateChecks(chain, set, message.polka) : []),
    ];
    const verdict = await this.#verify(checks);
    if (verdict !== 'OK') return verdict;
    const timely = this.#isTimely(message, receivedAtMs);
    if (!timely && proposal.polRound < 0) {
      this.#modules.log.warn('proposal outside the time window: is a clock wrong?', {
        height: proposal.height,
        offsetMs: message.header.timeMs - receivedAtMs,
      });
    }
    this.#tellIfOwn(proposal.proposer, { height: proposal.height, round: proposal.round, step: 'propose' });
    // The block below may have come while the signature was verified.
    const isDue = proposal.height === ledger.tip.height + 1;
    if (isDue && isItsTurn(ledger.validators.current, proposal)) this.#modules.engine().proposal(message, from, timely);
    else if (proposal.height > ledger.tip.height + 1) this.#keepEarlyProposal({ message, from, timely });
    // Nobody shall be blamed for passing on what could not be judged.
    return isEarly ? 'FUTURE' : 'OK';
  }

  /** What waited for this height; older messages are dropped. Proposals go to the engine by themselves. */
  takeEarly(height: number): Input[] {
    const { current } = this.#modules.ledger.validators;
    const votes = [...this.#earlyVotes.values()].flat();
    const proposals = [...this.#earlyProposals.values()];
    this.#earlyVotes = new Map();
    this.#earlyProposals = new Map();
    for (const vote of votes) if (vote.height > height) this.#keepEarly(vote);
    for (const early of proposals) {
      const at = early.message.proposal.height;
      if (at === height && isItsTurn(current, early.message.proposal))
        this.#modules.engine().proposal(early.message, early.from, early.timely);
      else if (at > height) this.#keepEarlyProposal(early);
    }
    this.#forgetStrangers();
    return votes.filter((vote) => vote.height === height).map((vote) => ({ type: 'vote', vote }));
  }

  /** Server side of `votes`. */
  answer({ height, round }: VotesRequest, from: PeerId): VotesResponse {
    const engine = this.#modules.engine();
    this.#hearOf(height, from);
    if (height === engine.machine.height + 1) return this.#earlyAnswer(height);
    if (height !== engine.machine.height) return { votes: [], proposals: [] };
    // Those that can decide, then the latest of the rounds that were begun: whoever lacks one, lacks it for these.
    const rank = ({ proposal }: ProposalMessage): number =>
      this.#isDecisive(proposal.blockId) ? 0 : proposal.round <= engine.machine.round ? 1 : 2;
    const proposals = engine.proposals
      .all()
      .filter((message) => rank(message) === 0 || message.proposal.round >= round)
      .sort((a, b) => rank(a) - rank(b) || b.proposal.round - a.proposal.round)
      .slice(0, MAX_PROPOSALS_ANSWER);
    return { votes: this.#modules.votesKnown(round, MAX_VOTES_ANSWER), proposals };
  }

  /** Of the next height: an asker with a restored folder may have been ahead of this node. Proposals are not judged yet. */
  #earlyAnswer(height: number): VotesResponse {
    const votes = [...this.#earlyVotes.values()].flat().filter((vote) => vote.height === height);
    return { votes: votes.slice(0, MAX_VOTES_ANSWER), proposals: [] };
  }

  #tellIfOwn(key: PublicKey, place: Place): void {
    const { ownKey, onOwn } = this.#modules;
    if (ownKey !== null && equalBytes(key, ownKey)) onOwn(place);
  }

  /** Asks the next peer in turn for what this node may lack of the height in work. */
  pull(): void {
    const peers = this.#network?.peers() ?? [];
    const peer = peers[this.#nextPeer++ % Math.max(1, peers.length)];
    if (peer === undefined || this.#pulls >= MAX_PULLS) return;
    this.#pulls++;
    this.pullFrom(peer)
      .catch((error: unknown) => {
        if (!isNodeError(error)) this.#modules.log.warn('votes not fetched', { error });
      })
      .finally(() => {
        this.#pulls--;
      });
  }

  async pullFrom(peer: PeerId): Promise<void> {
    const { machine } = this.#modules.engine();
    const network = this.#network;
    if (!network) return;
    const { height } = machine;
    const answer = await network.request(peer, 'votes', { height, round: 0 });
    // It may have decided this height long ago, and nobody who signs its head may be left.
    if (answer.votes.length + answer.proposals.length === 0) this.#modules.onAhead(peer, height);
    for (const message of answer.proposals) this.#blame(peer, await this.onProposal(message, peer));
    if (answer.votes.length > 0) this.#blame(peer, await this.onVotes({ attempt: 0, votes: answer.votes }, peer));
  }

  #blame(peer: PeerId, code: GossipCode): void {
    if (code === 'BAD_SIGNATURE' || code === 'UNJUSTIFIED' || code === 'WRONG_PROPOSER') {
      this.#network?.report(peer, 'lie', code);
    }
  }

  /** The set that decides a height this node can judge: the next, or the one after it. */
  #setOf(height: number): ValidatorSet | null {
    const { tip, validators } = this.#modules.ledger;
    if (height === tip.height + 1) return validators.current;
    return height === tip.height + 2 ? validators.next : null;
  }

  #offHeight(height: number): GossipCode {
    return height <= this.#modules.ledger.tip.height ? 'STALE' : 'FUTURE';
  }

  /**
   * Nobody signs at a height before the block below it is on its disk. Every message says so again, because the first
   * question may be lost, and a node one block behind has no other way to learn it soon.
   */
  #hearOf(height: number, from: PeerId): void {
    if (height > this.#modules.ledger.tip.height + 1) this.#modules.onAhead(from, height - 1);
  }

  #isKnown(message: ProposalMessage): boolean {
    const { height, signature } = message.proposal;
    const { machine, proposals } = this.#modules.engine();
    if (machine.height === height) return proposals.isKnown(message);
    const early = this.#earlyProposals.get(earlyKey(message))?.message.proposal;
    return early !== undefined && equalBytes(early.signature, signature);
  }

  async #verify(checks: readonly SignatureCheck[]): Promise<'OK' | 'BAD_SIGNATURE' | 'NOT_READY'> {
    const { verifier } = this.#modules;
    try {
      for (const part of [checks.slice(0, PROBE), checks.slice(PROBE)]) {
        if (!(await verifier.verifyBatch(part, { urgent: true })).every(Boolean)) return 'BAD_SIGNATURE';
      }
      return 'OK';
    } catch (error) {
      if (isNodeError(error) && error.code === 'POOL_FULL') return 'NOT_READY';
      throw error;
    }
  }

  #quotaOf({ validator }: Vote): TokenBucket {
    const key = bytesKey(validator);
    let bucket = this.#quotas.get(key);
    if (!bucket) {
      bucket = new TokenBucket(VOTE_QUOTA, this.#modules.clock.monotonic());
      this.#quotas.set(key, bucket);
    }
    return bucket;
  }

  #forgetStrangers(): void {
    const { current, next } = this.#modules.ledger.validators;
    for (const key of this.#quotas.keys()) {
      const publicKey = keyBytes(key);
      if (!findValidator(current, publicKey) && !findValidator(next, publicKey)) this.#quotas.delete(key);
    }
  }

  /** @returns false when this validator has too many waiting */
  #keepEarly(vote: Vote): boolean {
    const key = bytesKey(vote.validator);
    const waiting = this.#earlyVotes.get(key) ?? [];
    this.#earlyVotes.set(key, waiting);
    return waiting.length < MAX_EARLY_VOTES && waiting.push(vote) > 0;
  }

  /** The first of a proposer and round; when too many wait, the latest of the highest round makes room. */
  #keepEarlyProposal(early: EarlyProposal): void {
    const key = earlyKey(early.message);
    if (this.#earlyProposals.has(key)) return;
    this.#earlyProposals.set(key, early);
    if (this.#earlyProposals.size <= MAX_EARLY_PROPOSALS) return;
    const roundOf = ({ message }: EarlyProposal): number => message.proposal.round;
    const highest = Math.max(...[...this.#earlyProposals.values()].map(roundOf));
    const last = [...this.#earlyProposals].findLast(([, waiting]) => roundOf(waiting) === highest);
    if (last) this.#earlyProposals.delete(last[0]);
  }

  /** The parts belong together: whoever signed this made it so, and nobody relays it otherwise. */
  #isConsistent({ proposal, header, lastCommit, evidence, txIds, polka }: ProposalMessage): boolean {
    const { crypto, chain } = this.#modules.ledger.rules;
    const fits =
      equalBytes(blockId(crypto, header), proposal.blockId) &&
      header.chainId === chain.chainId &&
      header.height === proposal.height &&
      (proposal.polRound >= 0 || equalBytes(header.proposer, proposal.proposer)) &&
      equalBytes(header.txRoot, listRoot(crypto, txIds)) &&
      equalBytes(header.lastCommitHash, lastCommitHash(crypto, lastCommit)) &&
      equalBytes(header.evidenceRoot, evidenceRoot(crypto, evidence));
    return fits && (proposal.polRound < 0 ? polka === null : this.#isPolka(polka, proposal));
  }

  #isPolka(polka: Certificate | null, { height, polRound, blockId: id }: ProposalMessage['proposal']): boolean {
    const set = this.#setOf(height);
    if (!polka || !set) return false;
    try {
      checkCertificatePower(set, polka);
    } catch (error) {
      if (isNodeError(error)) return false;
      throw error;
    }
    return (
      polka.type === 'prevote' && polka.height === height && polka.round === polRound && equalBytes(polka.blockId, id)
    );
  }

  /** Widens by a tenth a round, so that a delay beyond the parameter ends by itself. */
  #isTimely({ header, proposal }: ProposalMessage, nowMs: number): boolean {
    const { delayMs, precisionMs } = this.#modules.ledger.rules.params;
    const delay = delayMs * 1.1 ** Math.min(proposal.round, MAX_ROUNDS_AHEAD);
    return header.timeMs <= nowMs + precisionMs && header.timeMs >= nowMs - delay - precisionMs;
  }

  #isDecisive(id: Hash): boolean {
    const { lockedId, validId } = this.#modules.engine().machine;
    return [lockedId, validId].some((held) => held !== null && equalBytes(held, id));
  }

  #remember(vote: Vote): void {
    this.#seen.add(bytesKey(encodeVote(vote)));
    if (this.#seen.size <= MAX_SEEN) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      break;
    }
  }
}

function isItsTurn(set: ValidatorSet, { round, proposer }: Proposal): boolean {
  return equalBytes(proposerOf(set, round).publicKey, proposer);
}

function earlyKey({ proposal }: ProposalMessage): string {
  return `${proposal.round} ${bytesKey(proposal.proposer)}`;
}
