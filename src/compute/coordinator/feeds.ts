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
  for (;;) {
    signal.throwIfAborted();
    if (job.output !== log && isSame(job, log, at)) log = job.output;
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

/**
 * Whether the next attempt has given all that the reader has of an earlier one.
 *
 * @throws NodeError LEASE_LOST as soon as it gives anything else
 */
function isSame({ output, isOutputDropped }: Job, earlier: OutputLog, at: number): boolean {
  if (isOutputDropped) return false;
  const common = Math.min(output.length, at);
  if (!equalBytes(output.whole(common), earlier.whole(common))) throw otherOutput();
  return common === at;
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
