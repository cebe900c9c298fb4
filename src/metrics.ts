/**
 * Counters, gauges and histograms, behind three small methods, so that a module declares what it measures beside its
 * code and works without a registry. Names start with `aitbc_`; labels are small closed sets, never ids of peers,
 * accounts or transactions.
 */
import type { Counter as PromCounter, Gauge as PromGauge, Metric, Registry } from 'prom-client';

export type MetricLabels = Readonly<Record<string, string | number>>;

export interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

export interface GaugeOptions extends MetricOptions {
  /** Its values when the text is asked for, in place of `set`. */
  readonly read?: () => readonly GaugeValue[];
}

export interface GaugeValue {
  readonly labels: MetricLabels;
  readonly value: number;
}

export interface HistogramOptions extends MetricOptions {
  /** Upper bounds, ascending; seconds or bytes as the name's suffix says. */
  readonly buckets: readonly number[];
}

export interface Counter {
  inc(labels?: MetricLabels, value?: number): void;
}

export interface Gauge {
  set(value: number, labels?: MetricLabels): void;
}

export interface Histogram {
  observe(value: number, labels?: MetricLabels): void;
}

export interface MetricsRegister {
  counter(options: MetricOptions): Counter;
  gauge(options: GaugeOptions): Gauge;
  histogram(options: HistogramOptions): Histogram;
}

/** A register whose values can be read, in the text format of Prometheus. A name asked for again is the same metric. */
export interface ExposedRegister extends MetricsRegister {
  readonly contentType: string;
  text(): Promise<string>;
  /** Drops every value with this label: of a chain that is gone, say. */
  forget(label: string, value: string): Promise<void>;
}

/** For one chain: every metric has the label `chain`, so that modules of several chains declare the same ones. */
export function chainRegister(register: MetricsRegister, chain: string): MetricsRegister {
  const labelled = <T extends MetricOptions>(options: T): T => ({
    ...options,
    labelNames: ['chain', ...(options.labelNames ?? [])],
  });
  return {
    counter: (options) => {
      const counter = register.counter(labelled(options));
      return {
        inc: (labels, value) => {
          counter.inc({ ...labels, chain }, value);
        },
      };
    },
    gauge: (options) => {
      const { read } = options;
      const gauge = register.gauge({
        ...labelled(options),
        ...(read && { read: () => read().map(({ labels, value }) => ({ labels: { ...labels, chain }, value })) }),
      });
      return {
        set: (value, labels) => {
          gauge.set(value, { ...labels, chain });
        },
      };
    },
    histogram: (options) => {
      const histogram = register.histogram(labelled(options));
      return {
        observe: (value, labels) => {
          histogram.observe(value, { ...labels, chain });
        },
      };
    },
  };
}

const ignore = (): void => undefined;

export const nopRegister: MetricsRegister = {
  counter: () => ({ inc: ignore }),
  gauge: () => ({ set: ignore }),
  histogram: () => ({ observe: ignore }),
};

export interface RegisterOptions {
  /** Memory, event loop and garbage collection of the process; the library samples them when the text is asked for. */
  readonly processMetrics?: boolean;
  /** Other names under which metrics are exposed too, with the values they have when the text is asked for. */
  readonly aliases?: readonly MetricAlias[];
}

export interface MetricAlias {
  readonly name: string;
  /** As which it is exposed. */
  readonly type: 'counter' | 'gauge';
  /** A counter or gauge that has the label `chain` and no other. */
  readonly of: string;
}

/** Every sample wakes an idle process: ten a second instead of the library's hundred. What is shown as lag is above this. */
const LOOP_SAMPLE_MS = 100;

/** Loads prom-client on first use: the import alone costs some 400 ms on a cold start. */
export async function createRegister(options: RegisterOptions = {}): Promise<ExposedRegister> {
  const prom = await import('prom-client');
  const registry: Registry = new prom.Registry();
  if (options.processMetrics === true) {
    prom.collectDefaultMetrics({
      register: registry,
      prefix: 'aitbc_',
      eventLoopMonitoringPrecision: LOOP_SAMPLE_MS,
    });
  }
  const registers = [registry];
  const known = new Map<string, Metric>();
  for (const { name, type, of } of options.aliases ?? []) {
    const Type = type === 'counter' ? prom.Counter : prom.Gauge;
    const alias: PromCounter<'chain'> | PromGauge<'chain'> = new Type({
      ...{ name, help: `Another name of ${of}`, labelNames: ['chain'], registers },
      collect: async () => {
        alias.reset();
        for (const { labels, value } of (await known.get(of)?.get())?.values ?? []) alias.inc(labels, value);
      },
    });
  }
  const once = <T extends Metric>(name: string, create: () => T): T => {
    const metric = (known.get(name) as T | undefined) ?? create();
    known.set(name, metric);
    return metric;
  };

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    forget: async (label, value) => {
      for (const metric of known.values()) {
        const { values } = await metric.get();
        for (const { labels } of values) {
          const { le: _bucket, ...own } = labels as Record<string, string | number>;
          if (own[label] === value) metric.remove(own);
        }
      }
    },
    counter: ({ name, help, labelNames = [] }) => {
      const counter = once(name, () => new prom.Counter({ name, help, labelNames, registers }));
      return {
        inc: (labels = {}, value = 1) => {
          counter.inc({ ...labels }, value);
        },
      };
    },
    gauge: ({ name, help, labelNames = [], read }) => {
      const collect = (): void => {
        gauge.reset();
        for (const { labels, value } of read?.() ?? []) gauge.set({ ...labels }, value);
      };
      const options = { name, help, labelNames, registers, ...(read && { collect }) };
      const gauge: PromGauge = once(name, () => new prom.Gauge(options));
      return {
        set: (value, labels = {}) => {
          gauge.set({ ...labels }, value);
        },
      };
    },
    histogram: ({ name, help, labelNames = [], buckets }) => {
      const create = () => new prom.Histogram({ name, help, labelNames, buckets: [...buckets], registers });
      const histogram = once(name, create);
      return {
        observe: (value, labels = {}) => {
          histogram.observe({ ...labels }, value);
        },
      };
    },
  };
}
