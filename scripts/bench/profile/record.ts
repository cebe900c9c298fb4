/** Profiles of a cluster's nodes while something is measured, and what becomes of them. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../../testnet/cluster.ts';
import { waitUntil } from '../../../testnet/wait.ts';
import type { CpuProfile } from './cpu-profile.ts';
import { profileTree } from './cpu-profile.ts';
import { flameGraph } from './flame-graph.ts';
import { ownerTimes, stageTimes } from './stages.ts';

/** A profile is some 10 MiB of JSON, which a node under load takes a while to write. */
const WRITE_MS = 60_000;

export interface NodeProfile {
  readonly name: string;
  /** Of the main thread, idle time left out. */
  readonly busy_ms: number;
  readonly stages_ms: Readonly<Record<string, number>>;
  /** By package, or folder of ours. */
  readonly owners_ms: Readonly<Record<string, number>>;
}

/** Before the cluster starts. @param folder made when absent */
export function orderProfiles(cluster: Cluster, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const { name } of cluster.manifest.nodes) rmSync(pathOf(folder, name), { force: true });
  const { orders } = cluster;
  cluster.orders = (name) => ({ ...orders(name), profile: pathOf(folder, name) });
}

/** Starts profiling; the returned function ends it and writes NAME.cpuprofile and NAME.svg of each node. */
export function recordProfiles(cluster: Cluster, folder: string, title: string): () => Promise<NodeProfile[]> {
  const { nodes } = cluster.manifest;
  const signal = (): void => {
    for (const { pid } of nodes) if (pid !== null) process.kill(pid, 'SIGUSR2');
  };
  signal();
  return async () => {
    signal();
    const profiles: NodeProfile[] = [];
    for (const { name } of nodes) {
      const path = pathOf(folder, name);
      await waitUntil(() => existsSync(path), WRITE_MS);
      const tree = profileTree(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile);
      writeFileSync(join(folder, `${name}.svg`), flameGraph(tree, `${name} · ${title}`));
      const stages = milliseconds(stageTimes(tree));
      profiles.push({
        name,
        busy_ms: stages.reduce((sum, [, ms]) => sum + ms, 0),
        stages_ms: Object.fromEntries(stages),
        owners_ms: Object.fromEntries(milliseconds(ownerTimes(tree))),
      });
    }
    return profiles;
  };
}

function milliseconds(times: ReadonlyMap<string, number>): (readonly [string, number])[] {
  return [...times].map(([name, us]) => [name, Math.round(us / 1000)] as const).filter(([, ms]) => ms > 0);
}

/** The mean share of all nodes, the largest first. */
export function topOwners(profiles: readonly NodeProfile[], count: number): { owner: string; percent: number }[] {
  const busyMs = profiles.reduce((sum, { busy_ms }) => sum + busy_ms, 0);
  const times = new Map<string, number>();
  for (const { owners_ms } of profiles) {
    for (const [owner, ms] of Object.entries(owners_ms)) times.set(owner, (times.get(owner) ?? 0) + ms);
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([owner, ms]) => ({ owner, percent: Math.round((ms / busyMs) * 1000) / 10 }));
}

function pathOf(folder: string, name: string): string {
  return join(folder, `${name}.cpuprofile`);
}
