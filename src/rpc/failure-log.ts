/** Which failures are the node's own and belong into its log. */
import type { ErrorCode } from '../errors.ts';
import type { LogContext, Logger } from '../log.ts';
import type { Problem } from './problem.ts';

/** States of a node that runs as it should, and what miners are answerable for. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set([
  ...(['SYNCING', 'NO_QUORUM', 'CHAIN_STOPPED'] as const),
  ...(['NO_MINER', 'BUSY', 'LEASE_LOST', 'EXECUTOR', 'JOB_FAILED'] as const),
]);

export function logFailure(log: Logger, { status, code }: Problem, context: LogContext): void {
  if (status >= 500 && !EXPECTED.has(code)) log.error('Request failed', context);
  else log.debug('Request refused', context);
}
