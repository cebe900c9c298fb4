/** Why a job waits: what miners and the chain said, counted by code. Bounded, so that nobody fills it. */
import type { ErrorCode } from '../../errors.ts';
import type { JobReasons } from './coordinator.ts';

/** Said of what waiting jobs ask for, rather than of who is busy. */
export const TELLING: ReadonlySet<ErrorCode> = new Set([
  'PRICE',
  'NO_MODEL',
  'STAKE_LOW',
  'BAD_JOB',
  'TOO_LARGE',
  'NOT_FUNDED',
]);
/** More waiting changes nothing. */
export const HOPELESS: ReadonlySet<ErrorCode> = new Set(['INSUFFICIENT_FUNDS', 'FEE_TOO_LOW', 'INTERNAL', 'STORAGE']);
/** Of blobs also: not kept here any more, or more than their node ever takes. */
export const LOST_INPUT: ReadonlySet<ErrorCode> = new Set([...HOPELESS, 'NOT_FOUND', 'TOO_LARGE']);

interface Counted {
  readonly code: ErrorCode;
  count: number;
  message: string;
}

const MAX_MESSAGE = 256;

/** Text of others, for people: short, and nothing in it that a terminal obeys. */
export function plainText(text: string): string {
  return text.slice(0, MAX_MESSAGE).replace(/\p{C}/gu, '?');
}

/** What to do about it, for the person whose job it is. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  NO_MINER: 'wait, or see `aitbc miners` for who is there',
  NO_MODEL: 'ask for a model that is offered, or for any with an empty name',
  PRICE: 'raise the maximum price, or ask for less output',
  BUSY: 'wait: it is tried again by itself',
  STAKE_LOW: 'nothing: miners without stake are not used',
  NOT_FUNDED: 'wait: the miner does not see the agreement yet',
  INSUFFICIENT_FUNDS: 'fund the account, or lower the maximum price',
  UNREACHABLE: 'wait: it is tried again, with others too',
  TIMEOUT: 'wait: it is tried again, with others too',
  LEASE_LOST: 'nothing: the next attempt goes elsewhere',
  BAD_RECEIPT: 'nothing: that miner is ranked last from now on',
  WRONG_RESULT: 'do not rely on the answer: run the job again; that miner is left out for hours',
  BAD_JOB: 'check parts and parameters against what the kind takes',
  TOO_LARGE: 'send less input, or split the job',
};

export class Reasons {
  readonly #max: number;
  readonly #counted = new Map<ErrorCode, Counted>();

  constructor(max: number) {
    this.#max = max;
  }

  add(code: ErrorCode, message: string): void {
    const known = this.#counted.get(code);
    const text = plainText(message);
    if (known) {
      known.count++;
      known.message = text;
    } else if (this.#counted.size < this.#max) {
      this.#counted.set(code, { code, count: 1, message: text });
    }
  }

  has(code: ErrorCode): boolean {
    return this.#counted.has(code);
  }

  /** Most often first. */
  list(): JobReasons['reasons'] {
    return [...this.#counted.values()]
      .sort((a, b) => b.count - a.count)
      .map(({ code, count, message }) => ({ code, count, message, hint: HINTS[code] ?? 'nothing: it is tried again' }));
  }
}
