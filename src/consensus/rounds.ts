/** Entering rounds and the timers of a round. */
import { proposerOf } from '../chain/validator-set.ts';
import type { Machine } from './state.ts';
import { forgetOld, pinnedRounds } from './state.ts';
import type { Effect, TimeoutKind, Timeouts } from './types.ts';

/** base + delta · round, at most the cap (paper, section III-A: timeouts grow with the round). */
export function timeoutMs(timeouts: Timeouts, kind: TimeoutKind, round: number): number {
  const [base, delta] =
    kind === 'propose' ? [timeouts.proposeMs, timeouts.proposeDeltaMs] : [timeouts.voteMs, timeouts.voteDeltaMs];
  return Math.min(base + delta * round, timeouts.capMs);
}

/**
 * StartRound (L11–L21). The proposer too has a timer, since its value is built outside; what it proposes is left to the
 * rules, which also serve a proposer that resumes.
 */
export function startRound(state: Machine, effects: Effect[], round: number): void {
  enterRound(state, effects, round);
  arm(state, effects, 'propose');
}

/** Without the timer, which a node that resumes in a later step must not start again. */
export function enterRound(state: Machine, effects: Effect[], round: number): void {
  state.round = round;
  state.step = 'propose';
  state.armed = new Set();
  state.buildAsked = false;
  state.polkaApplied = false;
  state.votes.advance(round, pinnedRounds(state));
  forgetOld(state);
  effects.push({ type: 'new-round', round, proposer: proposerOf(state.validators, round).publicKey });
}

/** One timer a kind and round. */
export function arm(state: Machine, effects: Effect[], kind: TimeoutKind): void {
  if (state.armed.has(kind)) return;
  state.armed.add(kind);
  const ms = timeoutMs(state.timeouts, kind, state.round);
  effects.push({ type: 'timer', kind, round: state.round, ms });
}
