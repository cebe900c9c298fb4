/** What goes wrong in a run, when and for how long. Frozen, nothing new goes wrong and nothing heals by itself. */
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { findValidator } from '../../src/chain/validator-set.ts';
import { Adversary } from './adversary.ts';
import type { FaultFilter } from './job.ts';
import { passes } from './job.ts';
import type { LinkQuality, SimNetwork } from './network.ts';
import { GOOD_LINK } from './network.ts';
import type { SimNode } from './node.ts';
import type { Plan } from './plan.ts';
import type { Prng } from './prng.ts';
import { holdsOwnProof, isFoundOut } from './restores.ts';
import { forgottenVotes, SCHEMES } from './schemes.ts';
import type { VirtualTime } from './time.ts';
import type { Trace } from './trace.ts';

/** Offsets of healthy clocks: any two are within the precision of 500 ms. */
const HEALTHY_OFFSET_MS = 240;
/** A heal that comes due while frozen waits this long and tries again. */
const DEFER_MS = 1_000;
/** Blocks that a copy of a folder is behind, at least: certificates of so many hold a signature of almost any key. */
const LEAST_RESTORED = 3;

export interface FaultModules {
  readonly plan: Plan;
  readonly time: VirtualTime;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly rng: Prng;
  readonly trace: Trace;
  /** Which faults happen, by name; all when not given. */
  readonly filter?: FaultFilter;
  /** Who certifies the height after the highest on any disk. */
  readonly validators: () => ValidatorSet;
}

type Fault = (faults: Faults) => void;

/** A fault that happened. */
export interface Struck {
  /** Its number among those that come by time, or `m` and its number among those that wait for a message. */
  readonly name: string;
  readonly kind: string;
  readonly atMs: number;
}

const MENU: readonly (readonly [weight: number, name: string, fault: Fault])[] = [
  [5, 'crash', (f) => f.crashSome(1)],
  [2, 'crash of several', (f) => f.crashSome(2 + f.rng.below(f.count))],
  [2, 'power cut', (f) => f.crashSome(f.count)],
  [2, 'stop', (f) => f.stopOne()],
  [3, 'partition', (f) => f.partition(true)],
  [3, 'one-way partition', (f) => f.partition(false)],
  [2, 'isolated node', (f) => f.isolate()],
  [2, 'flapping link', (f) => f.flap()],
  [3, 'bad network', (f) => f.badNetwork()],
  [2, 'bad link', (f) => f.badLink()],
  [2, 'clock jump', (f) => f.jump()],
  [6, 'scheme', (f) => f.scheme()],
  [4, 'restored folder', (f) => f.restore()],
  [3, 'lost guard', (f) => f.loseGuard()],
];

export class Faults {
  readonly #modules: FaultModules;
  /** Moments come from streams of their own, and so does all else about each fault: leaving one out shifts no other. */
  readonly #moments: Prng;
  readonly #messages: Prng;
  readonly #healing: Prng;
  readonly #happens: (name: string) => boolean;
  #rng: Prng;
  #turns = 0;
  #meddled = 0;
  #untilMeddling: number;
  frozen = false;
  readonly struck: Struck[] = [];
  readonly #core = new Set<SimNode>();
  readonly #adversary: Adversary;

  constructor(modules: FaultModules) {
    this.#modules = modules;
    this.#rng = modules.rng;
    this.#moments = modules.rng.stream('moments');
    this.#messages = modules.rng.stream('messages');
    this.#healing = modules.rng.stream('healing');
    this.#happens = passes(modules.filter);
    this.#untilMeddling = this.#drawMeddling();
    const { network, time, nodes, rng, trace } = modules;
    this.#adversary = new Adversary({
      ...{ time, nodes, trace },
      schemes: SCHEMES,
      rng: rng.stream('adversary'),
      frozen: () => this.frozen,
      isHealthy: (a, b) => this.frozen && this.#core.has(a) && this.#core.has(b),
      validators: modules.validators,
      cutOff: (some, ms, bothWays) => {
        const others = nodes.filter((node) => !some.includes(node));
        this.#cutFor(ms, some, others, bothWays);
      },
      restorable: () => this.#restorable(),
    });
    network.loses = (hop) => this.#adversary.loses(hop);
  }

  /** A scheme is in the middle of what it is for. */
  get isHolding(): boolean {
    return this.#adversary.isHolding;
  }

  get count(): number {
    return this.#modules.nodes.length;
  }

  /** Of the fault that strikes now. */
  get rng(): Prng {
    return this.#rng;
  }

  get total(): number {
    return this.struck.length;
  }

  start(): void {
    const { plan, time } = this.#modules;
    time.after(this.#moments.between(0, 2 * plan.faultEveryMs), () => {
      const name = String(++this.#turns);
      if (!this.frozen && !this.isHolding && this.#happens(name)) this.#strike(name);
      this.start();
    });
  }

  #strike(name: string): void {
    const rng = this.#modules.rng.stream(name);
    let left = rng.below(MENU.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, kind, fault] of MENU) {
      left -= weight;
      if (left >= 0) continue;
      this.#begin(name, kind, rng);
      fault(this);
      this.#backUpAll();
      return;
    }
  }

  #begin(name: string, kind: string, rng: Prng): void {
    const { trace, time } = this.#modules;
    this.#rng = rng;
    this.struck.push({ name, kind, atMs: time.nowMs });
    trace.count(`fault: ${kind}`);
    trace.say(null, `fault ${name}: ${kind}`);
  }

  /** How many messages away the next one to be struck is. */
  #drawMeddling(): number {
    const { meddling } = this.#modules.plan;
    return meddling === 0 ? Infinity : 1 + Math.floor(Math.log(1 - this.#messages.next()) / Math.log(1 - meddling));
  }

  /** A vote or proposal is about to leave: the worst moment for those who need it. */
  onMessage(from: SimNode): void {
    if (this.frozen || this.isHolding || --this.#untilMeddling > 0) return;
    this.#untilMeddling = this.#drawMeddling();
    const name = `m${++this.#meddled}`;
    if (this.#happens(name)) this.#meddle(name, from);
  }

  #meddle(name: string, from: SimNode): void {
    const { nodes } = this.#modules;
    const rng = this.#modules.rng.stream(name);
    if (rng.chance(0.2)) {
      this.#begin(name, 'crash at a vote', rng);
      const node = rng.pick([from, ...nodes]);
      this.#modules.time.after(rng.between(0, 30), () => {
        if (!this.frozen) node.crash('crashes');
      });
    } else {
      this.#begin(name, 'cut at a vote', rng);
      this.partition(rng.chance(0.7), rng.between(300, 5_000));
    }
  }

  /** Undoes a fault after a while. */
  #after(ms: number, heal: () => void): void {
    this.#modules.time.after(ms, () => {
      if (this.frozen) this.#after(DEFER_MS, heal);
      else heal();
    });
  }

  #say(text: string): void {
    this.#modules.trace.say(null, text);
  }

  // Processes

  crashSome(most: number): void {
    const nodes = this.rng.shuffled(this.#modules.nodes).slice(0, most);
    for (const node of nodes) {
      node.crash('crashes');
    }
  }

  /** Whatever ended a process, it is started again some time. */
  onEnd(node: SimNode): void {
    if (this.#core.has(node)) {
      this.#modules.time.after(1, () => {
        node.start();
      });
      return;
    }
    const rng = this.#healing;
    const ms = rng.chance(0.3) ? rng.between(5, 200) : rng.between(200, 8_000);
    this.#after(ms, () => {
      node.start();
    });
  }

  /**
   * Puts an older copy of a folder back where the others can do without that node: it must find out by itself, and signs
   * nothing until it is past all that its key may have signed.
   */
  restore(): void {
    const ripe = this.#restorable();
    if (ripe.length > 0 && this.rng.chance(0.5) && this.#adversary.beginOne(forgottenVotes, this.rng)) return;
    if (ripe.length > 0) this.rng.pick(ripe).restore();
  }

  #backUpAll(): void {
    if (!this.#modules.plan.restores) return;
    for (const node of this.#modules.nodes) if (node.backupHeight === null && !this.#sitsOut(node)) node.backUp();
  }

  /**
   * The files of a sign guard are gone, where the others can do without that node. It signs nothing until its operator gives
   * the word, who comes some time later, and may leave it in place.
   */
  loseGuard(): void {
    const { plan, time } = this.#modules;
    if (!plan.restores) return;
    const { set, sound, faultyPower, powerOf } = this.#soundness();
    const spare = sound.filter((node) => {
      const { care, hasGuard, publicKey, stored } = node;
      if (!hasGuard || 3 * (faultyPower + powerOf(node)) > set.totalPower) return false;
      // What it signed since must show in its own blocks.
      return care.word === null || holdsOwnProof(stored, { publicKey, height: care.word }, set);
    });
    if (spare.length === 0) return;
    const { rng } = this;
    const node = rng.pick(spare);
    node.loseGuard();
    time.after(rng.between(500, 12_000), () => {
      if (!node.care.isLost) return;
      node.care.giveWord(rng.pick([0, 0, 2, 5]));
      if (rng.chance(0.5)) node.crash('is started with --sign-above');
      else void node.stop();
    });
  }

  /** It signs nothing at the height after its own, as its folder is, or will not after a crash. */
  #sitsOut(node: SimNode): boolean {
    return node.care.isWordOpen || node.sitsOut(node.stored.height + 1);
  }

  #soundness(): {
    readonly set: ValidatorSet;
    readonly sound: readonly SimNode[];
    readonly faultyPower: number;
    readonly powerOf: (node: SimNode) => number;
  } {
    const { nodes, validators } = this.#modules;
    const set = validators();
    const powerOf = ({ publicKey }: SimNode): number => findValidator(set, publicKey)?.power ?? 0;
    const faulty = nodes.filter((node) => node.isTraitor || this.#sitsOut(node));
    const sound = nodes.filter((node) => !faulty.includes(node));
    return { set, sound, powerOf, faultyPower: faulty.reduce((sum, node) => sum + powerOf(node), 0) };
  }

  #restorable(): SimNode[] {
    const { set, sound, faultyPower, powerOf } = this.#soundness();
    return sound.filter((node) => {
      const { backupHeight, publicKey, stored } = node;
      if (backupHeight === null || stored.height < backupHeight + LEAST_RESTORED) return false;
      const others = sound
        .filter((other) => other !== node)
        .map((other) => ({ stored: other.stored, power: powerOf(other) }));
      return isFoundOut(
        { publicKey, height: Math.max(backupHeight, node.care.word ?? 0) },
        others,
        faultyPower + powerOf(node),
        set,
      );
    });
  }

  stopOne(): void {
    const node = this.rng.pick(this.#modules.nodes);
    void node.stop();
  }

  // Network

  partition(bothWays: boolean, forMs = this.rng.between(500, 15_000)): void {
    const nodes = this.rng.shuffled(this.#modules.nodes);
    const size = this.rng.below(nodes.length + 1);
    const [left, right] = [nodes.slice(0, size), nodes.slice(size)];
    if (left.length === 0 || right.length === 0) return;
    const way = bothWays ? '|' : '>';
    this.#say(`cut ${left.map(({ index }) => index).join(' ')} ${way} ${right.map(({ index }) => index).join(' ')}`);
    this.#cutFor(forMs, left, right, bothWays);
  }

  isolate(): void {
    const node = this.rng.pick(this.#modules.nodes);
    const others = this.#modules.nodes.filter((other) => other !== node);
    this.#say(`cut ${node.index} off`);
    this.#cutFor(this.rng.between(500, 20_000), [node], others, this.rng.chance(0.5));
  }

  flap(): void {
    const [a, b] = this.rng.shuffled(this.#modules.nodes);
    if (!a || !b) return;
    this.#say(`link ${a.index} ${b.index} flaps`);
    const { rng } = this;
    let left = 3 + rng.below(10);
    const toggle = (): void => {
      if (--left < 0) return;
      this.#cutFor(rng.between(50, 1_500), [a], [b], rng.chance(0.5));
      this.#after(rng.between(100, 3_000), toggle);
    };
    toggle();
  }

  #cutFor(ms: number, left: readonly SimNode[], right: readonly SimNode[], bothWays: boolean): void {
    const { network } = this.#modules;
    const pairs = left.flatMap((a) => right.map((b) => [a.id, b.id] as const));
    for (const [a, b] of pairs) {
      network.cut(a, b);
      if (bothWays) network.cut(b, a);
    }
    this.#after(ms, () => {
      for (const [a, b] of pairs) {
        network.mend(a, b);
        if (bothWays) network.mend(b, a);
      }
    });
  }

  badNetwork(): void {
    const { network, plan } = this.#modules;
    network.base = this.#badQuality();
    this.#say(`network: ${JSON.stringify(network.base)}`);
    this.#after(this.rng.between(1_000, 20_000), () => {
      network.base = plan.links;
    });
  }

  badLink(): void {
    const { network, nodes } = this.#modules;
    const [a, b] = this.rng.shuffled(nodes);
    if (!a || !b) return;
    const quality = this.#badQuality();
    this.#say(`link ${a.index} > ${b.index}: ${JSON.stringify(quality)}`);
    network.setQuality(a.id, b.id, quality);
    this.#after(this.rng.between(1_000, 20_000), () => {
      network.setQuality(a.id, b.id, null);
    });
  }

  #badQuality(): LinkQuality {
    const maxMs = this.rng.pick([50, 300, 1_000, 5_000]);
    return {
      drop: Math.round(this.rng.between(0, 20)) / 100,
      duplicate: this.rng.chance(0.5) ? 0.2 : 0,
      minMs: 1,
      maxMs,
    };
  }

  scheme(): void {
    this.#adversary.begin(this.rng);
  }

  /** In this order they become the healthy quorum. */
  coreFirst(nodes: readonly SimNode[]): readonly SimNode[] {
    return this.#adversary.coreFirst(nodes);
  }

  // Clocks

  jump(): void {
    const node = this.rng.pick(this.#modules.nodes);
    const from = node.clock.offsetMs;
    node.clock.offsetMs = this.rng.between(-5_000, 5_000);
    this.#modules.trace.say(node.index, `clock jumps from ${Math.round(from)} to ${Math.round(node.clock.offsetMs)}`);
    this.#after(this.rng.between(1_000, 20_000), () => {
      node.clock.offsetMs = this.#healing.between(-HEALTHY_OFFSET_MS, HEALTHY_OFFSET_MS);
    });
  }

  // The end of faults

  /** These nodes are well from now on, among themselves; all else stays as bad as it is. */
  freeze(core: readonly SimNode[]): void {
    const { network } = this.#modules;
    this.frozen = true;
    for (const node of core) {
      this.#core.add(node);
      node.clock.offsetMs = this.#healing.between(-HEALTHY_OFFSET_MS, HEALTHY_OFFSET_MS);
      for (const other of core) {
        if (node === other) continue;
        network.mend(node.id, other.id);
        network.setQuality(node.id, other.id, GOOD_LINK);
      }
      node.start();
    }
  }

  unfreeze(core: readonly SimNode[]): void {
    const { network } = this.#modules;
    this.frozen = false;
    this.#core.clear();
    for (const node of core) for (const other of core) network.setQuality(node.id, other.id, null);
  }
}
