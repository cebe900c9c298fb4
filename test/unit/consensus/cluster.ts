/**
 * A small deterministic cluster of agreement machines at one height: virtual time, a network that drops, delays, doubles
 * and parts, crashes on both sides of the guard's write, and traitors. One seed is one run.
 */
import type { Hash, PublicKey } from '../../../src/bytes.ts';
import { equalBytes, toHex } from '../../../src/bytes.ts';
import { checkEvidence, evidenceOffender } from '../../../src/chain/evidence.ts';
import type { ValidatorSet } from '../../../src/chain/validator-set.ts';
import { proposerOf } from '../../../src/chain/validator-set.ts';
import { votesOfCertificate } from '../../../src/chain/votes.ts';
import type { Certificate, Proposal, Vote, VoteType } from '../../../src/chain/votes.ts';
import { startHeight, step } from '../../../src/consensus/machine.ts';
import type { MachineState } from '../../../src/consensus/machine.ts';
import { justification, ownVotes, polkaCertificate, proposals, votesFrom } from '../../../src/consensus/selectors.ts';
import type { Effect, Input, Resume } from '../../../src/consensus/types.ts';
import { randomOf } from './random.ts';
import { HEIGHT, key, setOf, TIMEOUTS } from './table.ts';

const REPAIR_MS = 400;
const TRAITOR_MS = 150;

export interface ClusterOptions {
  readonly seed: number;
  readonly powers: readonly number[];
  readonly traitors?: readonly number[];
  /** Never start. */
  readonly absent?: readonly number[];
  /** Instead of a new set of these powers. */
  readonly set?: ValidatorSet;
  /** All hear of a reason for a block at once, instead of some and later. */
  readonly sharedWork?: boolean;
  /** Faults of network, disk and processes end here; traitors go on. */
  readonly faultsUntilMs: number;
  readonly endMs: number;
}

export interface Outcome {
  /** Empty in a run that is right. */
  readonly violations: readonly string[];
  /** Block id and time by node; traitors have none. */
  readonly commits: ReadonlyMap<number, { readonly blockId: string; readonly atMs: number }>;
  /** By node; they may be of different rounds. */
  readonly certificates: ReadonlyMap<number, Certificate>;
  /** Who made the block. */
  readonly proposer: PublicKey | null;
  readonly honest: number;
  readonly topRound: number;
  readonly crashes: number;
  readonly evidence: number;
  /** Nodes were locked on different values at some time. */
  readonly conflictingLocks: boolean;
}

interface Value {
  readonly blockId: Hash;
  readonly valid: boolean;
  /** Part of the nodes that find its time right. */
  readonly timely: number;
  readonly maker: number;
}

interface Node {
  readonly index: number;
  /** Null while it is down. */
  state: MachineState | null;
  /** What is on its disk. */
  record: Resume | null;
  life: number;
  /** It knows a reason for a block. */
  hasWork: boolean;
  decided: Certificate | null;
  /** Nothing it sends arrives while faults last. */
  silent: boolean;
  queue: Input[];
}

export function runCluster(options: ClusterOptions): Outcome {
  return new Cluster(options).run();
}

class Cluster {
  readonly #options: ClusterOptions;
  readonly #random: () => number;
  readonly #set: ValidatorSet;
  readonly #nodes: Node[];
  readonly #traitors: readonly number[];
  readonly #values = new Map<string, Value>();
  readonly #agenda: { atMs: number; order: number; act: () => void }[] = [];
  /** What honest keys signed, by slot; and every vote ever signed, for the check of certificates. */
  readonly #slots = new Map<string, string>();
  readonly #signed = new Set<string>();
  readonly #violations: string[] = [];
  /** How bad this run's network, processes and builders are. */
  readonly #loss: number;
  readonly #slowness: number;
  readonly #crashRate: number;
  readonly #commits = new Map<number, { blockId: string; atMs: number }>();
  #nowMs = 0;
  #order = 0;
  #topRound = 0;
  #crashes = 0;
  #evidence = 0;
  #conflictingLocks = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#random = randomOf(options.seed * 7919 + options.powers.length);
    this.#loss = this.#pick([0.02, 0.15, 0.3, 0.5]);
    this.#slowness = this.#pick([0.1, 0.3, 0.6]);
    this.#crashRate = this.#pick([0, 0.02, 0.08]);
    this.#set = options.set ?? setOf(options.powers);
    this.#traitors = options.traitors ?? [];
    this.#nodes = options.powers.map((_, index) => ({
      index,
      state: null,
      record: null,
      life: 0,
      hasWork: false,
      decided: null,
      silent: false,
      queue: [],
    }));
  }

  run(): Outcome {
    const absent = this.#options.absent ?? [];
    const honest = this.#nodes.filter((node) => !this.#isTraitor(node.index) && !absent.includes(node.index));
    for (const node of honest) this.#start(node);
    // Often a single node has a reason for a block: its votes must wake the rest.
    const first = this.#pick(honest);
    const { sharedWork = false } = this.#options;
    for (const node of honest) {
      if (sharedWork || node === first || this.#chance(0.4)) {
        this.#later(this.#between(0, sharedWork ? 20 : 500), () => {
          node.hasWork = true;
          this.#feed(node, { type: 'work' });
        });
      }
    }
    for (const index of this.#traitors) this.#later(TRAITOR_MS, () => this.#betray(index));
    while (this.#agenda.length > 0 && this.#commits.size < honest.length) {
      const next = this.#agenda.pop();
      if (!next || next.atMs > this.#options.endMs) break;
      this.#nowMs = next.atMs;
      next.act();
    }
    return {
      violations: this.#violations,
      commits: this.#commits,
      certificates: new Map(this.#nodes.flatMap(({ index, decided }) => (decided ? [[index, decided]] : []))),
      proposer: this.#makerOf([...this.#commits.values()][0]?.blockId),
      honest: honest.length,
      topRound: this.#topRound,
      crashes: this.#crashes,
      evidence: this.#evidence,
      conflictingLocks: this.#conflictingLocks,
    };
  }

  // Chance and time

  #chance(p: number): boolean {
    return this.#random() < p;
  }

  #between(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low + 1));
  }

  #pick<T>(list: readonly T[]): T {
    const item = list[this.#between(0, list.length - 1)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  get #faulty(): boolean {
    return this.#nowMs < this.#options.faultsUntilMs;
  }

  #isTraitor(index: number): boolean {
    return this.#traitors.includes(index);
  }

  /** The agenda is kept with its earliest entry last. */
  #later(ms: number, act: () => void): void {
    const entry = { atMs: this.#nowMs + ms, order: this.#order++, act };
    let low = 0;
    let high = this.#agenda.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#agenda[middle];
      if (other && (other.atMs > entry.atMs || (other.atMs === entry.atMs && other.order > entry.order)))
        low = middle + 1;
      else high = middle;
    }
    this.#agenda.splice(low, 0, entry);
  }

  // Network

  /** Partitions change every two seconds: each node is on one of two sides, or all are together. */
  #areParted(from: number, to: number): boolean {
    const epoch = Math.floor(this.#nowMs / 2000);
    const draw = randomOf(this.#options.seed * 31 + epoch);
    if (draw() < 0.4) return false;
    const sides = this.#nodes.map(() => draw() < 0.5);
    return sides[from] !== sides[to] && (draw() < 0.6 || from < to);
  }

  #send(from: number, to: number, input: Input): void {
    const node = this.#nodes[to];
    if (!node || from === to || this.#isTraitor(to)) return;
    if (this.#faulty && (this.#nodes[from]?.silent === true || this.#areParted(from, to) || this.#chance(this.#loss)))
      return;
    const copies = this.#faulty && this.#chance(0.1) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const ms = this.#faulty && this.#chance(this.#slowness) ? this.#between(1, 3000) : this.#between(1, 40);
      this.#later(ms, () => {
        this.#feed(node, input);
      });
    }
  }

  #publish(from: number, input: Input): void {
    for (const { index } of this.#nodes) this.#send(from, index, input);
  }

  // Honest nodes

  #start(node: Node): void {
    node.life++;
    node.queue = [];
    const self = key(this.#set, node.index);
    const start = { height: HEIGHT, validators: this.#set, self, timeouts: TIMEOUTS, resume: node.record };
    const { state, effects } = startHeight(start);
    node.state = state;
    this.#perform(node, effects);
    if (node.hasWork) node.queue.push({ type: 'work' });
    this.#drain(node);
    const { life } = node;
    const repair = (): void => {
      if (node.life !== life) return;
      this.#repair(node);
      this.#later(REPAIR_MS + this.#between(0, 50), repair);
    };
    this.#later(REPAIR_MS, repair);
  }

  #crash(node: Node): void {
    this.#crashes++;
    node.life++;
    node.state = null;
    this.#later(this.#between(50, 2500), () => {
      this.#start(node);
    });
  }

  #feed(node: Node, input: Input): void {
    if (!node.state || node.decided) return;
    node.queue.push(input);
    this.#drain(node);
  }

  #drain(node: Node): void {
    for (let input = node.queue.shift(); input && node.state; input = node.queue.shift()) {
      const turn = step(node.state, input);
      node.state = turn.state;
      this.#perform(node, turn.effects);
    }
    this.#look();
  }

  #look(): void {
    const locks = new Set<string>();
    for (const { state } of this.#nodes) {
      if (!state) continue;
      this.#topRound = Math.max(this.#topRound, state.round);
      if (state.lockedId) locks.add(toHex(state.lockedId));
    }
    if (locks.size > 1) this.#conflictingLocks = true;
  }

  #perform(node: Node, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (!node.state) return;
      this.#performOne(node, node.state, effect);
    }
  }

  #performOne(node: Node, state: MachineState, effect: Effect): void {
    const { life } = node;
    const answer = (ms: number, input: Input): void => {
      this.#later(ms, () => {
        if (node.life === life) this.#feed(node, input);
      });
    };
    const slow = this.#faulty && this.#chance(0.2) ? this.#between(100, 2000) : this.#between(1, 30);
    switch (effect.type) {
      case 'build':
        answer(slow, {
          type: 'built',
          round: effect.round,
          blockId: this.#newValue(node.index, true, this.#faulty ? 0.8 : 1),
        });
        return;
      case 'propose':
        this.#sign(node, state, effect.round, 'propose', effect);
        return;
      case 'vote':
        this.#sign(node, state, effect.round, effect.voteType, effect);
        return;
      case 'validate': {
        const value = this.#values.get(toHex(effect.blockId));
        if (!value) return;
        const timely = randomOf(value.timely * 1e6 + node.index + (value.blockId[1] ?? 0))() < value.timely;
        const { blockId, valid } = value;
        answer(slow, { type: 'validated', blockId, valid, timely: timely || value.timely === 1 });
        return;
      }
      case 'timer':
        answer(effect.ms, { type: 'timeout', kind: effect.kind, round: effect.round });
        return;
      case 'commit':
        this.#commit(node, effect.blockId, effect.certificate);
        return;
      case 'evidence':
        this.#evidence++;
        checkEvidence(effect.evidence);
        if (!this.#traitors.some((index) => equalBytes(key(this.#set, index), evidenceOffender(effect.evidence)))) {
          this.#violations.push('evidence against an honest validator');
        }
        return;
      case 'new-round':
      case 'await-body':
        return;
    }
  }

  /** Guard first, then publish; a crash may come before, between and after. */
  #sign(
    node: Node,
    state: MachineState,
    round: number,
    kind: 'propose' | VoteType,
    effect: Extract<Effect, { type: 'propose' | 'vote' }>,
  ): void {
    if (this.#faulty && this.#chance(this.#crashRate)) {
      this.#crash(node);
      return;
    }
    const slot = `${node.index} ${round} ${kind}`;
    const name = effect.blockId ? toHex(effect.blockId) : 'nil';
    if (this.#slots.has(slot)) this.#violations.push(`signed twice: ${slot}`);
    this.#slots.set(slot, name);
    const input =
      effect.type === 'vote' ? this.#voteInput(node.index, effect) : this.#proposalInput(node.index, effect);
    const polka = polkaCertificate(state);
    const before = node.record;
    const own = (before?.votes ?? []).filter((vote) => equalBytes(vote.validator, key(this.#set, node.index)));
    node.record = {
      round,
      step: kind,
      lockedRound: state.lockedRound,
      lockedId: state.lockedId,
      validRound: state.validRound,
      validId: state.validId,
      votes: [
        ...own,
        ...(input.type === 'self-vote' ? [input.vote] : []),
        ...justification(state),
        ...(polka ? votesOfCertificate(this.#set, polka) : []),
      ],
      proposals: [...(before?.proposals ?? []), ...(input.type === 'self-proposal' ? [input.proposal] : [])],
    };
    if (this.#faulty && this.#chance(this.#crashRate)) {
      this.#crash(node);
      return;
    }
    this.#publish(node.index, fromNetwork(input));
    node.queue.push(input);
  }

  #voteInput(
    index: number,
    effect: { voteType: VoteType; round: number; blockId: Hash | null },
  ): Input & { type: 'self-vote' } {
    return { type: 'self-vote', vote: this.#vote(index, effect.voteType, effect.round, effect.blockId) };
  }

  #proposalInput(
    index: number,
    { round, polRound, blockId }: { round: number; polRound: number; blockId: Hash },
  ): Input & { type: 'self-proposal' } {
    return { type: 'self-proposal', proposal: proposalBy(key(this.#set, index), round, polRound, blockId) };
  }

  #vote(index: number, type: VoteType, round: number, blockId: Hash | null): Vote {
    this.#signed.add(`${index} ${type} ${round} ${blockId ? toHex(blockId) : 'nil'}`);
    const validator = key(this.#set, index);
    return { type, height: HEIGHT, round, blockId, validator, signature: new Uint8Array(64).fill(index) };
  }

  #makerOf(name: string | undefined): PublicKey | null {
    const value = this.#values.get(name ?? '');
    return value ? key(this.#set, value.maker) : null;
  }

  #newValue(maker: number, valid: boolean, timely: number): Hash {
    const blockId = new Uint8Array(32);
    new DataView(blockId.buffer).setUint32(0, this.#values.size + 1);
    this.#values.set(toHex(blockId), { blockId, valid, timely, maker });
    return blockId;
  }

  #commit(node: Node, blockId: Hash, certificate: Certificate): void {
    const name = toHex(blockId);
    node.decided = certificate;
    // The others must come to the same block without its help.
    node.silent = this.#chance(0.7);
    this.#commits.set(node.index, { blockId: name, atMs: this.#nowMs });
    if (new Set([...this.#commits.values()].map((commit) => commit.blockId)).size > 1) {
      this.#violations.push('two blocks were committed');
    }
    if (this.#values.get(name)?.valid !== true) this.#violations.push('an invalid block was committed');
    const power = [...new Set(certificate.signers)]
      .filter((signer) => this.#signed.has(`${signer} precommit ${certificate.round} ${name}`))
      .reduce((sum, signer) => sum + (this.#options.powers[signer] ?? 0), 0);
    const total = this.#options.powers.reduce((sum, each) => sum + each, 0);
    if (power * 3 < total * 2) this.#violations.push('a certificate without a quorum');
  }

  /** What the engine does against loss: own votes, justification, polka and proposal again, and a request to one peer. */
  #repair(node: Node): void {
    const { state, decided } = node;
    if (decided) this.#publish(node.index, { type: 'certificate', certificate: decided });
    if (!state || decided || state.step === 'idle') return;
    const votes = [...ownVotes(state).filter((vote) => vote.round >= state.round - 1), ...justification(state)];
    for (const vote of votes) this.#publish(node.index, { type: 'vote', vote });
    const own = proposals(state).find(
      ({ round, proposer }) => round === state.round && equalBytes(proposer, key(this.#set, node.index)),
    );
    if (own) this.#publish(node.index, { type: 'proposal', proposal: own });
    const polka = polkaCertificate(state);
    if (polka) this.#publish(node.index, { type: 'certificate', certificate: polka });
    const peer = this.#pick(this.#nodes);
    if (!peer.state || peer === node) return;
    for (const proposal of proposals(peer.state)) this.#send(peer.index, node.index, { type: 'proposal', proposal });
    for (const vote of votesFrom(peer.state, state.round, 200))
      this.#send(peer.index, node.index, { type: 'vote', vote });
  }

  // Traitors

  /**
   * Half the time a plan: a node, or each, is told what fits its own sight, so that one alone locks and sides kept apart
   * would each decide. Half the time noise: proposals and votes of rounds past and to come, for any value heard of.
   */
  #betray(index: number): void {
    const noise = this.#values.size === 0 || this.#chance(0.5);
    const round = Math.max(0, this.#topRound + this.#pick([-1, 0, 0, 0, 0, 1, 7]));
    const favourite = this.#chance(0.6) ? this.#pick(this.#nodes) : null;
    for (const node of this.#nodes) {
      if (noise) this.#makeNoise(index, node, round);
      else if (favourite === null || favourite === node) this.#deceive(index, node);
    }
    this.#later(TRAITOR_MS + this.#between(0, 100), () => {
      this.#betray(index);
    });
  }

  #makeNoise(index: number, node: Node, round: number): void {
    const ids = [...this.#values.values()].slice(-4).map(({ blockId }) => blockId);
    if (this.#isTurn(index, round) && this.#chance(0.8)) {
      const fresh = this.#newValue(index, this.#chance(0.7), 0.5);
      const polRound = round > 0 && this.#chance(0.3) ? this.#between(0, round - 1) : -1;
      this.#lie(
        node,
        fromNetwork(this.#proposalInput(index, { round, polRound, blockId: this.#pick([fresh, ...ids]) })),
      );
    }
    for (const voteType of ['prevote', 'precommit'] as const) {
      const blockId = this.#pick([...ids, null]);
      if (this.#chance(0.7)) this.#lie(node, fromNetwork(this.#voteInput(index, { voteType, round, blockId })));
    }
  }

  /** In the round of that node: votes for the proposal it holds, or one of our own if the turn is ours. */
  #deceive(index: number, node: Node): void {
    if (!node.state || node.decided) return;
    const { round } = node.state;
    let blockId = proposals(node.state).find((proposal) => proposal.round === round)?.blockId;
    if (!blockId && this.#isTurn(index, round)) {
      blockId = this.#newValue(index, true, 1);
      this.#lie(node, fromNetwork(this.#proposalInput(index, { round, polRound: -1, blockId })));
    }
    if (!blockId) return;
    for (const voteType of ['prevote', 'precommit'] as const) {
      if (this.#chance(0.8)) this.#lie(node, fromNetwork(this.#voteInput(index, { voteType, round, blockId })));
    }
  }

  #isTurn(index: number, round: number): boolean {
    return equalBytes(proposerOf(this.#set, round).publicKey, key(this.#set, index));
  }

  /** A traitor's network is the best there is. */
  #lie(node: Node, input: Input): void {
    if (this.#isTraitor(node.index)) return;
    this.#later(this.#between(1, 5), () => {
      this.#feed(node, input);
    });
  }
}

function fromNetwork(input: Extract<Input, { type: 'self-vote' | 'self-proposal' }>): Input {
  return input.type === 'self-vote'
    ? { type: 'vote', vote: input.vote }
    : { type: 'proposal', proposal: input.proposal };
}

function proposalBy(proposer: PublicKey, round: number, polRound: number, blockId: Hash): Proposal {
  return { height: HEIGHT, round, polRound, blockId, proposer, signature: new Uint8Array(64) };
}
