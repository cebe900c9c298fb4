/** What `aitbc doctor` says of one thing it looked at. */
import type { ErrorCode } from '../../errors.ts';
import type { Fault } from './facts.ts';

export type CheckName =
  | 'config'
  | 'disk'
  | 'keys'
  | 'data'
  | 'ports'
  | 'clock'
  | 'genesis'
  | 'node'
  | 'version'
  | 'chain'
  | 'peers'
  | 'quorum'
  | 'head'
  | 'signing';

export interface Finding {
  readonly check: CheckName;
  /** A fault keeps the node from its work; a warning may come to that. */
  readonly level: 'fault' | 'warning' | 'ok';
  /** A sentence with figures. */
  readonly what: string;
  /** What to do, for faults and warnings. */
  readonly fix: string | null;
  /** What the exit code follows from, for faults. */
  readonly code: ErrorCode | null;
}

export function fault(check: CheckName, code: ErrorCode, what: string, fix: string): Finding {
  return { check, level: 'fault', what, fix, code };
}

export function warning(check: CheckName, what: string, fix: string): Finding {
  return { check, level: 'warning', what, fix, code: null };
}

export function ok(check: CheckName, what: string): Finding {
  return { check, level: 'ok', what, fix: null, code: null };
}

/** What was thrown, with its own hint where it has one. */
export function thrown(check: CheckName, { code, message, hint }: Fault, fix: string): Finding {
  return fault(check, code, message, hint ?? fix);
}
