/** Order statistics of measurements, by nearest rank. */

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** @param share 0 to 1 @returns NaN for no values */
export function percentile(sorted: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** Rounded to tenths. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50: tenths(percentile(sorted, 0.5)),
    p99: tenths(percentile(sorted, 0.99)),
    max: tenths(sorted.at(-1) ?? Number.NaN),
  };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
