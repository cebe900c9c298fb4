/**
 * Blocks on demand: is there a reason for one, and when may it come? One alarm leaves idleness, when the least interval
 * since the parent is over, or when a deadline is due.
 */
import { earliestTimeMs, pendingWork } from '../chain/execute.ts';
import type { Clock } from '../clock.ts';
import type { Mempool } from '../mempool.ts';
import type { TxAdmission } from './admission.ts';
import type { EvidencePool } from './evidence-pool.ts';
import type { Ledger } from './ledger.ts';
import type { Timers } from './timers.ts';

/** Longest alarm: the wall clock may jump, and timers cannot be set a month ahead. */
export const MAX_ALARM_MS = 60 * 60 * 1000;

export interface PacerModules {
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly evidence: EvidencePool;
  readonly clock: Clock;
  /** Of the height: a new one begins without an alarm. */
  readonly timers: Timers;
}

export class Pacer {
  readonly #modules: PacerModules;
  readonly #onWork: () => void;
  /** Height for which the alarm is set. */
  #alarmHeight = -1;
  #alarmAtMs = 0;
  #cancel: () => void = () => undefined;

  constructor(modules: PacerModules, onWork: () => void) {
    this.#modules = modules;
    this.#onWork = onWork;
  }

  /** A block without transactions and evidence would be valid at this time. */
  isDue(timeMs: number): boolean {
    const work = pendingWork(this.#modules.ledger.tip);
    return work.now || (work.atMs !== null && timeMs >= work.atMs);
  }

  /** The interval since the parent is over within so many ms. */
  isNear(ms: number): boolean {
    const { ledger, clock } = this.#modules;
    return earliestTimeMs(ledger.rules, ledger.tip) <= clock.now() + ms;
  }

  hasReason(): boolean {
    const { pool, admission, evidence, clock } = this.#modules;
    return evidence.size > 0 || this.isDue(clock.now()) || pool.hasExecutable(admission.view());
  }

  /** Sets the alarm for the next height unless an earlier one is set. */
  schedule(lingerMs: number): void {
    const { ledger, clock, timers } = this.#modules;
    const { tip, rules } = ledger;
    const now = clock.now();
    const earliestMs = earliestTimeMs(rules, tip);
    const soonestMs = Math.max(now + lingerMs, earliestMs);
    if (this.#alarmHeight === tip.height + 1 && this.#alarmAtMs <= soonestMs) return;
    let atMs = soonestMs;
    if (!this.hasReason()) {
      const deadlineMs = pendingWork(tip).atMs;
      if (deadlineMs === null) return;
      atMs = Math.max(deadlineMs, earliestMs);
    }
    this.#cancel();
    this.#alarmHeight = tip.height + 1;
    this.#alarmAtMs = atMs;
    this.#cancel = timers.after(Math.min(Math.max(0, atMs - now), MAX_ALARM_MS), () => {
      this.#alarmHeight = -1;
      if (clock.now() < atMs) this.schedule(0);
      else this.#onWork();
    });
  }

  /** The height's timers were cancelled. */
  reset(): void {
    this.#alarmHeight = -1;
  }
}
