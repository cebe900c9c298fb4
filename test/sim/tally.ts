/** What a set of seeds reached, and what it must have reached so that finding nothing means something. */
import type { Outcome } from './simulation.ts';

/** From so many seeds on the minima are required. */
const MANY_SEEDS = 20;

interface Minimum {
  readonly what: string;
  readonly value: number;
  /** A seed, on average. */
  readonly rate: number;
}

export class Tally {
  readonly counts = new Map<string, number>();
  seeds = 0;
  /** Seeds that broke a promise or ended their process. */
  readonly failed: number[] = [];
  heights = 0;
  transactions = 0;
  faults = 0;
  topRound = 0;
  commitsAboveRound0 = 0;
  conflictingLocks = 0;
  splitHeights = 0;
  crashesAtWrites = 0;
  setChanges = 0;
  evidence = 0;
  demotions = 0;
  livenessChecks = 0;
  slowestLivenessMs = 0;
  virtualMs = 0;
  events = 0;
  /** Seeds in which two blocks were final at one height. */
  agreementsBroken = 0;

  add(outcome: Outcome): void {
    this.seeds++;
    this.heights += outcome.heights;
    this.transactions += outcome.transactions;
    this.faults += outcome.faults;
    this.topRound = Math.max(this.topRound, outcome.topRound);
    this.commitsAboveRound0 += outcome.lateCommits;
    this.conflictingLocks += outcome.conflictingLocks;
    this.splitHeights += outcome.splitHeights;
    this.crashesAtWrites += outcome.crashesAtWrites;
    this.setChanges += outcome.setChanges;
    this.evidence += outcome.evidence;
    this.demotions += outcome.demotions;
    this.livenessChecks += outcome.livenessChecks;
    this.slowestLivenessMs = Math.max(this.slowestLivenessMs, outcome.slowestMs);
    this.virtualMs += outcome.virtualMs;
    this.events += outcome.steps;
    for (const [name, n] of outcome.counts) this.counts.set(name, (this.counts.get(name) ?? 0) + n);
    if (outcome.violations.some((text) => text.startsWith('agreement'))) this.agreementsBroken++;
    if (outcome.violations.length > 0) this.failed.push(outcome.plan.seed);
  }

  /** A seed whose process ended before it did. */
  addLost(seed: number): void {
    this.seeds++;
    this.failed.push(seed);
  }

  /** @returns what was not reached; empty when all was, and for a few seeds */
  unreached(): string[] {
    if (this.seeds < MANY_SEEDS) return [];
    return this.#minima()
      .map(({ what, value, rate }) => ({ what, value, least: Math.floor(rate * this.seeds) }))
      .filter(({ value, least }) => value < least)
      .map(({ what, value, least }) => `${what}: ${value} of ${least}`);
  }

  #minima(): Minimum[] {
    const counted = (what: string, rate: number): Minimum => ({ what, value: this.counts.get(what) ?? 0, rate });
    return [
      { what: 'heights', value: this.heights, rate: 50 },
      { what: 'faults', value: this.faults, rate: 5 },
      { what: 'commits above round 0', value: this.commitsAboveRound0, rate: 10 },
      { what: 'conflicting locks', value: this.conflictingLocks, rate: 0.03 },
      { what: 'blocks decided in several rounds', value: this.splitHeights, rate: 0.04 },
      { what: 'crashes at a write', value: this.crashesAtWrites, rate: 0.5 },
      { what: 'validator set changes', value: this.setChanges, rate: 0.5 },
      { what: 'evidence in blocks', value: this.evidence, rate: 0.2 },
      { what: 'heights with a demoted validator', value: this.demotions, rate: 1 },
      { what: 'liveness checks', value: this.livenessChecks, rate: 2 },
      ...COUNTED.map(([what, rate]) => counted(what, rate)),
    ];
  }
}

/** Minima by the names that a run counts under. */
const COUNTED: readonly (readonly [what: string, rate: number])[] = [
  ['agreement paid', 1],
  ['agreement closing', 0.5],
  ['agreement closed', 0.5],
  ['fault: crash at a vote', 0.5],
  ['fault: cut at a vote', 2],
  ['fault: one-way partition', 0.3],
  ['fault: power cut', 0.2],
  ['fault: scheme', 0.5],
  ['strike: crash of the locked one', 0.05],
  ['folder restored', 0.2],
  ['guard lost', 0.1],
  ['word taken', 0.1],
  ['word cut off', 0.01],
  ['signed above the word', 0.05],
  ['strike: restore of the one nobody heard', 0.02],
];
