/**
 * What libp2p counts itself, in our register and under its own names, save that a gauge does not end in `_total`. What it
 * groups by has one label `of`: protocols that this node serves, its own addresses, kinds of events.
 */
import type { CalculatedMetricOptions, Metrics, MetricOptions } from '@libp2p/interface';
import type { GaugeValue, MetricsRegister } from '../metrics.ts';

/** Values that one group may have, as a protocol's name comes from a peer until it is agreed upon. */
export const MAX_GROUP = 64;
const SUMMED_UP = 'others';
const BUCKETS = [0.001, 0.01, 0.1, 1, 10, 100];

type Options = MetricOptions & Partial<CalculatedMetricOptions<unknown>>;
type Amounts = Readonly<Partial<Record<string, number | true>>>;

/** Only what the parts of the library that a node uses ask for; histograms serve for summaries. */
export function createLibraryMetrics(register: MetricsRegister): Metrics {
  const single = (name: string, options: Options = {}) => {
    const { calculate } = options;
    const read = (): readonly GaugeValue[] =>
      valuesOf({ '': calculate?.() }).map(({ value }) => ({ labels: {}, value }));
    const gauge = register.gauge({ ...described(name, options), ...(calculate && { read }) });
    let current = 0;
    const set = (value: number): void => {
      current = value;
      gauge.set(value);
    };
    return {
      update: set,
      increment: (by = 1) => {
        set(current + by);
      },
      decrement: (by = 1) => {
        set(current - by);
      },
      reset: () => {
        set(0);
      },
      timer: timed((seconds) => {
        set(seconds);
      }),
    };
  };

  const group = (name: string, options: Options = {}) => {
    const { calculate } = options;
    const read = (): readonly GaugeValue[] => valuesOf(calculate?.());
    const gauge = register.gauge({ ...described(name, options), labelNames: ['of'], ...(calculate && { read }) });
    const current = new Map<string, number>();
    const set = (of: string, value: number): void => {
      if (current.size >= MAX_GROUP && !current.has(of)) return;
      current.set(of, value);
      gauge.set(value, { of });
    };
    const add = (values: Amounts, sign: number): void => {
      for (const [of, by] of Object.entries(values)) set(of, (current.get(of) ?? 0) + sign * amount(by));
    };
    return {
      update: (values: Amounts) => {
        for (const [of, value] of Object.entries(values)) set(of, amount(value));
      },
      increment: (values: Amounts) => {
        add(values, 1);
      },
      decrement: (values: Amounts) => {
        add(values, -1);
      },
      reset: () => {
        for (const of of current.keys()) set(of, 0);
      },
      timer: (of: string) =>
        timed((seconds) => {
          set(of, seconds);
        })(),
    };
  };

  const counter = (name: string, options: Options = {}) => {
    const known = register.counter({ ...described(name, options), name });
    return {
      increment: (by = 1) => {
        known.inc({}, by);
      },
      reset: nothing,
    };
  };

  const counters = (name: string, options: Options = {}) => {
    const all = register.counter({ ...described(name, options), name, labelNames: ['of'] });
    const known = new Set<string>();
    return {
      increment: (values: Amounts) => {
        for (const [each, by] of Object.entries(values)) {
          const of = known.has(each) || known.size < MAX_GROUP ? each : SUMMED_UP;
          known.add(of);
          all.inc({ of }, amount(by));
        }
      },
      reset: nothing,
    };
  };

  const histogram = (name: string, options: Options = {}) => {
    const all = register.histogram({ ...described(name, options), buckets: BUCKETS });
    return {
      observe: (value: number) => {
        all.observe(value);
      },
      reset: nothing,
      timer: timed((seconds) => {
        all.observe(seconds);
      }),
    };
  };

  const histograms = (name: string, options: Options = {}) => {
    const all = register.histogram({ ...described(name, options), labelNames: ['of'], buckets: BUCKETS });
    return {
      observe: (values: Amounts) => {
        for (const [of, value] of Object.entries(values)) all.observe(amount(value), { of });
      },
      reset: nothing,
      timer: (of: string) =>
        timed((seconds) => {
          all.observe(seconds, { of });
        })(),
    };
  };

  const metrics = {
    trackMultiaddrConnection: nothing,
    trackProtocolStream: nothing,
    registerMetric: single,
    registerMetricGroup: group,
    registerCounter: counter,
    registerCounterGroup: counters,
    registerHistogram: histogram,
    registerHistogramGroup: histograms,
    registerSummary: histogram,
    registerSummaryGroup: histograms,
    traceFunction: <F>(_name: string, traced: F): F => traced,
    createTrace: nothing,
  };
  return metrics;
}

const nothing = (): void => undefined;

function described(name: string, { help }: Options): { readonly name: string; readonly help: string } {
  return {
    name: name.replace(/_total$/, ''),
    help: help ?? `libp2p: ${name.replace(/^libp2p_/, '').replaceAll('_', ' ')}`,
  };
}

/** What a calculation gave; one that is not done yet is left out. */
function valuesOf(calculated: unknown): GaugeValue[] {
  if (typeof calculated !== 'object' || calculated === null) return [];
  const numbers = Object.entries(calculated).flatMap(([of, value]) =>
    typeof value === 'number' ? [{ labels: { of }, value }] : [],
  );
  return numbers.slice(0, MAX_GROUP);
}

function amount(value: number | true | undefined): number {
  return value === true ? 1 : (value ?? 0);
}

function timed(done: (seconds: number) => void): () => () => void {
  return () => {
    const startedAt = performance.now();
    return () => {
      done((performance.now() - startedAt) / 1000);
    };
  };
}
