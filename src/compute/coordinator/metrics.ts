/** What a coordinator measures. */
import type { MetricsRegister } from '../../metrics.ts';
import type { AttemptOutcome } from './attempt-machine.ts';
import type { JobState } from './coordinator.ts';

export interface CoordinatorMetrics {
  submitted(): void;
  ended(state: JobState): void;
  lost(how: AttemptOutcome['how']): void;
  matched(seconds: number): void;
  open(jobs: number): void;
  replayed(result: 'same' | 'different' | 'unknown' | 'skipped'): void;
}

export function createCoordinatorMetrics(register: MetricsRegister): CoordinatorMetrics {
  const submitted = register.counter({ name: 'aitbc_jobs_submitted_total', help: 'Jobs taken' });
  const ended = register.counter({ name: 'aitbc_jobs_ended_total', help: 'Jobs that ended', labelNames: ['state'] });
  const lost = register.counter({
    name: 'aitbc_job_attempts_lost_total',
    help: 'Attempts that came to nothing',
    labelNames: ['how'],
  });
  const matched = register.histogram({
    name: 'aitbc_job_match_seconds',
    help: 'From the queue to a quote with its money set aside',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  });
  const replayed = register.counter({
    name: 'aitbc_jobs_replayed_total',
    help: 'Jobs chosen to be done again, by what came of it',
    labelNames: ['result'],
  });
  const open = register.gauge({ name: 'aitbc_jobs_open', help: 'Jobs that have not ended' });
  return {
    submitted: () => {
      submitted.inc();
    },
    ended: (state) => {
      ended.inc({ state });
    },
    lost: (how) => {
      lost.inc({ how });
    },
    matched: (seconds) => {
      matched.observe(seconds);
    },
    open: (jobs) => {
      open.set(jobs);
    },
    replayed: (result) => {
      replayed.inc({ result });
    },
  };
}
