/** Why a miner does not do what it is asked: what a `refuse` says. */
import type { ErrorCode } from '../../errors.ts';
import { NodeError } from '../../errors.ts';

export interface Refusal {
  readonly code: ErrorCode;
  /** When to ask again; 0: not worth it here. */
  readonly afterMs: number;
  readonly text: string;
}

export function refusal(code: ErrorCode, text: string, afterMs = 0): Refusal {
  return { code, text, afterMs };
}

export function refusalError({ code, text, afterMs }: Refusal): NodeError {
  return new NodeError(code, text, {
    data: { afterMs },
    hint: afterMs > 0 ? `ask again in ${afterMs} ms` : 'ask another miner',
  });
}
