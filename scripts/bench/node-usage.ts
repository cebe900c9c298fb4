/** What the processes of a cluster use while something is measured. */
import type { Cluster } from '../../testnet/cluster.ts';
import { cpuTimeMs, residentBytes, threadTimesMs } from '../../testnet/processes.ts';

const SAMPLE_MS = 500;

/** Threads of a node by the name that the system shows; the last is the one that our workers give themselves. */
const THREADS: Readonly<Record<string, ThreadKind>> = {
  MainThread: 'main',
  V8Worker: 'gc',
  'libuv-worker': 'disk',
  verify: 'verify',
};
export type ThreadKind = 'main' | 'gc' | 'disk' | 'verify' | 'other';

export interface NodeUsage {
  readonly name: string;
  /** Of one core. */
  readonly cpu_percent: number | null;
  /** Of all its threads. */
  readonly cpu_ms: number | null;
  readonly threads_ms: Readonly<Record<ThreadKind, number>>;
  readonly peak_rss_mib: number | null;
}

/** Starts measuring; the returned function ends it. */
export function measureUsage(cluster: Cluster): () => NodeUsage[] {
  const startedAt = performance.now();
  const nodes = cluster.manifest.nodes.map(({ name, pid }) => ({
    name,
    pid: pid ?? -1,
    cpu: cpuTimeMs(pid ?? -1),
    threads: threadTimesMs(pid ?? -1),
    rss: 0,
  }));
  const sample = (): void => {
    for (const node of nodes) node.rss = Math.max(node.rss, residentBytes(node.pid) ?? 0);
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    sample();
    const spanMs = performance.now() - startedAt;
    return nodes.map(({ name, pid, cpu, threads, rss }) => {
      const now = cpuTimeMs(pid);
      const cpuMs = cpu === undefined || now === undefined ? null : now - cpu;
      return {
        name,
        cpu_percent: cpuMs === null ? null : Math.round((cpuMs / spanMs) * 100),
        cpu_ms: cpuMs,
        threads_ms: threadsSince(threads, threadTimesMs(pid)),
        peak_rss_mib: rss === 0 ? null : Math.round(rss / 2 ** 20),
      };
    });
  };
}

function threadsSince(before: Map<string, number>, now: Map<string, number>): Record<ThreadKind, number> {
  const times: Record<ThreadKind, number> = { main: 0, gc: 0, disk: 0, verify: 0, other: 0 };
  for (const [name, ms] of now) times[THREADS[name] ?? 'other'] += ms - (before.get(name) ?? 0);
  return times;
}

/** µs of CPU that a node took for each of `transfers`, the mean of all nodes; null where the platform does not tell. */
export function cpuPerTransfer(
  usage: readonly NodeUsage[],
  transfers: number,
): { readonly all: number; readonly threads: Readonly<Record<ThreadKind, number>> } | null {
  if (transfers === 0 || usage.length === 0 || usage.some(({ cpu_ms }) => cpu_ms === null)) return null;
  const mean = (ms: (node: NodeUsage) => number): number =>
    Math.round((usage.reduce((sum, node) => sum + ms(node), 0) * 1000) / usage.length / transfers);
  const thread = (kind: ThreadKind): number => mean(({ threads_ms }) => threads_ms[kind]);
  return {
    all: mean(({ cpu_ms }) => cpu_ms ?? 0),
    threads: {
      main: thread('main'),
      gc: thread('gc'),
      disk: thread('disk'),
      verify: thread('verify'),
      other: thread('other'),
    },
  };
}
