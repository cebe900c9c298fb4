/** What a proxied link does to the bytes of one direction, and to connections. */

export interface Conditions {
  /** One way, ms. */
  readonly delayMs: number;
  /** Share of the delay by which a piece may come earlier or later, 0 to 1. Order is kept. */
  readonly jitter: number;
  /** Infinity: no limit. Shared by all connections of the link. */
  readonly bytesPerSecond: number;
  /** Share of pieces that, with all behind them, come `stallMs` later: what a lost segment does to a TCP stream. */
  readonly stallShare: number;
  readonly stallMs: number;
}

export const CLEAR: Conditions = {
  delayMs: 0,
  jitter: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  stallShare: 0,
  stallMs: 0,
};

/**
 * - `open`: bytes pass.
 * - `held`: no byte and no end of a connection passes, nobody is told; what was sent before passes when it opens again.
 * - `forward-held`, `backward-held`: so for one direction, forward being from who dialled to who is dialled.
 * - `reset`: connections are reset, and new ones at once.
 * - `half-open`: what is open falls silent, new connections are accepted and never answered; when the mode ends, all of
 *   them are reset, as by a host that came back without its memory.
 */
export type LinkMode = 'open' | 'held' | 'forward-held' | 'backward-held' | 'reset' | 'half-open';

export function holdsForward(mode: LinkMode): boolean {
  return mode === 'held' || mode === 'half-open' || mode === 'forward-held';
}

export function holdsBackward(mode: LinkMode): boolean {
  return mode === 'held' || mode === 'half-open' || mode === 'backward-held';
}
