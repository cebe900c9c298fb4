/** What a failover run found: measurements with their bars, and invariants. */
import { percentiles } from '../load/percentiles.ts';
import { columns } from '../report.ts';

export interface Bar {
  readonly limit: number;
  /** What must keep it: every value or their 99th percentile; `least` is a floor for every value. */
  readonly holds: 'worst' | 'p99' | 'least';
}

export type Unit = 'ms' | '%';

export interface Row {
  /** E.g. "kill the proposer: gap". */
  readonly what: string;
  readonly unit: Unit;
  /** null: told, not judged. */
  readonly bar: Bar | null;
  readonly values: readonly number[];
}

export interface Judged {
  readonly what: string;
  readonly unit: Unit;
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly bar: string | null;
  readonly met: boolean;
}

export class Scorecard {
  readonly #rows = new Map<string, { unit: Unit; bar: Bar | null; values: number[] }>();
  readonly #violations: string[] = [];

  /** Infinity stands for what never came. */
  add(what: string, value: number, bar: Bar | null, unit: Unit = 'ms'): void {
    const row = this.#rows.get(what) ?? { unit, bar, values: [] };
    this.#rows.set(what, row);
    row.values.push(value);
  }

  /** Something that must never be: counts with and without timing. */
  violate(what: string): void {
    this.#violations.push(what);
  }

  get violations(): readonly string[] {
    return this.#violations;
  }

  rows(): Judged[] {
    return [...this.#rows].map(([what, row]) => judge({ what, ...row }));
  }

  ok(timing: boolean): boolean {
    return this.#violations.length === 0 && (!timing || this.rows().every(({ met }) => met));
  }
}

function judge({ what, unit, bar, values }: Row): Judged {
  const { count, p50, p99, max } = percentiles(values);
  const least = Math.min(...values);
  const measured = bar?.holds === 'p99' ? p99 : max;
  return {
    what,
    unit,
    count,
    p50,
    p99,
    worst: bar?.holds === 'least' ? Math.round(least * 10) / 10 : max,
    bar: bar && barText(bar, unit),
    met: !bar || (bar.holds === 'least' ? least >= bar.limit : measured <= bar.limit),
  };
}

function barText({ limit, holds }: Bar, unit: Unit): string {
  if (holds === 'least') return `>= ${limit} ${unit}`;
  return `${holds === 'p99' ? 'p99 ' : ''}<= ${limit} ${unit}`;
}

/** The table for people. */
export function tableLines(rows: readonly Judged[], timing: boolean): string[] {
  const figure = (value: number, unit: Unit): string =>
    Number.isFinite(value) ? `${unit === 'ms' ? Math.round(value) : value} ${unit}` : 'never';
  const verdict = ({ bar, met }: Judged): string => (bar === null || !timing ? '·' : met ? '✓' : '✗');
  const body = rows.map((row) => [
    verdict(row),
    row.what,
    String(row.count),
    figure(row.p50, row.unit),
    figure(row.p99, row.unit),
    figure(row.worst, row.unit),
    row.bar ?? '',
  ]);
  return columns([['', 'fault: what was measured', 'count', 'p50', 'p99', 'worst', 'bar'], ...body], '').split('\n');
}
