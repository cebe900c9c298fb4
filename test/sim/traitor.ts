/**
 * A traitor: the honest program with its network and its key in bad hands. It says different things to different peers,
 * signs whatever it likes, withholds, and answers with stale and forged data.
 */
import type { ProposalMessage, Topic, Topics, VoteBatch } from '../../protocols/messages.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { Hash } from '../../src/bytes.ts';
import { bytesKey, equalBytes, keyBytes } from '../../src/bytes.ts';
import { blockId, lastCommitHash } from '../../src/chain/block.ts';
import type { Header } from '../../src/chain/block.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { Certificate, Vote, VoteType } from '../../src/chain/votes.ts';
import { decodeCertificate, encodeCertificate, proposalSignBytes, voteSignBytes } from '../../src/chain/votes.ts';
import type { Trick } from './plan.ts';
import type { Prng } from './prng.ts';
import { simCrypto, simSigner } from './signatures.ts';

/** Ids seen at a height, to vote for. */
const MAX_IDS = 8;

interface Place {
  readonly height: number;
  readonly round: number;
}

export interface TraitorModules {
  readonly name: string;
  readonly chain: ChainContext;
  readonly tricks: readonly Trick[];
  /** Signs one thing at each place, so that nothing can be proved. */
  readonly cautious: boolean;
  readonly rng: Prng;
  readonly peers: () => readonly PeerId[];
  readonly whisper: <T extends Topic>(to: PeerId, topic: T, message: Topics[T]) => void;
  readonly onTrick: (trick: Trick) => void;
  /** It made a block that nobody can find valid. */
  readonly onInvalid: (blockId: Uint8Array) => void;
}

export class Traitor {
  readonly #modules: TraitorModules;
  readonly #publicKey: Uint8Array;
  #height = 0;
  readonly #ids = new Set<string>();
  /** What it said at each place of the height, where it is cautious. */
  readonly #said = new Map<string, string>();

  constructor(modules: TraitorModules) {
    this.#modules = modules;
    this.#publicKey = simSigner(modules.name).publicKey;
  }

  network(inner: ChainNetwork): ChainNetwork {
    return {
      ...inner,
      publish: (topic, message) => {
        if (!this.#mayPublish(topic, message)) return;
        if (this.#does('withhold', 0.4)) {
          const some = this.#some();
          for (const peer of some) this.#modules.whisper(peer, topic, message);
          return;
        }
        if (topic === 'proposal' && this.#propose(message as ProposalMessage)) return;
        if (topic === 'vote' && this.#vote(message as VoteBatch)) return;
        inner.publish(topic, message);
      },
    };
  }

  handlers(inner: ChainHandlers): ChainHandlers {
    const { gossip, requests } = inner;
    return {
      ...inner,
      gossip: {
        ...gossip,
        proposal: (message, from) => {
          this.#hear(message);
          return gossip.proposal(message, from);
        },
      },
      requests: {
        ...requests,
        status: async (status, from) => {
          const answer = await requests.status(status, from);
          return this.#does('stale-certificates', 0.2) ? { ...answer, height: answer.height + 1000 } : answer;
        },
        blocks: async (request, from) => {
          const answer = await requests.blocks(request, from);
          if (!this.#does('stale-certificates', 0.5)) return answer;
          return answer.map(({ block, certificate }, i) => ({
            block,
            certificate: this.#worse(certificate, answer[i - 1]?.certificate),
          }));
        },
        votes: async (request, from) => {
          const answer = await requests.votes(request, from);
          if (!this.#does('stale-certificates', 0.5)) return answer;
          return { votes: answer.votes.slice(0, 1), proposals: [] };
        },
      },
    };
  }

  #does(trick: Trick, probability: number): boolean {
    const { tricks, rng, onTrick } = this.#modules;
    if (!tricks.includes(trick) || !rng.chance(probability)) return false;
    onTrick(trick);
    return true;
  }

  /** Of another block, of too few, or with signatures that are none. */
  #worse(bytes: Uint8Array, earlier: Uint8Array | undefined): Uint8Array {
    const isForged = this.#modules.rng.chance(0.3);
    if (!isForged && earlier) return earlier;
    const certificate = decodeCertificate(bytes);
    if (!isForged) return encodeCertificate(halved(certificate));
    return encodeCertificate({ ...certificate, signatures: certificate.signatures.map((some) => some.toReversed()) });
  }

  #some(): PeerId[] {
    const { peers, rng } = this.#modules;
    const share = rng.next();
    return peers().filter(() => rng.chance(share));
  }

  /** Its own program may want to say something else than what it said. */
  #mayPublish(topic: Topic, message: Topics[Topic]): boolean {
    if (topic === 'proposal') {
      const { proposal } = message as ProposalMessage;
      return this.#may('proposal', proposal, proposal.blockId);
    }
    if (topic !== 'vote') return true;
    return (message as VoteBatch).votes.every((vote) => {
      return !equalBytes(vote.validator, this.#publicKey) || this.#may(vote.type, vote, vote.blockId);
    });
  }

  #may(type: VoteType | 'proposal', at: Place, id: Hash | null): boolean {
    if (!this.#modules.cautious) return true;
    const place = placeOf(type, at);
    const what = id ? bytesKey(id) : 'nil';
    const known = this.#said.get(place);
    this.#said.set(place, known ?? what);
    return known === undefined || known === what;
  }

  #learn(height: number, id: Uint8Array): void {
    if (height > this.#height) this.#said.clear();
    if (height !== this.#height) this.#ids.clear();
    this.#height = height;
    if (this.#ids.size < MAX_IDS) this.#ids.add(bytesKey(id));
  }

  /** Votes for what others propose, whatever it is locked on. */
  #hear({ proposal }: ProposalMessage): void {
    this.#learn(proposal.height, proposal.blockId);
    if (!this.#does('amnesia', 0.7)) return;
    const votes = this.#votesFor(proposal, proposal.blockId);
    for (const peer of this.#some()) this.#modules.whisper(peer, 'vote', { attempt: 0, votes });
  }

  /** Votes of rounds that nobody is in yet. */
  #runAhead(vote: Vote): void {
    const { rng, whisper } = this.#modules;
    const at = { height: vote.height, round: vote.round + 1 + rng.below(rng.chance(0.5) ? 3 : 1_000) };
    for (const peer of this.#some()) {
      const type = rng.pick(['prevote', 'precommit'] as const);
      if (this.#may(type, at, null)) whisper(peer, 'vote', { attempt: 0, votes: [this.#sign(type, at, null)] });
    }
  }

  #vote({ attempt, votes }: VoteBatch): boolean {
    const [first] = votes;
    if (first && this.#does('run-ahead', 0.5)) this.#runAhead(first);
    if (attempt !== 0 || !votes.some((vote) => equalBytes(vote.validator, this.#publicKey))) return false;
    if (this.#modules.cautious || !this.#does('equivocate-votes', 0.5)) return false;
    const { peers, rng, whisper } = this.#modules;
    for (const peer of peers()) {
      const told = votes.flatMap((vote) => {
        const luck = rng.next();
        const other = this.#sign(vote.type, vote, this.#otherId(vote.blockId));
        return luck < 0.4 ? [vote] : luck < 0.8 ? [other] : [vote, other];
      });
      whisper(peer, 'vote', { attempt: 0, votes: told });
    }
    return true;
  }

  #otherId(id: Uint8Array | null): Uint8Array | null {
    const { rng } = this.#modules;
    const others = [...this.#ids].filter((key) => id === null || key !== bytesKey(id));
    if (others.length > 0 && rng.chance(0.7)) return keyBytes(rng.pick(others));
    return id === null || rng.chance(0.3) ? Uint8Array.from({ length: 32 }, () => rng.below(256)) : null;
  }

  #propose(message: ProposalMessage): boolean {
    const { peers, rng, whisper } = this.#modules;
    const { proposal, header, lastCommit } = message;
    if (message.attempt !== 0 || !equalBytes(proposal.proposer, this.#publicKey)) return false;
    this.#learn(proposal.height, proposal.blockId);
    const fresh = proposal.polRound < 0;
    let variants: ProposalMessage[] = [message];
    if (fresh && this.#does('equivocate-proposals', 0.6)) {
      variants.push(this.#variant(message, { ...header, timeMs: header.timeMs + 1 }));
    }
    if (fresh && this.#does('wrong-roots', 0.5)) {
      // The body is as good as any: only execution tells.
      const wrong = this.#variant(message, { ...header, stateRoot: header.txRoot, receiptsRoot: header.stateRoot });
      this.#modules.onInvalid(wrong.proposal.blockId);
      variants.push(wrong);
    }
    if (fresh && lastCommit && this.#does('forged-last-commit', 0.5)) {
      const forged = { ...lastCommit, signatures: lastCommit.signatures.map((signature) => signature.toReversed()) };
      const lying = { ...header, lastCommitHash: lastCommitHash(simCrypto, forged) };
      const wrong = { ...this.#variant(message, lying), lastCommit: forged };
      this.#modules.onInvalid(wrong.proposal.blockId);
      variants.push(wrong);
    }
    if (variants.length === 1) return false;
    if (this.#modules.cautious) {
      // Instead of its own, whose place is taken by it then.
      variants = variants.slice(-1);
      for (const { proposal: told } of variants) this.#said.set(placeOf('proposal', told), bytesKey(told.blockId));
    }
    for (const peer of peers()) {
      const told = rng.pick(variants);
      whisper(peer, 'proposal', told);
      const votes = this.#votesFor(proposal, told.proposal.blockId);
      if (votes.length > 0) whisper(peer, 'vote', { attempt: 0, votes });
    }
    return true;
  }

  #variant(message: ProposalMessage, header: Header): ProposalMessage {
    const core = { ...message.proposal, blockId: blockId(simCrypto, header) };
    this.#learn(core.height, core.blockId);
    const signature = simSigner(this.#modules.name).sign(proposalSignBytes(this.#modules.chain, core));
    return { ...message, header, proposal: { ...core, signature } };
  }

  #votesFor(at: Place, id: Hash): Vote[] {
    const types = (['prevote', 'precommit'] as const).filter((type) => this.#may(type, at, id));
    return types.map((type) => this.#sign(type, at, id));
  }

  #sign(type: VoteType, at: Place, id: Uint8Array | null): Vote {
    const core = { type, height: at.height, round: at.round, blockId: id };
    const { name, chain } = this.#modules;
    return { ...core, validator: this.#publicKey, signature: simSigner(name).sign(voteSignBytes(chain, core)) };
  }
}

function placeOf(type: VoteType | 'proposal', { height, round }: Place): string {
  return `${type} ${height}/${round}`;
}

function halved(certificate: Certificate): Certificate {
  const count = Math.floor(certificate.signers.length / 2);
  return {
    ...certificate,
    signers: certificate.signers.slice(0, count),
    signatures: certificate.signatures.slice(0, count),
  };
}
