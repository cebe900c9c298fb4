/** A failover run: every fault on its bed, then the scorecard. */
import { NodeError } from '../../src/errors.ts';
import type { BedReport } from './bed.ts';
import { withTestBed } from './bed.ts';
import type { BedKind, Fault } from './faults.ts';
import { FAULTS } from './faults.ts';
import type { Judged } from './scorecard.ts';
import { Scorecard } from './scorecard.ts';

const USUAL: BedKind = { params: {}, transfersPerSecond: 50 };

export interface RunOptions {
  readonly nodes: number;
  readonly kills: number;
  readonly seed: string;
  readonly minutes: number;
  readonly only: readonly string[];
  readonly timing: boolean;
}

export interface FailoverResult {
  readonly ok: boolean;
  readonly seed: string;
  readonly nodes: number;
  readonly timing: boolean;
  readonly rows: readonly Judged[];
  readonly heights: number;
  readonly transactions: number;
  readonly acknowledged: number;
  readonly votes_checked: number;
  readonly double_signs: number;
  readonly violations: readonly string[];
}

export async function runFailover(options: RunOptions, tell: (line: string) => void): Promise<FailoverResult> {
  const card = new Scorecard();
  const chosen = FAULTS.filter(({ name, byDefault }) =>
    options.only.length > 0 ? options.only.includes(name) : (byDefault?.(options.nodes) ?? true),
  );
  const reports: BedReport[] = [];
  const usual = chosen.filter(({ bed }) => !bed);
  const others = chosen.filter(({ bed }) => bed);
  try {
    if (usual.length > 0) reports.push(await runOn(USUAL, usual, options, card, tell));
    for (const fault of others) {
      if (fault.bed) reports.push(await runOn(fault.bed, [fault], { ...options, minutes: 0 }, card, tell));
    }
  } catch (error) {
    // What needs a person's hand must never be; what was measured so far is told all the same.
    card.violate(error instanceof NodeError ? `${error.message}${dataText(error)}` : String(error));
  }
  const sum = (of: (report: BedReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const acknowledged = sum((report) => report.acknowledged);
  if (card.violations.length === 0 && acknowledged === 0) card.violate('no transaction was acknowledged');
  return {
    ok: card.ok(options.timing),
    seed: options.seed,
    nodes: options.nodes,
    timing: options.timing,
    rows: card.rows(),
    heights: sum(({ audit }) => audit.height),
    transactions: sum(({ audit }) => audit.transactions),
    acknowledged,
    votes_checked: sum(({ votesChecked }) => votesChecked),
    double_signs: sum(({ doubleSigns }) => doubleSigns),
    violations: card.violations,
  };
}

async function runOn(
  kind: BedKind,
  faults: readonly Fault[],
  options: RunOptions,
  card: Scorecard,
  tell: (line: string) => void,
): Promise<BedReport> {
  const { nodes, seed, kills, minutes, timing } = options;
  return withTestBed({ nodes, seed, ...kind }, card, tell, async (bed) => {
    const startedAt = performance.now();
    do {
      for (const { name, help, inject } of faults) {
        const faultAt = performance.now();
        tell(`  ${name}: ${help}`);
        await inject(bed, { kills, short: !timing });
        const seconds = ((performance.now() - faultAt) / 1000).toFixed(1);
        tell(
          `    done in ${seconds} s · height ${bed.observer.highest()} · ${bed.load.acknowledged.size} acknowledged`,
        );
      }
    } while (performance.now() - startedAt < minutes * 60_000);
  });
}

function dataText(error: NodeError): string {
  const entries = Object.entries(error.data).filter(([name]) => name !== 'log');
  return entries.length === 0 ? '' : ` (${entries.map(([name, value]) => `${name} ${String(value)}`).join(', ')})`;
}
