/**
 * One job from submission to its end, pure. It decides whether a job waits, tries again or is over; who works and for how
 * much is for those around it. Ended is ended: nothing moves it again.
 */
import type { JobFault, JobState } from './coordinator.ts';
import { NodeError, unreachable } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';

export interface JobProgress {
  readonly state: JobState;
  /** Last attempt that was assigned; 0 before the first. */
  readonly attempt: number;
  /** What vouchers of attempts that are over may cost. */
  readonly spentUait: number;
  /** Attempts that began and came to nothing. */
  readonly losses: number;
  /** Miners that said that the job itself is at fault. */
  readonly blamed: number;
  readonly fault: JobFault | null;
}

/** How an attempt ended without a receipt. */
export interface AttemptLoss {
  readonly how: 'refused' | 'failed' | 'lost' | 'faulty' | 'stopped';
  readonly code: ErrorCode;
  readonly message: string;
  /** What its vouchers may still cost. */
  readonly exposureUait: number;
}

export type JobInput =
  | { readonly type: 'queue' }
  | { readonly type: 'match' }
  | { readonly type: 'fund' }
  /** No quote, no funding, or a refusal before anything was given: back to the queue. */
  | { readonly type: 'requeue'; readonly reason: JobFault }
  | { readonly type: 'assign' }
  | { readonly type: 'start' }
  | { readonly type: 'loss'; readonly loss: AttemptLoss; readonly hasOthers: boolean }
  /** A receipt in order is kept, with its acknowledgement. */
  | { readonly type: 'deliver'; readonly dueUait: number; readonly canceled: boolean }
  | { readonly type: 'cancel' }
  /** `exposureUait`: what vouchers of the attempt under way may cost, 0 without one. */
  | { readonly type: 'timeout'; readonly of: 'total'; readonly exposureUait: number }
  /** `reason`: what was said most often meanwhile. */
  | { readonly type: 'timeout'; readonly of: 'queue'; readonly reason: JobFault | null }
  /** An agreement for it alone is left: what its vouchers may cost. */
  | { readonly type: 'spend'; readonly exposureUait: number }
  | { readonly type: 'fail'; readonly fault: JobFault };

export type JobEffect =
  | { readonly type: 'enqueue' }
  /** Tell the miner to stop, and wait for what it says. */
  | { readonly type: 'stop' }
  /** Stop, and wait no longer. */
  | { readonly type: 'abandon' };

export interface JobStep {
  readonly state: JobProgress;
  readonly effects: readonly JobEffect[];
  /** States gone through, for events. */
  readonly through: readonly { readonly state: JobState; readonly reason: JobFault | null }[];
}

export interface JobRules {
  readonly maxAttempts: number;
}

const ENDED: ReadonlySet<JobState> = new Set(['completed', 'canceled', 'failed', 'expired']);
const WITH_MINER: ReadonlySet<JobState> = new Set(['leased', 'running', 'canceling']);
/** Faults of the job, by the word of those who would do it: two of them, or the only one, are believed. */
const OF_THE_JOB: ReadonlySet<ErrorCode> = new Set(['BAD_JOB', 'TOO_LARGE']);

export const NEW_JOB: JobProgress = { state: 'submitted', attempt: 0, spentUait: 0, losses: 0, blamed: 0, fault: null };

export function isEnded(state: JobState): boolean {
  return ENDED.has(state);
}

/** Whether an attempt of it is under way. */
export function isWithMiner(state: JobState): boolean {
  return WITH_MINER.has(state);
}

export function stepJob(job: JobProgress, input: JobInput, rules: JobRules): JobStep {
  if (isEnded(job.state)) return stay(job);
  switch (input.type) {
    case 'queue':
      return to(job, 'queued', null, [{ type: 'enqueue' }]);
    case 'match':
      return job.state === 'queued' ? to(job, 'matched') : stay(job);
    case 'fund':
      return job.state === 'matched' ? to(job, 'funded') : stay(job);
    case 'requeue':
      return isWithMiner(job.state) ? stay(job) : to(job, 'queued', input.reason, [{ type: 'enqueue' }]);
    case 'assign':
      if (job.state !== 'funded') throw new NodeError('INTERNAL', 'a job is assigned that is not funded');
      return to({ ...job, attempt: job.attempt + 1 }, 'leased');
    case 'start':
      return job.state === 'leased' ? to(job, 'running') : stay(job);
    case 'loss':
      return lose(job, input.loss, input.hasOthers, rules);
    case 'deliver':
      return deliver(job, input.dueUait, input.canceled);
    case 'cancel':
      return cancel(job);
    case 'timeout':
      return input.of === 'queue' ? waitedTooLong(job, input.reason) : tookTooLong(job, input.exposureUait);
    case 'spend':
      return stay({ ...job, spentUait: job.spentUait + input.exposureUait });
    case 'fail':
      return end(job, 'failed', input.fault);
    default:
      return unreachable(input);
  }
}

function deliver(job: JobProgress, dueUait: number, canceled: boolean): JobStep {
  if (!isWithMiner(job.state)) return stay(job);
  const paid = { ...job, spentUait: job.spentUait + dueUait };
  // The attempt goes on until the miner has the acknowledgement, as one that is completed.
  if (canceled) return to({ ...paid, fault: CANCELED }, 'canceled', CANCELED);
  const state: JobProgress = { ...paid, state: 'completed', fault: null };
  const through = [
    { state: 'delivered', reason: null },
    { state: 'completed', reason: null },
  ] as const;
  return { state, effects: [], through };
}

function lose(job: JobProgress, loss: AttemptLoss, hasOthers: boolean, rules: JobRules): JobStep {
  if (!isWithMiner(job.state)) return stay(job);
  const reason = { code: loss.code, message: loss.message };
  const blamed = job.blamed + (OF_THE_JOB.has(loss.code) ? 1 : 0);
  const losses = job.losses + (loss.how === 'refused' ? 0 : 1);
  const after = { ...job, blamed, losses, spentUait: job.spentUait + loss.exposureUait };
  if (job.state === 'canceling') return end(after, 'canceled', CANCELED);
  if (blamed > job.blamed && (blamed >= 2 || !hasOthers)) return end(after, 'failed', reason);
  if (losses >= rules.maxAttempts) {
    return end(after, 'failed', { code: reason.code, message: `${losses} attempts; the last one: ${reason.message}` });
  }
  return to(after, 'queued', reason, [{ type: 'enqueue' }]);
}

const CANCELED: JobFault = { code: 'CANCELED', message: 'canceled by the client' };

function cancel(job: JobProgress): JobStep {
  if (job.state === 'canceling') return stay(job);
  return isWithMiner(job.state) ? to(job, 'canceling', null, [{ type: 'stop' }]) : end(job, 'canceled', CANCELED);
}

function waitedTooLong(job: JobProgress, reason: JobFault | null): JobStep {
  if (isWithMiner(job.state)) return stay(job);
  const why = reason === null ? '' : `: ${reason.message}`;
  const message = `no miner took it within its time in the queue${why}`;
  return end(job, 'expired', { code: reason?.code ?? 'NO_MINER', message });
}

function tookTooLong(job: JobProgress, exposureUait: number): JobStep {
  const after = { ...job, spentUait: job.spentUait + exposureUait };
  return end(after, 'expired', { code: 'TIMEOUT', message: 'it was not done within its total time' });
}

function end(job: JobProgress, state: 'canceled' | 'failed' | 'expired', fault: JobFault): JobStep {
  const step = to(job, state, fault, isWithMiner(job.state) ? [{ type: 'abandon' }] : []);
  return { ...step, state: { ...step.state, fault } };
}

function to(
  job: JobProgress,
  state: JobState,
  reason: JobFault | null = null,
  effects: readonly JobEffect[] = [],
): JobStep {
  return { state: { ...job, state }, effects, through: [{ state, reason }] };
}

function stay(state: JobProgress): JobStep {
  return { state, effects: [], through: [] };
}
