/** What a set of seeds must have reached, so that finding nothing means something. */
import type { Outcome } from './simulation.ts';

/** From so many seeds on every figure is required. */
const MANY_SEEDS = 200;

/** @returns what was not reached; empty when all was */
export function unreached(outcomes: readonly Outcome[]): string[] {
  const total = (of: (outcome: Outcome) => number): number => outcomes.reduce((sum, outcome) => sum + of(outcome), 0);
  const figures: readonly (readonly [name: string, value: number, least: number])[] = [
    ['heights', total(({ heights }) => heights), 50 * outcomes.length],
    ['faults', total(({ faults }) => faults), 5 * outcomes.length],
    ['commits above round 0', total(({ lateCommits }) => lateCommits), outcomes.length],
    ['crashes at a write', total(({ crashesAtWrites }) => crashesAtWrites), Math.ceil(outcomes.length / 10)],
    ['validator set changes', total(({ setChanges }) => setChanges), Math.ceil(outcomes.length / 10)],
    ['evidence', total(({ evidence }) => evidence), Math.ceil(outcomes.length / 10)],
    ['liveness checks', total(({ livenessChecks }) => livenessChecks), outcomes.length],
    [
      'conflicting locks',
      total(({ conflictingLocks }) => conflictingLocks),
      outcomes.length < MANY_SEEDS ? 0 : Math.floor(outcomes.length / MANY_SEEDS),
    ],
  ];
  return figures
    .filter(([, value, least]) => value < least)
    .map(([name, value, least]) => `${name}: ${value} of ${least}`);
}

/** A failing seed in words: what broke, how to see it again, and what led to it. */
export function report({ plan, violations, trace }: Outcome, nodes: readonly number[], minutes: number): string {
  const lines = trace.slice(-40).map((line) => `  ${line}`);
  return [
    `seed ${plan.seed} fails:`,
    ...violations.slice(0, 3).map((text) => `  ${text}`),
    `replay: npm run sim -- --seed ${plan.seed} --nodes ${nodes.join()} --minutes ${minutes} --verbose`,
    ...lines,
  ].join('\n');
}
