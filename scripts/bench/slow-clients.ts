/** What clients that hold connections cost everyone else: latency of small reads without and beside them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { SLOWNESS, SlowClients } from '../../testnet/load/slow-clients.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs } from './args.ts';
import { measureUsage } from './node-usage.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const EVERY_MS = 20;
const QUIET_S = 10;
const WAIT_MS = 10_000;
const PATHS = ['/rpc/status', '/rpc/validators', '/rpc/consensus', '/rpc/peers'] as const;
/** As many as hold still; the rest of a second is for those just cut that come again. */
const HELD_SHARE = 0.9;

export async function slowClients(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, loadAccounts: 1 }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    const url = cluster.manifest.nodes[0]?.rpc ?? '';
    tell(
      `reads every ${EVERY_MS} ms, ${QUIET_S} s alone, then ${args.seconds} s beside ${args.clients} slow clients …`,
    );
    const quiet = await sample(url, QUIET_S * 1000);
    const usage = measureUsage(cluster);
    const slow = new SlowClients(url, args.clients);
    let beside: Sample;
    let held = Infinity;
    try {
      await allOpen(slow, args.clients);
      const watch = setInterval(() => {
        held = Math.min(held, slow.open);
      }, 1000);
      beside = await sample(url, args.seconds * 1000);
      clearInterval(watch);
    } finally {
      slow.end();
    }
    const [node] = usage();
    const latency = percentiles(beside.tookMs);
    return {
      checks: [
        below(`reads beside ${args.clients} slow clients, p99`, latency.p99, 500, ' ms'),
        invariant('every read was answered', beside.failed === 0, `${beside.failed} were not`),
        invariant('the slow clients were there', held >= args.clients * HELD_SHARE, `${held} at the fewest`),
      ],
      figures: {
        alone_ms: percentiles(quiet.tookMs),
        beside_ms: latency,
        slow_clients: args.clients,
        kinds: SLOWNESS.join(', '),
        cut_off: slow.cut,
        node,
        measured_as: `from the request until its whole answer, one every ${EVERY_MS} ms whether or not earlier ones are answered`,
      },
    };
  });
}

/** Those that were cut and come again are never all there at once. */
async function allOpen(slow: SlowClients, count: number): Promise<void> {
  const deadline = performance.now() + WAIT_MS + count * 20;
  while (slow.open < count * HELD_SHARE && performance.now() < deadline) await sleep(100);
}

interface Sample {
  readonly tookMs: readonly number[];
  readonly failed: number;
}

async function sample(url: string, spanMs: number): Promise<Sample> {
  const tookMs: number[] = [];
  let failed = 0;
  const asked: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let i = 0; i * EVERY_MS < spanMs; i++) {
    await sleep(Math.max(0, startedAt + i * EVERY_MS - performance.now()));
    asked.push(
      ask(url + (PATHS[i % PATHS.length] ?? '')).then((took) => {
        tookMs.push(took ?? Infinity);
        if (took === null) failed++;
      }),
    );
  }
  await Promise.all(asked);
  return { tookMs, failed };
}

/** @returns ms, or null without an answer */
async function ask(url: string): Promise<number | null> {
  const sentAt = performance.now();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    await response.arrayBuffer();
    return response.ok ? performance.now() - sentAt : null;
  } catch {
    return null;
  }
}
