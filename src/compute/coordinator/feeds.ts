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
  let cursor = cursorAt(log, from);
  let at = from;
  for (;;) {
    signal.throwIfAborted();
    if (job.output !== log) {
      const next = job.output;
      // Before the next attempt has as much, all that it has must be what was given.
      const common = Math.min(next.length, at);
      if (!equalBytes(next.slice(0, common), log.slice(0, common))) throw otherOutput();
      if (common === at) {
        log = next;
        cursor = cursorAt(log, at);
      } else if (isOver(job)) throw faultOf(job) ?? otherOutput();
    }
    if (job.output === log) {
      for (let piece = log.piece(cursor.piece); piece !== undefined; piece = log.piece(cursor.piece)) {
        const rest = piece.subarray(cursor.skip);
        cursor = { piece: cursor.piece + 1, skip: 0 };
        at += rest.length;
        if (rest.length > 0) yield rest;
        signal.throwIfAborted();
        if (job.output !== log) break;
      }
      if (job.output === log && isOver(job) && log.piece(cursor.piece) === undefined) {
        const fault = faultOf(job);
        if (fault) throw fault;
        return;
      }
      if (job.output !== log) continue;
    }
    await nextChange(job, signal);
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

function cursorAt(log: OutputLog, at: number): { piece: number; skip: number } {
  let piece = 0;
  let skip = at;
  for (let next = log.piece(0); next !== undefined && skip >= next.length; next = log.piece(piece)) {
    skip -= next.length;
    piece++;
  }
  return { piece, skip };
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
