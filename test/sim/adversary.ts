/**
 * A network that reads what it carries and loses what hurts most, then strikes whoever it has made special: the only one
 * that saw a polka, the only one that decided, one that went ahead on votes that nobody else will ever see.
 */
import { equalBytes } from '../../src/bytes.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { findValidator, hasQuorum } from '../../src/chain/validator-set.ts';
import type { Proposal, Vote } from '../../src/chain/votes.ts';
import type { Methods, Topics } from '../../protocols/messages.ts';
import type { Hop } from './network.ts';
import type { SimNode } from './node.ts';
import type { Prng } from './prng.ts';
import type { Trace } from './trace.ts';
import type { VirtualTime } from './time.ts';

export interface AdversaryModules {
  readonly time: VirtualTime;
  readonly nodes: readonly SimNode[];
  readonly rng: Prng;
  readonly trace: Trace;
  readonly frozen: () => boolean;
  /** Both are well now: what one says, the other hears. */
  readonly isHealthy: (a: SimNode, b: SimNode) => boolean;
  /** Who certifies the next height. */
  readonly validators: () => ValidatorSet;
  readonly cutOff: (nodes: readonly SimNode[], ms: number) => void;
}

/** What one hop carries of agreement. */
export interface Carried {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly votes: readonly Vote[];
  readonly proposals: readonly Proposal[];
}

/** A pattern of loss. */
export interface Scheme {
  readonly name: string;
  loses(carried: Carried): boolean;
  /** It has done what it was for. */
  readonly isOver: boolean;
}

const SCHEMES: readonly (readonly [weight: number, make: (adversary: Adversary) => Scheme | null])[] = [
  [5, (adversary) => lonelyPolka(adversary)],
  [2, (adversary) => lonelyDecision(adversary)],
  [2, (adversary) => unheard(adversary)],
  [4, (adversary) => stranded(adversary)],
];

export class Adversary {
  readonly #modules: AdversaryModules;
  #rng: Prng;
  #scheme: Scheme | null = null;
  #untilMs = 0;
  /** Who must go on after the last strike, and until when. */
  #wanted: readonly SimNode[] = [];
  #wantedUntilMs = 0;

  constructor(modules: AdversaryModules) {
    this.#modules = modules;
    this.#rng = modules.rng;
  }

  /** Of the scheme under way. */
  get rng(): Prng {
    return this.#rng;
  }

  get nodes(): readonly SimNode[] {
    return this.#modules.nodes;
  }

  get set(): ValidatorSet {
    return this.#modules.validators();
  }

  /** Validators of the next height that are none of the traitors, in random order. */
  get honest(): SimNode[] {
    return this.rng.shuffled(this.nodes.filter((node) => !node.isTraitor && this.power([node]) > 0));
  }

  /** Highest block on any disk. */
  get height(): number {
    return Math.max(...this.nodes.map(({ stored }) => stored.height));
  }

  power(nodes: Iterable<SimNode>): number {
    let power = 0;
    for (const { publicKey } of nodes) power += findValidator(this.set, publicKey)?.power ?? 0;
    return power;
  }

  /**
   * Begins one, unless one is under way.
   *
   * @param rng of this fault alone: another one left out does not change it
   */
  begin(rng: Prng): void {
    const { time, trace } = this.#modules;
    if (this.#isActive() || this.nodes.length < 3) return;
    this.#rng = rng;
    let left = rng.below(SCHEMES.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of SCHEMES) {
      left -= weight;
      if (left >= 0) continue;
      this.#scheme = make(this);
      break;
    }
    if (!this.#scheme) return;
    this.#untilMs = time.nowMs + rng.between(2_000, 12_000);
    trace.count(`scheme: ${this.#scheme.name}`);
    trace.say(null, `scheme: ${this.#scheme.name}`);
  }

  loses({ from, to, kind, message }: Hop): boolean {
    const scheme = this.#scheme;
    if (!scheme || (kind !== 'vote' && kind !== 'proposal' && kind !== 'votes') || !this.#isActive()) return false;
    const [a, b] = [this.#nodeOf(from), this.#nodeOf(to)];
    if (!a || !b || this.#modules.isHealthy(a, b)) return false;
    return scheme.loses({ from: a, to: b, ...contents(kind, message) });
  }

  /** Those that the last strike wants to see stuck come first. */
  coreFirst(nodes: readonly SimNode[]): readonly SimNode[] {
    if (this.#modules.time.nowMs > this.#wantedUntilMs) return nodes;
    return [...nodes].sort((a, b) => Number(this.#wanted.includes(b)) - Number(this.#wanted.includes(a)));
  }

  want(core: readonly SimNode[], ms: number): void {
    this.#wanted = core;
    this.#wantedUntilMs = this.#modules.time.nowMs + ms;
  }

  /** Soon after what is being sent now has left. */
  strike(name: string, act: () => void, withinMs = 20): void {
    const { time, trace, frozen } = this.#modules;
    time.after(this.rng.between(0, withinMs), () => {
      if (frozen()) return;
      trace.count(`strike: ${name}`);
      trace.say(null, `strike: ${name}`);
      act();
    });
  }

  cutOff(nodes: readonly SimNode[], ms: number): void {
    if (!this.#modules.frozen()) this.#modules.cutOff(nodes, ms);
  }

  #isActive(): boolean {
    if (!this.#scheme) return false;
    const isOver = this.#scheme.isOver || (!this.#modules.frozen() && this.#modules.time.nowMs > this.#untilMs);
    if (isOver) this.#scheme = null;
    return !isOver;
  }

  #nodeOf(id: string): SimNode | undefined {
    return this.nodes.find((node) => node.id === id);
  }
}

function contents(kind: 'vote' | 'proposal' | 'votes', message: Hop['message']): Pick<Carried, 'votes' | 'proposals'> {
  if (kind === 'vote') return { votes: (message as Topics['vote']).votes, proposals: [] };
  if (kind === 'proposal') return { votes: [], proposals: [(message as Topics['proposal']).proposal] };
  const { votes, proposals } = message as Methods['votes']['response'];
  return { votes, proposals: proposals.map(({ proposal }) => proposal) };
}

function isOf({ validator }: Vote, nodes: Iterable<SimNode>): boolean {
  for (const { publicKey } of nodes) if (equalBytes(publicKey, validator)) return true;
  return false;
}

/**
 * One node alone sees a polka and locks; the others give the round up, and the next proposer knows of nothing. The locked
 * one crashes, is cut off, or stays to hear the fresh proposal.
 */
function lonelyPolka(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const [lone] = adversary.honest;
  if (!lone) return null;
  const wanted = rng.pick([(r: number) => r === 0, (r: number) => r === 0, (r: number) => r % 2 === 0, () => true]);
  const hearers = new Map<string, Set<SimNode>>();
  /** Who hears the proposal of a round: a bare quorum, the lone one in it. */
  const hearersOf = (place: string): Set<SimNode> => {
    let some = hearers.get(place);
    if (!some) {
      some = new Set([lone]);
      for (const node of adversary.honest) if (!hasQuorum(adversary.set, adversary.power(some))) some.add(node);
      hearers.set(place, some);
    }
    return some;
  };
  let strikes = 0;
  const onLock = (): void => {
    const luck = rng.next();
    strikes++;
    if (luck < 0.5)
      adversary.strike('crash of the locked one', () => {
        lone.crash('crashes');
      });
    else if (luck < 0.7)
      adversary.strike('cut of the locked one', () => {
        adversary.cutOff([lone], rng.between(300, 3_000));
      });
  };
  let locked = '';
  return {
    name: 'lonely polka',
    get isOver() {
      return strikes > 3;
    },
    loses: ({ from, to, votes, proposals }) => {
      const hers = votes.filter((vote) => isOf(vote, [lone]) && vote.blockId !== null && wanted(vote.round));
      const lock = from === lone ? hers.find(({ type }) => type === 'precommit') : undefined;
      if (lock && locked !== `${lock.height}/${lock.round}`) {
        locked = `${lock.height}/${lock.round}`;
        onLock();
      }
      if (to === lone) return false;
      if (hers.some(({ type }) => type === 'prevote')) return true;
      return proposals.some(
        ({ height, round, polRound }) => polRound < 0 && wanted(round) && !hearersOf(`${height}/${round}`).has(to),
      );
    },
  };
}

/** All precommits reach one node alone; once it has decided it is gone, and the others must come to the same block. */
function lonelyDecision(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const [lone] = adversary.honest;
  if (!lone) return null;
  const height = adversary.height + 1;
  const silent = rng.chance(0.7);
  /** Precommits of earlier rounds never arrive: the others decide on the same block by a certificate of another round. */
  const lateRound = rng.pick([0, 2, 2]);
  let struck = false;
  return {
    name: 'lonely decision',
    get isOver() {
      return struck && (lateRound === 0 || adversary.nodes.every(({ stored }) => stored.height >= height));
    },
    loses: ({ from, to, votes }) => {
      if (!struck && lone.stored.height >= height) {
        struck = true;
        if (lateRound > 0 || rng.chance(0.5)) adversary.cutOff([lone], rng.between(500, 6_000) + 2_000 * lateRound);
        adversary.strike('crash of the one that decided', () => {
          lone.crash('crashes');
        });
        return from === lone;
      }
      if (to === lone) return false;
      return votes.some((vote) => {
        if (vote.height !== height || vote.type !== 'precommit') return false;
        return struck ? vote.round < lateRound : silent || !isOf(vote, [lone]);
      });
    },
  };
}

/** Votes of one type or proposals, of some rounds and one or all nodes, reach some nodes only. */
function unheard(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const deaf = new Set(adversary.nodes.filter(() => rng.chance(0.5)));
  const source = rng.chance(0.5) ? [rng.pick(adversary.nodes)] : adversary.nodes;
  const kind = rng.pick(['prevote', 'precommit', 'proposal'] as const);
  const parity = rng.pick([0, 1, 2]);
  const isMeant = (round: number): boolean => parity === 2 || round % 2 === parity;
  return {
    name: `unheard ${kind}s`,
    isOver: false,
    loses: ({ to, votes, proposals }) => {
      if (!deaf.has(to)) return false;
      if (kind === 'proposal') return proposals.some(({ round }) => isMeant(round));
      return votes.some((vote) => vote.type === kind && isMeant(vote.round) && isOf(vote, source));
    },
  };
}

/**
 * A round ends in nil on precommits that only some saw: those who vanish, and one that was not there and goes on at once,
 * signs in the next round, and crashes. It is a quorum with those left behind, who must be shown the votes of the vanished.
 */
function stranded(adversary: Adversary): Scheme | null {
  const { rng, set } = adversary;
  const total = set.totalPower;
  const [ahead, ...rest] = adversary.honest;
  if (!ahead) return null;
  const traitors = adversary.nodes.filter((node) => node.isTraitor && adversary.power([node]) > 0);
  const gone: SimNode[] = [];
  for (const node of [...traitors, ...rest]) {
    if (3 * adversary.power([...gone, node]) <= total) gone.push(node);
  }
  const left = rest.filter((node) => !gone.includes(node));
  const isTrap =
    !hasQuorum(set, adversary.power(left)) &&
    hasQuorum(set, adversary.power([...left, ...gone])) &&
    hasQuorum(set, adversary.power([ahead, ...left])) &&
    3 * adversary.power([ahead]) <= total;
  if (!isTrap || gone.length === 0) return null;
  let height = adversary.height + 1;
  let lostRound: number | null = null;
  let voted = new Map<number, Set<SimNode>>();
  let struck = false;
  const strike = (): void => {
    struck = true;
    const ms = rng.between(10_000, 25_000);
    adversary.cutOff(gone, ms);
    adversary.want([ahead, ...left], ms);
    adversary.strike('crash of the one ahead', () => {
      ahead.crash('crashes');
    });
  };
  const watch = ({ from, votes }: Carried): void => {
    if (adversary.height >= height) {
      height = adversary.height + 1;
      lostRound = null;
      voted = new Map();
    }
    for (const vote of votes) {
      if (vote.height !== height || !isOf(vote, [from])) continue;
      if (from === ahead && lostRound !== null && vote.round > lostRound) strike();
      if (vote.type !== 'precommit' || vote.blockId !== null || lostRound !== null) continue;
      const voters = voted.get(vote.round) ?? new Set();
      voted.set(vote.round, voters.add(from));
      if (hasQuorum(set, adversary.power(voters))) lostRound = vote.round;
    }
  };
  return {
    name: 'stranded',
    get isOver() {
      return struck;
    },
    loses: (carried) => {
      const { from, to, votes, proposals } = carried;
      watch(carried);
      if (proposals.length > 0 || from === ahead) return true;
      if (to === ahead) return lostRound === null;
      if (!left.includes(to)) return false;
      return votes.some((vote) => {
        return isOf(vote, gone) && (vote.type === 'precommit' || (lostRound !== null && vote.round > lostRound));
      });
    },
  };
}
