/** How many jobs one coordinator has done a second, and how long it looks for a miner, with jobs that do nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator, JobRequest } from '../../src/compute/coordinator/coordinator.ts';
import type { MetricsRegister } from '../../src/metrics.ts';
import { nopRegister } from '../../src/metrics.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import type { BenchArgs } from './args.ts';
import { startMarket } from './market/simulated.ts';
import { NO_OP_BYTES } from './market/terms.ts';
import type { Check } from './result.ts';
import { atLeast, below, invariant } from './result.ts';

const IN_FLIGHT = 400;
const RATE = 500;
const TURN_MS = 10;
const WAIT_MS = 30_000;

const REQUEST: JobRequest = {
  ...{ kind: 'no.op', model: 'none', params: [], maxOutputBytes: NO_OP_BYTES, maxPriceUait: 1_000, owner: '' },
  parts: [{ role: 'user', mediaType: 'text/plain', data: new TextEncoder().encode('nothing') }],
  ...{ queueMs: 60_000, executionMs: 60_000, totalMs: 120_000, idempotencyKey: null, agreement: 'session' },
};

interface Measured {
  readonly jobs: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly failed: number;
}

export async function coordinator(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const matchMs: number[] = [];
  const { market, close } = await startMarket(args.miners, matchTimes(matchMs));
  try {
    tell(`opening agreements with ${args.miners} miners …`);
    await inFlight(market, (done) => done < 3 * args.miners, Math.min(IN_FLIGHT, args.miners));
    const halfMs = (args.seconds * 1_000) / 2;
    tell(`${IN_FLIGHT} jobs at once for ${halfMs / 1_000} s …`);
    const full = await measured(() => inFlight(market, until(halfMs), Math.min(IN_FLIGHT, args.miners)));
    const rate = args.rate ?? RATE;
    tell(`${rate} jobs/s for ${halfMs / 1_000} s …`);
    matchMs.length = 0;
    const steady = await measured(() => atRate(market, rate, halfMs));
    const match = percentiles(matchMs);
    return {
      checks: [
        atLeast('jobs a second', full.jobs / full.seconds, 1_000, '/s'),
        below(`match at ${rate}/s, p99`, match.p99, 20, ' ms'),
        invariant(
          'every job was completed',
          full.failed + steady.failed === 0,
          `${full.failed + steady.failed} were not`,
        ),
      ],
      figures: {
        ...{ miners: args.miners, jobs_per_s: Math.round(full.jobs / full.seconds) },
        jobs_per_cpu_s: Math.round(full.jobs / full.cpuSeconds),
        match_ms: match,
        at_rate: { offered_per_s: rate, done_per_s: Math.round(steady.jobs / steady.seconds) },
        rss_mib: Math.round(process.memoryUsage().rss / 2 ** 20),
        measured_as: 'from submit to the kept, countersigned receipt; cpu of the whole coordinator process',
      },
    };
  } finally {
    await close();
  }
}

function until(ms: number): () => boolean {
  const end = performance.now() + ms;
  return () => performance.now() < end;
}

async function measured(run: () => Promise<{ jobs: number; failed: number }>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const { jobs, failed } = await run();
  const { user, system } = process.cpuUsage(cpu);
  return { jobs, failed, seconds: (performance.now() - startedAt) / 1_000, cpuSeconds: (user + system) / 1e6 };
}

/** So many at any moment. */
async function inFlight(
  market: Coordinator,
  goesOn: (done: number) => boolean,
  lanes: number,
): Promise<{ jobs: number; failed: number }> {
  let jobs = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    while (goesOn(jobs)) {
      if (await complete(market)) jobs++;
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { jobs, failed };
}

/** On schedule, whether or not earlier ones are done. */
async function atRate(market: Coordinator, rate: number, ms: number): Promise<{ jobs: number; failed: number }> {
  const startedAt = performance.now();
  const running: Promise<boolean>[] = [];
  for (let now = startedAt; now - startedAt < ms; now = performance.now()) {
    const wanted = Math.floor(((now - startedAt) * rate) / 1_000);
    while (running.length < wanted) running.push(complete(market));
    await sleep(TURN_MS);
  }
  const done = await Promise.all(running);
  const jobs = done.filter(Boolean).length;
  return { jobs, failed: done.length - jobs };
}

async function complete(market: Coordinator): Promise<boolean> {
  const { id } = await market.submit(REQUEST);
  for await (const { state } of market.events(id, 1, AbortSignal.timeout(WAIT_MS))) {
    if (state === 'completed') return true;
  }
  return false;
}

/** Keeps each observation of the one histogram. */
function matchTimes(intoMs: number[]): MetricsRegister {
  return {
    ...nopRegister,
    histogram: ({ name }) => ({
      observe: (seconds) => {
        if (name === 'aitbc_job_match_seconds') intoMs.push(seconds * 1_000);
      },
    }),
  };
}
