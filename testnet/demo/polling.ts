/**
 * How fast the system before this one spread a block: every site asked every other one that it reaches for news, every
 * 10 s (its cross-site module; one block a request). Nobody can run it any more, so it is modelled, kindly: connections are
 * kept open, answers take no time, no request fails.
 */
import type { Random } from '../load/random.ts';
import { percentiles } from '../load/percentiles.ts';
import type { Topology } from '../sites/topology.ts';
import { linkBetween, neighboursOf } from '../sites/topology.ts';

const POLL_PERIOD_MS = 10_000;

export interface Polled {
  readonly periodMs: number;
  /** From a site to one that polls it, exactly: the way, and half a period; at worst a whole one. */
  readonly nextSite: { readonly expectedMs: number; readonly worstMs: number };
  /** From a site to the last of all, over those between where that is quicker: simulated in virtual time. */
  readonly everySite: {
    readonly meanMs: number;
    readonly p99Ms: number;
    readonly worstMs: number;
    readonly samples: number;
  };
}

const SAMPLES = 20_000;

export function modelPolling(topology: Topology, random: Random, periodMs = POLL_PERIOD_MS): Polled {
  const delays = topology.links.map(({ delayMs }) => delayMs);
  const meanMs = delays.reduce((sum, delayMs) => sum + delayMs, 0) / delays.length;
  const times = Array.from({ length: SAMPLES }, () => spreadOnce(topology, random, periodMs));
  const { p99, max } = percentiles(times);
  return {
    periodMs,
    nextSite: { expectedMs: Math.round(periodMs / 2 + meanMs), worstMs: periodMs + Math.max(...delays) },
    everySite: {
      meanMs: Math.round(times.reduce((sum, ms) => sum + ms, 0) / SAMPLES),
      p99Ms: Math.round(p99),
      worstMs: Math.round(max),
      samples: SAMPLES,
    },
  };
}

/** From the moment a block is at a site until every site has it, with every poller at a random phase of its period. */
function spreadOnce(topology: Topology, random: Random, periodMs: number): number {
  const names = topology.sites.map(({ name }) => name);
  const known = new Map<string, number>([[random.pick(names), 0]]);
  const phases = new Map<string, number>();
  const phase = (poller: string, polled: string): number => {
    const key = `${poller}>${polled}`;
    const drawn = phases.get(key) ?? random.next() * periodMs;
    phases.set(key, drawn);
    return drawn;
  };
  const done = new Set<string>();
  while (done.size < names.length) {
    const [site, atMs] = [...known].filter(([name]) => !done.has(name)).sort((a, b) => a[1] - b[1])[0] ?? ['', 0];
    done.add(site);
    for (const poller of neighboursOf(topology, site)) {
      const delayMs = linkBetween(topology, poller, site)?.delayMs ?? 0;
      // The first request that gets there after the block did, and its answer's way back.
      const drawn = phase(poller, site);
      const sentAtMs = drawn + Math.ceil((atMs - delayMs - drawn) / periodMs) * periodMs;
      known.set(poller, Math.min(known.get(poller) ?? Infinity, sentAtMs + 2 * delayMs));
    }
  }
  return Math.max(...known.values());
}
