/** When the agreement of a session is topped up or extended, so that it goes on without a second one. Pure. */

/** Below this part of what a session is for. */
const LEFT_SHARE = 4;

export interface RenewalNow {
  readonly capUait: number;
  readonly baseUait: number;
  readonly expiresAtMs: number;
  /** Most that the job at hand may cost. */
  readonly maxUait: number;
  /** What a session is for at most: an agreement never holds more that is not spent. */
  readonly windowUait: number;
  /** The same of time, and what the job at hand needs of it. */
  readonly windowMs: number;
  readonly balanceUait: number;
  readonly headMs: number;
}

export type Renewal = { readonly amountUait: number } | { readonly expiresAtMs: number };

/** @returns null while there is enough of both, or too little to be worth a fee */
export function renewalFor(now: RenewalNow): Renewal | null {
  const { capUait, baseUait, expiresAtMs, maxUait, windowUait, windowMs, balanceUait, headMs } = now;
  if ((expiresAtMs - headMs) * LEFT_SHARE < windowMs) return { expiresAtMs: headMs + windowMs };
  const leftUait = capUait - baseUait - maxUait;
  if (leftUait * LEFT_SHARE >= windowUait) return null;
  const amountUait = Math.min(windowUait - leftUait, Math.floor(balanceUait / 4));
  return amountUait >= 2 * maxUait && amountUait > 0 ? { amountUait } : null;
}
