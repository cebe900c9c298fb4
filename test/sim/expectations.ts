/** A failing seed in words. */
import { commandOf } from './args.ts';
import type { Struck } from './faults.ts';
import type { Job } from './job.ts';
import type { Outcome } from './simulation.ts';

const LINES = 40;

/** What broke, how to see it again, and what led to it. */
export function report(job: Job, { plan, violations, trace }: Outcome): string {
  return [
    `seed ${plan.seed} fails:`,
    ...violations.slice(0, 3).map((text) => `  ${text}`),
    `replay: ${commandOf(job)} --verbose --no-shrink`,
    ...trace.slice(-LINES).map((line) => `  ${line}`),
  ].join('\n');
}

export function reportLost(job: Job, failure: string): string {
  return [`seed ${job.seed} fails:`, `  ${failure}`, `replay: ${commandOf(job)} --verbose --no-shrink`].join('\n');
}

export function describeFaults(struck: readonly Struck[]): string[] {
  return struck.map(({ name, kind, atMs }) => `  ${(atMs / 1000).toFixed(3).padStart(9)} s  ${name}: ${kind}`);
}
