/**
 * What peers say about agreement: checked cheap to dear, signatures verified in batches, then fed to the engine. Messages
 * of the next height wait for it here, because gossip does not repeat them. The codes become verdicts by one table.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, equalBytes } from '../bytes.ts';
import { blockId, lastCommitHash } from '../chain/block.ts';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import { evidenceRoot } from '../chain/evidence.ts';
import { listRoot } from '../chain/list-root.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { findValidator, proposerOf } from '../chain/validator-set.ts';
import type { Certificate, Vote } from '../chain/votes.ts';
import { certificateChecks, checkCertificatePower, encodeVote, proposalCheck, voteCheck } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import type { Input } from '../consensus/types.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ProposalMessage, VoteBatch, VotesRequest, VotesResponse } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { Engine } from './engine.ts';
import type { Ledger } from './ledger.ts';

/** Votes and proposals of the next height that may wait; four full rounds of the largest set would fit. */
export const MAX_EARLY_VOTES = 1024;
export const MAX_EARLY_PROPOSALS = 4;
/** Rounds ahead of ours for which a proposal is looked at; the proposer of a far round is dear to find. */
export const MAX_ROUNDS_AHEAD = 64;
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
  /** A peer speaks of heights beyond the next: it may be ahead. */
  readonly onAhead: (peer: PeerId, height: number) => void;
  /** The most useful known votes for a peer in a round. */
  readonly votesKnown: (round: number, limit: number) => readonly Vote[];
}

export class Intake {
  readonly #modules: IntakeModules;
  readonly #earlyVotes: Vote[] = [];
  readonly #earlyProposals: { message: ProposalMessage; from: PeerId; timely: boolean }[] = [];
  readonly #seen = new Set<string>();
  #network: ChainNetwork | null = null;
  #nextPeer = 0;
  #pulling = false;

  constructor(modules: IntakeModules) {
    this.#modules = modules;
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
  }

  async onVotes({ votes }: VoteBatch, from: PeerId): Promise<GossipCode> {
    const { ledger, verifier } = this.#modules;
    const fresh: Vote[] = [];
    let code: GossipCode = 'DUPLICATE';
    for (const vote of votes) {
      const set = this.#setOf(vote.height);
      if (!set) code = this.#offHeight(vote.height, from);
      else if (!findValidator(set, vote.validator)) code = 'UNKNOWN_SIGNER';
      else if (!this.#seen.has(bytesKey(encodeVote(vote)))) fresh.push(vote);
    }
    if (fresh.length === 0) return code;
    if (this.#modules.engine().busy) return 'NOT_READY';
    const { chain } = ledger.rules;
    const good = await verifier.verifyBatch(
      fresh.map((vote) => voteCheck(chain, vote)),
      { urgent: true },
    );
    if (!good.every(Boolean)) return 'BAD_SIGNATURE';
    for (const vote of fresh) {
      if (vote.height === ledger.tip.height + 1) this.#modules.engine().input(vote.height, { type: 'vote', vote });
      else if (vote.height > ledger.tip.height && this.#earlyVotes.length < MAX_EARLY_VOTES)
        this.#earlyVotes.push(vote);
      else continue;
      this.#remember(vote);
    }
    return 'OK';
  }

  async onProposal(message: ProposalMessage, from: PeerId): Promise<GossipCode> {
    const { ledger, verifier } = this.#modules;
    const receivedAtMs = this.#modules.clock.now();
    const { proposal } = message;
    const set = this.#setOf(proposal.height);
    if (!set) return this.#offHeight(proposal.height, from);
    const { machine } = this.#modules.engine();
    if (proposal.round > (machine.height === proposal.height ? machine.round : 0) + MAX_ROUNDS_AHEAD) return 'FUTURE';
    if (!findValidator(set, proposal.proposer)) return 'UNKNOWN_SIGNER';
    if (!equalBytes(proposerOf(set, proposal.round).publicKey, proposal.proposer)) return 'WRONG_PROPOSER';
    if (this.#isKnown(message)) return 'DUPLICATE';
    if (!this.#isConsistent(message)) return 'UNJUSTIFIED';
    const { chain } = ledger.rules;
    const checks = [
      proposalCheck(chain, proposal),
      ...(message.polka ? certificateChecks(chain, set, message.polka) : []),
    ];
    if (!(await verifier.verifyBatch(checks, { urgent: true })).every(Boolean)) return 'BAD_SIGNATURE';
    const timely = this.#isTimely(message, receivedAtMs);
    if (!timely && proposal.polRound < 0) {
      this.#modules.log.warn('proposal outside the time window: is a clock wrong?', {
        height: proposal.height,
        offsetMs: message.header.timeMs - receivedAtMs,
      });
    }
    if (proposal.height === ledger.tip.height + 1) this.#modules.engine().proposal(message, from, timely);
    else if (proposal.height > ledger.tip.height && this.#earlyProposals.length < MAX_EARLY_PROPOSALS) {
      this.#earlyProposals.push({ message, from, timely });
    }
    return 'OK';
  }

  /** What waited for this height; older messages are dropped. Proposals go to the engine by themselves. */
  takeEarly(height: number): Input[] {
    const votes = this.#earlyVotes.splice(0).filter((vote) => vote.height >= height);
    const now = votes.filter((vote) => vote.height === height);
    this.#earlyVotes.push(...votes.filter((vote) => vote.height > height));
    for (const early of this.#earlyProposals.splice(0)) {
      const at = early.message.proposal.height;
      if (at === height) this.#modules.engine().proposal(early.message, early.from, early.timely);
      else if (at > height) this.#earlyProposals.push(early);
    }
    return now.map((vote) => ({ type: 'vote', vote }));
  }

  /** Server side of `votes`. */
  answer({ height, round }: VotesRequest): VotesResponse {
    const engine = this.#modules.engine();
    if (height !== engine.machine.height) return { votes: [], proposals: [] };
    const proposals = [...engine.proposals.values()]
      .filter(({ proposal }) => proposal.round >= round || this.#isDecisive(proposal.blockId))
      .slice(-MAX_PROPOSALS_ANSWER);
    return { votes: this.#modules.votesKnown(round, MAX_VOTES_ANSWER), proposals };
  }

  /** Asks the next peer in turn for what this node may lack of the height in work. */
  pull(): void {
    const peers = this.#network?.peers() ?? [];
    const peer = peers[this.#nextPeer++ % Math.max(1, peers.length)];
    if (peer === undefined || this.#pulling) return;
    this.#pulling = true;
    this.pullFrom(peer)
      .catch((error: unknown) => {
        if (!isNodeError(error)) this.#modules.log.warn('votes not fetched', { error });
      })
      .finally(() => {
        this.#pulling = false;
      });
  }

  async pullFrom(peer: PeerId): Promise<void> {
    const { machine } = this.#modules.engine();
    const network = this.#network;
    if (!network) return;
    const answer = await network.request(peer, 'votes', { height: machine.height, round: 0 });
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

  #offHeight(height: number, from: PeerId): GossipCode {
    if (height <= this.#modules.ledger.tip.height) return 'STALE';
    this.#modules.onAhead(from, height - 1);
    return 'FUTURE';
  }

  #isKnown({ proposal }: ProposalMessage): boolean {
    const known = this.#modules.engine().proposals.get(proposal.round);
    return known?.proposal.height === proposal.height && equalBytes(known.proposal.signature, proposal.signature);
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
