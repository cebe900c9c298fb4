/**
 * One seed: a cluster under faults and load, with stretches in which the faults freeze and a healthy quorum must go on,
 * until it has its heights; then everything heals and all must agree.
 */
import { genesisState, parseGenesis } from '../../src/chain/genesis.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { equalBytes } from '../../src/bytes.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import type { StateReader } from '../../src/chain/state.ts';
import { memoryState } from '../../src/chain/state.ts';
import { findValidator, hasQuorum } from '../../src/chain/validator-set.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { timeoutMs } from '../../src/consensus/rounds.ts';
import { genesisJson } from '../util/chain-fixture.ts';
import { Checker, short } from './checker.ts';
import type { Struck } from './faults.ts';
import { Faults } from './faults.ts';
import type { Job } from './job.ts';
import { ACCOUNTS, Load } from './load.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import type { Plan } from './plan.ts';
import { makePlan } from './plan.ts';
import { Prng } from './prng.ts';
import { forgetSignatures, simCrypto } from './signatures.ts';
import { EPOCH_MS, settled, VirtualTime } from './time.ts';
import { Trace } from './trace.ts';
import { Traitor } from './traitor.ts';

const MIN_FAULTS = 5;
/** A new block must come within this time after the faults froze. */
const LIVENESS_MS = 10_000;
/** After everything healed, all nodes are at one height within this time. */
const CONVERGENCE_MS = 30_000;
/** The faults freeze later than meant while a scheme is under way, by so much at most. */
const MAX_HOLD_MS = 8_000;
const BOUNDS_EVERY_STEPS = 512;

export interface Outcome {
  readonly plan: Plan;
  readonly violations: readonly string[];
  readonly heights: number;
  readonly transactions: number;
  readonly faults: number;
  /** Faults that came by time or at a message, in order. */
  readonly struck: readonly Struck[];
  readonly topRound: number;
  /** Commits by nodes in rounds above 0. */
  readonly lateCommits: number;
  readonly conflictingLocks: number;
  /** Heights whose block was decided in more than one round. */
  readonly splitHeights: number;
  readonly crashesAtWrites: number;
  readonly setChanges: number;
  /** Heights at which some validator is demoted. */
  readonly demotions: number;
  readonly evidence: number;
  readonly livenessChecks: number;
  /** Virtual ms to the new block, in the slowest check. */
  readonly slowestMs: number;
  readonly virtualMs: number;
  readonly steps: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly trace: readonly string[];
}

export interface RunOptions extends Job {
  readonly onLine?: (line: string) => void;
}

export async function runSeed(options: RunOptions): Promise<Outcome> {
  forgetSignatures();
  const run = new Run(options);
  const onRejection = (error: unknown): void => {
    run.checker.fail(`unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('unhandledRejection', onRejection);
  try {
    return await run.finish();
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

const geneses = new Map<string, Genesis>();

function genesisOf(plan: Plan): Genesis {
  const powers = plan.powers.filter((power) => power > 0);
  const name = `${powers.join()} ${plan.minBlockIntervalMs}`;
  const known = geneses.get(name);
  if (known) return known;
  const params = { min_block_interval_ms: plan.minBlockIntervalMs };
  const genesis = parseGenesis(
    simCrypto,
    genesisJson({ powers, accounts: ACCOUNTS, params, timeMs: EPOCH_MS - 60_000 }),
  );
  geneses.set(name, genesis);
  return genesis;
}

class Run {
  readonly plan: Plan;
  readonly checker: Checker;
  readonly #genesis: Genesis;
  readonly #time = new VirtualTime();
  readonly #trace: Trace;
  readonly #network: SimNetwork;
  readonly #nodes: SimNode[];
  readonly #faults: Faults;
  readonly #load: Load;
  readonly #rng: Prng;
  readonly #leastFaults: number;
  #conflictingLocks = 0;
  #wasConflicting = false;
  #livenessChecks = 0;
  #slowestMs = 0;
  #faultsOn = false;

  constructor(options: RunOptions) {
    const root = new Prng(`seed ${options.seed}`);
    this.#rng = root.stream('run');
    const plan = makePlan(options, root.stream('plan'));
    this.plan = { ...plan, heights: options.heights ?? plan.heights };
    this.#leastFaults = options.heights !== undefined || options.filter ? 0 : MIN_FAULTS;
    this.#genesis = genesisOf(this.plan);
    this.#trace = new Trace(this.#time, options.onLine ?? null);
    this.checker = new Checker(this.#genesis, (key) =>
      this.#nodes.some((node) => node.isTraitor && equalBytes(node.publicKey, key)),
    );
    this.#network = this.#createNetwork(root.stream('network'));
    this.#network.base = this.plan.links;
    this.#network.relays = this.plan.relays;
    this.#nodes = this.plan.powers.map((_, i) => this.#createNode(i, root.stream(`node ${i}`)));
    const shared = {
      plan: this.plan,
      time: this.#time,
      network: this.#network,
      nodes: this.#nodes,
      trace: this.#trace,
    };
    this.#faults = new Faults({
      ...shared,
      rng: root.stream('faults'),
      ...(options.filter && { filter: options.filter }),
      validators: () => getSets(this.#agreedState()).current,
    });
    this.#load = new Load({
      ...shared,
      genesis: this.#genesis,
      checker: this.checker,
      rng: root.stream('load'),
      frozen: () => this.#faults.frozen,
    });
  }

  async finish(): Promise<Outcome> {
    this.#trace.say(null, describe(this.plan));
    for (const node of this.#nodes) {
      this.#time.after(this.#rng.between(0, 500), () => {
        node.start();
      });
    }
    this.#load.start();
    if (this.plan.control) this.#cutHonestApart();
    else this.#faults.start();
    while (!this.#isDone()) {
      this.#faultsOn = true;
      await this.#runFor(this.#rng.between(3_000, 20_000), () => this.#isDone());
      await this.#runFor(MAX_HOLD_MS, () => this.#isDone() || !this.#faults.isHolding);
      this.#faultsOn = false;
      if (!this.#isOver() && !this.plan.control) await this.#checkLiveness();
      if (this.#time.nowMs > this.plan.maxVirtualMs && !this.#isDone()) {
        this.checker.fail(`progress: ${this.checker.height} heights in ${this.plan.maxVirtualMs / 60_000} minutes`);
      }
    }
    if (!this.#isOver() && !this.plan.control) await this.#checkConvergence();
    await this.#end();
    return this.#outcome();
  }

  /** Whoever is not a traitor hears of the others through traitors alone. */
  #cutHonestApart(): void {
    const honest = this.#nodes.filter(({ isTraitor }) => !isTraitor);
    for (const a of honest) for (const b of honest) if (a !== b) this.#network.cut(a.id, b.id);
  }

  async #end(): Promise<void> {
    this.#faults.unfreeze([]);
    for (const node of this.#nodes) node.crash('ends');
    await settled();
  }

  #isOver(): boolean {
    return this.checker.violations.length > 0;
  }

  #isDone(): boolean {
    const { plan, checker } = this;
    return (
      this.#isOver() || (checker.height >= plan.heights && (plan.control || this.#faults.total >= this.#leastFaults))
    );
  }

  async #runFor(ms: number, until: () => boolean = () => false): Promise<void> {
    const end = this.#time.nowMs + ms;
    let watched = this.#time.steps;
    await this.#time.run(() => {
      const { steps } = this.#time;
      if (steps !== watched) {
        watched = steps;
        this.#watchLocks();
        if (steps % BOUNDS_EVERY_STEPS === 0) this.#checkBounds();
      }
      return this.#time.nowMs >= end || this.#isOver() || until();
    });
  }

  // Liveness

  async #checkLiveness(): Promise<void> {
    const core = this.#chooseCore();
    if (core.length === 0) {
      this.#trace.count('no healthy quorum to choose');
      return;
    }
    this.#faults.freeze(core);
    this.#load.onFreeze();
    const names = core.map(({ index }) => index).join(' ');
    this.#trace.say(null, `faults freeze at height ${this.checker.height}; healthy: ${names}`);
    // A process that starts is part of the core once it is up.
    await settled();
    const from = this.checker.height;
    const limitMs = this.#limitMs(core);
    const startMs = this.#time.nowMs;
    const arrived = (): boolean => core.some(({ stored }) => stored.height > from);
    const nudge = (): void => {
      if (arrived()) return;
      for (const node of core) this.#load.sendOne(node);
      this.#time.after(1_000, nudge);
    };
    nudge();
    await this.#runFor(limitMs, arrived);
    this.#livenessChecks++;
    const tookMs = this.#time.nowMs - startMs;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (!this.#isOver() && !arrived()) {
      this.checker.fail(
        `liveness: no new block in ${Math.round(limitMs)} ms after height ${from}: ${this.#standing()}`,
      );
    }
    if (!this.#isOver()) await this.#runFor(this.#rng.between(0, 2_000));
    this.#faults.unfreeze(core);
  }

  /** Ten seconds, a propose timeout for each faulty validator, and what headers may be ahead of the healthy clocks. */
  #limitMs(core: readonly SimNode[]): number {
    const { plan } = this;
    const { current } = getSets(this.#agreedState());
    const faulty = current.validators.filter(
      ({ publicKey }) => !core.some((node) => equalBytes(node.publicKey, publicKey)),
    ).length;
    const rounds = core.map(({ chain }) => chain?.engine.machine.round ?? 0);
    const proposeMs = timeoutMs(plan.timeouts, 'propose', Math.max(0, ...rounds) + 1);
    const headMs = this.checker.timeMs;
    const aheadMs = Math.max(0, headMs + plan.minBlockIntervalMs - Math.min(...core.map(({ clock }) => clock.now())));
    return LIVENESS_MS + faulty * proposeMs + aheadMs;
  }

  /** The state of the highest height on any disk. */
  #agreedState(): StateReader {
    return this.#highestState(this.#nodes);
  }

  #highestState(nodes: readonly SimNode[]): StateReader {
    const { stored } = nodes.reduce((best, node) => (node.stored.height > best.stored.height ? node : best));
    return stored.state.size > 0 ? stored.state : memoryState(genesisState(simCrypto, this.#genesis));
  }

  /** Honest nodes, one after another until they are a quorum now and after pending changes. */
  #chooseCore(): SimNode[] {
    const honest = this.#nodes.filter(({ isTraitor, isRestored, care }) => !isTraitor && !isRestored && !care.isLost);
    const state = this.#agreedState();
    const { current, next } = getSets(state);
    const isQuorum = (set: ValidatorSet, core: readonly SimNode[]): boolean => {
      // A floor of its own keeps a node from the height that they must decide, if it is not below.
      const next = Math.max(0, ...core.map(({ stored }) => stored.height)) + 1;
      const able = core.filter((node) => !node.sitsOut(next) && reachFrom(node, core) === next - 1);
      const members = able.map(({ publicKey }) => findValidator(set, publicKey)?.power ?? 0);
      return hasQuorum(
        set,
        members.reduce((sum, power) => sum + power, 0),
      );
    };
    // The highest block may be with nobody among them: they must be able to go on from what they have, too.
    const canGoOn = (core: readonly SimNode[]): boolean => {
      const own = getSets(this.#highestState(core));
      return [current, next, own.current, own.next].every((set) => isQuorum(set, core));
    };
    const all = this.plan.setChanges && !this.#load.isSettled(state);
    const core: SimNode[] = [];
    for (const node of this.#faults.coreFirst(this.#rng.shuffled(honest))) {
      if (!all && core.length > 0 && canGoOn(core)) break;
      core.push(node);
    }
    return core.length > 0 && canGoOn(core) ? core : [];
  }

  async #checkConvergence(): Promise<void> {
    const honest = this.#nodes.filter(({ isTraitor }) => !isTraitor);
    this.#faults.freeze(honest);
    const same = (): boolean =>
      honest.every(({ chain, stored }) => chain !== null && stored.height === this.checker.height);
    await this.#runFor(CONVERGENCE_MS, () => same() && honest.every(({ chain }) => chain?.sync.progress === null));
    if (!this.#isOver() && !same()) this.checker.fail(`convergence: not at one height: ${this.#standing()}`);
    this.#checkBounds();
  }

  // Watching

  #watchLocks(): void {
    const locks = new Map<number, Uint8Array>();
    let conflicting = false;
    for (const { chain, isTraitor } of this.#nodes) {
      if (!chain || isTraitor) continue;
      const { height, lockedId, round } = chain.engine.machine;
      this.#trace.topRound = Math.max(this.#trace.topRound, round);
      const other = locks.get(height);
      if (lockedId && other && !equalBytes(other, lockedId)) conflicting = true;
      if (lockedId) locks.set(height, lockedId);
    }
    if (conflicting && !this.#wasConflicting) this.#conflictingLocks++;
    this.#wasConflicting = conflicting;
  }

  #checkBounds(): void {
    for (const { index, chain } of this.#nodes) {
      if (chain) this.checker.checkBounds(index, chain, this.plan.mempool.maxTxs);
    }
  }

  #standing(): string {
    return this.#nodes
      .map(({ index, chain, isTraitor, stored }) => {
        const who = `n${index}${isTraitor ? ' (traitor)' : ''}`;
        if (!chain) return `${who} is down at ${stored.height}`;
        const { height, round, step, lockedRound, lockedId, validRound, validId } = chain.engine.machine;
        const gate = [...chain.gate.reasons.keys()].join(' ');
        const holds = `locked ${lockedRound} ${short(lockedId)}, valid ${validRound} ${short(validId)}`;
        return `${who} at ${height}/${round} ${step}, ${holds}, pool ${chain.pool.size}${gate ? `, gate: ${gate}` : ''}`;
      })
      .join('; ');
  }

  // Parts

  #createNetwork(rng: Prng): SimNetwork {
    const nodeOf = (id: string): SimNode | undefined => this.#nodes.find((node) => node.id === id);
    return new SimNetwork(this.#time, rng, {
      onPublish: (from, topic, message) => {
        const node = nodeOf(from);
        if (!node || node.isTraitor) return;
        this.checker.onPublish(node.index, node.publicKey, topic, message);
        node.onPublish(topic, message);
        if (topic === 'vote' || topic === 'proposal') this.#faults.onMessage(node);
      },
      onReport: (by, peer, action, reason) => {
        const [one, other] = [nodeOf(by), nodeOf(peer)];
        const isHonest = one && other && !one.isTraitor && !other.isTraitor;
        if (isHonest && action !== 'useful' && action !== 'timeout') {
          // Without traitors nothing forged is about; with them an honest relay must still never pass it on.
          this.checker.fail(`blame: ${by} reports honest ${peer}: ${action}, ${reason}`);
        }
      },
      onFault: (where, error) => {
        this.checker.fail(`handler: ${where}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
      },
    });
  }

  #createNode(index: number, rng: Prng): SimNode {
    const traitors = new Map<SimNode, Traitor>();
    const traitorOf = (node: SimNode): Traitor => {
      const known = traitors.get(node);
      if (known) return known;
      const made = new Traitor({
        name: node.name,
        chain: this.#genesis.chain,
        tricks: this.plan.tricks,
        cautious: this.plan.cautious,
        onInvalid: (blockId) => {
          this.checker.onInvalid(blockId);
        },
        rng: rng.stream('traitor'),
        peers: () => this.#nodes.filter((other) => other !== node).map(({ id }) => id),
        whisper: (to, topic, message) => {
          if (this.#network.isConnected(node.id, to)) this.#network.whisper(node.id, to, topic, message);
        },
        onTrick: (trick) => {
          this.#trace.count(`trick: ${trick}`);
        },
      });
      traitors.set(node, made);
      return made;
    };
    return new SimNode(
      index,
      {
        plan: this.plan,
        genesis: this.#genesis,
        time: this.#time,
        network: this.#network,
        checker: this.checker,
        trace: this.#trace,
        faultsOn: () => this.#faultsOn,
        onEnd: (node) => {
          this.#faults.onEnd(node);
        },
        corrupt: (node, _, network) => traitorOf(node).network(network),
        listen: (node, handlers) => traitorOf(node).handlers(handlers),
      },
      rng,
    );
  }

  #outcome(): Outcome {
    const crashes = [...this.#trace.counts].filter(([name]) => name.startsWith('crash '));
    return {
      plan: this.plan,
      violations: this.checker.violations,
      heights: this.checker.height,
      transactions: this.checker.transactions,
      faults: this.#faults.total,
      struck: this.#faults.struck,
      topRound: this.#trace.topRound,
      lateCommits: this.#trace.lateCommits,
      conflictingLocks: this.#conflictingLocks,
      splitHeights: this.checker.splitHeights.size,
      crashesAtWrites: crashes.reduce((sum, [, count]) => sum + count, 0),
      setChanges: this.checker.setChanges,
      demotions: this.checker.demotions,
      evidence: this.checker.evidence,
      livenessChecks: this.#livenessChecks,
      slowestMs: this.#slowestMs,
      virtualMs: this.#time.nowMs,
      steps: this.#time.steps,
      counts: new Map([...this.#trace.counts, ...this.checker.market]),
      trace: this.#trace.lines,
    };
  }
}

/** How high a node comes with the blocks that these hold. */
function reachFrom(node: SimNode, core: readonly SimNode[]): number {
  let height = -1;
  for (let next = node.stored.height; next > height; ) {
    height = next;
    for (const { stored } of core) if (stored.base <= height + 1) next = Math.max(next, stored.height);
  }
  return height;
}

function describe(plan: Plan): string {
  const { powers, traitors, tricks, minBlockIntervalMs, verifyMs, diskMs, writeFaults, tornSectors, links } = plan;
  const bad = traitors.length > 0 ? `; traitors ${traitors.join(' ')}: ${tricks.join(', ')}` : '';
  return (
    `powers ${powers.join(' ')}${bad}; interval ${minBlockIntervalMs} ms, verify ${verifyMs} ms, disk ${diskMs} ms, ` +
    `drop ${links.drop.toFixed(2)}, delay ${Math.round(links.maxMs)} ms, ` +
    `write faults ${writeFaults}${tornSectors ? ', torn sectors' : ''}`
  );
}
