/**
 * A network that reads what it carries and loses what hurts most, then strikes whoever it has made special: the only one
 * that saw a polka, the only one that decided, one that went ahead on votes that nobody else will ever see.
 */
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { findValidator } from '../../src/chain/validator-set.ts';
import type { Proposal, Vote } from '../../src/chain/votes.ts';
import type { Methods, Topics } from '../../protocols/messages.ts';
import type { Hop } from './network.ts';
import type { SimNode } from './node.ts';
import type { Prng } from './prng.ts';
import type { Trace } from './trace.ts';
import type { VirtualTime } from './time.ts';

/** Null where powers or folders do not allow it. */
export type MakeScheme = (adversary: Adversary) => Scheme | null;

const MAX_TRIES = 3;

export interface AdversaryModules {
  readonly schemes: readonly (readonly [weight: number, make: MakeScheme])[];
  readonly time: VirtualTime;
  readonly nodes: readonly SimNode[];
  readonly rng: Prng;
  readonly trace: Trace;
  readonly frozen: () => boolean;
  /** Both are well now: what one says, the other hears. */
  readonly isHealthy: (a: SimNode, b: SimNode) => boolean;
  /** Who certifies the next height. */
  readonly validators: () => ValidatorSet;
  readonly cutOff: (nodes: readonly SimNode[], ms: number, bothWays: boolean) => void;
  /** Whose folder may be replaced by its copy now. */
  readonly restorable: () => readonly SimNode[];
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
  /** Called before each message of any kind. */
  notice?(): void;
  /** It has done what it was for. */
  readonly isOver: boolean;
}

export class Adversary {
  readonly #modules: AdversaryModules;
  #rng: Prng;
  #scheme: Scheme | null = null;
  #untilMs = 0;
  /** Who must go on after the last strike, and until when. */
  #wanted: readonly SimNode[] = [];
  #wantedUntilMs = 0;
  #calmUntilMs = 0;

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

  get nowMs(): number {
    return this.#modules.time.nowMs;
  }

  get restorable(): readonly SimNode[] {
    return this.#modules.restorable();
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
    if (this.#isActive() || this.nodes.length < 3) return;
    this.#rng = rng;
    // Some need powers that are not there.
    for (let tries = 0; tries < MAX_TRIES && !this.#scheme; tries++) this.#scheme = this.#choose();
    this.#onBegin();
  }

  /** @returns whether it is under way now */
  beginOne(make: MakeScheme, rng: Prng): boolean {
    if (this.#isActive() || this.nodes.length < 3) return false;
    this.#rng = rng;
    this.#scheme = make(this);
    this.#onBegin();
    return this.#scheme !== null;
  }

  #onBegin(): void {
    if (!this.#scheme) return;
    const { time, trace } = this.#modules;
    this.#untilMs = time.nowMs + this.#rng.between(2_000, 12_000);
    trace.count(`scheme: ${this.#scheme.name}`);
    trace.say(null, `scheme: ${this.#scheme.name}`);
  }

  #choose(): Scheme | null {
    const { schemes } = this.#modules;
    let left = this.#rng.below(schemes.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of schemes) {
      left -= weight;
      if (left < 0) return make(this);
    }
    return null;
  }

  loses({ from, to, kind, message }: Hop): boolean {
    const scheme = this.#scheme;
    scheme?.notice?.();
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

  /** The scheme under way has met what it waited for, and lasts so long at least; no other fault comes meanwhile. */
  hold(ms: number): void {
    this.#calmUntilMs = this.#modules.time.nowMs + ms;
    this.#untilMs = Math.max(this.#untilMs, this.#calmUntilMs);
  }

  /** Other faults would spoil what is going on. */
  get isHolding(): boolean {
    return this.#isActive() && this.#modules.time.nowMs < this.#calmUntilMs;
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

  /** @param bothWays otherwise they hear, and are not heard */
  cutOff(nodes: readonly SimNode[], ms: number, bothWays = true): void {
    if (!this.#modules.frozen()) this.#modules.cutOff(nodes, ms, bothWays);
  }

  startWithin(node: SimNode, ms: number): void {
    this.#modules.time.after(this.rng.between(0, ms), () => {
      node.start();
    });
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
