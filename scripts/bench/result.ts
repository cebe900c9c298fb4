/** What every benchmark prints: bars with their verdicts for people, one object for programs. */

/** One thing that was judged. Invariants count always, timings only when timing does. */
export interface Check {
  readonly what: string;
  readonly measured: number | string | null;
  readonly bar: string;
  readonly met: boolean;
  readonly kind: 'timing' | 'invariant';
}

export function below(what: string, measured: number | null, bar: number, unit: string): Check {
  const met = measured !== null && measured < bar;
  return { what, measured: rounded(measured), bar: `< ${bar}${unit}`, met, kind: 'timing' };
}

export function atMost(what: string, measured: number | null, bar: number, unit: string): Check {
  const met = measured !== null && measured <= bar;
  return { what, measured: rounded(measured), bar: `<= ${bar}${unit}`, met, kind: 'timing' };
}

export function atLeast(what: string, measured: number | null, bar: number, unit: string): Check {
  const met = measured !== null && measured >= bar;
  return { what, measured: rounded(measured), bar: `>= ${bar}${unit}`, met, kind: 'timing' };
}

export function invariant(what: string, met: boolean, measured: number | string = met ? 'yes' : 'no'): Check {
  return { what, measured, bar: 'always', met, kind: 'invariant' };
}

export function judge(checks: readonly Check[], timing: boolean): boolean {
  return checks.every(({ met, kind }) => met || (kind === 'timing' && !timing));
}

export function checkLines(checks: readonly Check[], timing: boolean): string[] {
  return checks.map(({ what, measured, bar, met, kind }) => {
    const verdict = met ? '✓' : kind === 'timing' && !timing ? '·' : '✗';
    return `${verdict} ${what}: ${measured ?? 'none'}   bar ${bar}`;
  });
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000;
}
