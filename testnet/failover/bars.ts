/** Bars that several faults share, and how much of a fault is run. */
import type { TestBed } from './bed.ts';
import type { Bar } from './scorecard.ts';

export interface FaultOptions {
  /** Kills of each kind. */
  readonly kills: number;
  /** One short round of everything. */
  readonly short: boolean;
}

const NON_PROPOSER_SPARE_MS = 500;
const PROPOSER_SPARE_MS = 1500;

/** For the gap when someone else than the next proposer goes. */
export function nonProposerBar(bed: TestBed): Bar {
  return { limit: bed.intervalMs + NON_PROPOSER_SPARE_MS, holds: 'worst' };
}

/** For gaps in which an absent proposer's turn may lie. */
export function proposerBar(bed: TestBed): Bar {
  return { limit: bed.intervalMs + PROPOSER_SPARE_MS, holds: 'p99' };
}
