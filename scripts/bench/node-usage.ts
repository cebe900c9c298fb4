/** What the processes of a cluster use while something is measured. */
import type { Cluster } from '../../testnet/cluster.ts';
import { cpuTimeMs, residentBytes } from '../../testnet/processes.ts';

const SAMPLE_MS = 500;

export interface NodeUsage {
  readonly name: string;
  /** Of one core. */
  readonly cpu_percent: number | null;
  readonly peak_rss_mib: number | null;
}

/** Starts measuring; the returned function ends it. */
export function measureUsage(cluster: Cluster): () => NodeUsage[] {
  const startedAt = performance.now();
  const nodes = cluster.manifest.nodes.map(({ name, pid }) => ({
    name,
    pid: pid ?? -1,
    cpu: cpuTimeMs(pid ?? -1),
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
    return nodes.map(({ name, pid, cpu, rss }) => {
      const now = cpuTimeMs(pid);
      return {
        name,
        cpu_percent: cpu === undefined || now === undefined ? null : Math.round(((now - cpu) / spanMs) * 100),
        peak_rss_mib: rss === 0 ? null : Math.round(rss / 2 ** 20),
      };
    });
  };
}
