/**
 * What a job gives to those who watch it. Output and events lie in the job, bounded by what it asked for and by a limit;
 * each reader has its own place in them, so that a slow one holds nothing up and costs nothing.
 */
import { equalBytes } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { JobEvent } from './coordinator.ts';
import type { Job } from './job.ts';
import { isEnded } from './job-machine.ts';
import type { OutputLog } from './output-log.ts';

export async function* readOutput(job: Job, from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let log = job.output;
  let at = from;
  /** How far the next attempt's output was found to be the same. */
  let next = { log, sameTo: 0 };
  for (;;) {
    signal.throwIfAborted();
    if (job.output !== log && !job.isOutputDropped) {
      if (next.log !== job.output) next = { log: job.output, sameTo: 0 };
      next.sameTo = sameTo(log, next.log, next.sameTo, at);
      if (next.sameTo === at) log = next.log;
    }
    const more = job.output === log ? log.at(at) : NOTHING;
    if (more.length > 0) {
      at += more.length;
      yield more;
    } else if (isOver(job)) {
      const fault = faultOf(job);
      if (fault) throw fault;
      if (job.output !== log) throw otherOutput();
      return;
    } else await nextChange(job, signal);
  }
}

const NOTHING = new Uint8Array();

/** @returns up to where both have the same, `to` at most @throws NodeError LEASE_LOST where they differ */
function sameTo(earlier: OutputLog, later: OutputLog, from: number, to: number): number {
  let at = from;
  for (;;) {
    const [was, is] = [earlier.at(at), later.at(at)];
    const length = Math.min(was.length, is.length, to - at);
    if (length <= 0) return at;
    if (!equalBytes(was.subarray(0, length), is.subarray(0, length))) throw otherOutput();
    at += length;
  }
}

export async function* readEvents(job: Job, from: number, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let wanted = from;
  for (;;) {
    signal.throwIfAborted();
    const first = job.events[0]?.sequence ?? wanted;
    const event = job.events[Math.max(0, wanted - first)];
    if (event !== undefined && event.sequence >= wanted) {
      wanted = event.sequence + 1;
      yield event;
    } else if (isOver(job)) return;
    else await nextChange(job, signal);
  }
}

function isOver(job: Job): boolean {
  return isEnded(job.progress.state) || job.isClosed;
}

function faultOf(job: Job): NodeError | null {
  const { state, fault } = job.progress;
  if (!isEnded(state))
    return new NodeError('UNREACHABLE', 'the coordinator stopped; the job goes on with its next start');
  if (state === 'completed') {
    return job.isOutputDropped ? new NodeError('PRUNED', 'the output of this job is no longer kept') : null;
  }
  return new NodeError(fault?.code ?? 'JOB_FAILED', fault?.message ?? `the job is ${state}`);
}

function otherOutput(): NodeError {
  return new NodeError('LEASE_LOST', 'the miner was lost, and the next one gives other output', {
    hint: 'read the output again from the beginning: the job goes on',
  });
}

async function nextChange(job: Job, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([job.changed.next(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
