/** Whether blocks still come when some validators are gone or some sites cut off. Pure. */
import { quorumOf } from '../../src/cli/network/survival.ts';
import type { Topology } from './topology.ts';
import { neighboursOf, sitesOfNodes } from './topology.ts';

/**
 * Most validators that still reach each other. A site whose validators are all gone leads nowhere any more: they are what
 * passes messages on.
 *
 * @param down validators that do not run, by index
 * @param cut sites that nothing passes to or from
 */
export function largestGroup(topology: Topology, down: readonly number[], cut: readonly string[] = []): number {
  const alive = new Map<string, number>();
  sitesOfNodes(topology).forEach((site, i) => {
    if (!down.includes(i + 1)) alive.set(site, (alive.get(site) ?? 0) + 1);
  });
  const groups = [...alive.keys()].map((start) => {
    const reached = new Set([start]);
    for (const site of reached) {
      if (cut.includes(site)) continue;
      for (const next of neighboursOf(topology, site)) if (alive.has(next) && !cut.includes(next)) reached.add(next);
    }
    return [...reached].reduce((sum, site) => sum + (alive.get(site) ?? 0), 0);
  });
  return Math.max(0, ...groups);
}

export function goesOn(topology: Topology, down: readonly number[], cut: readonly string[] = []): boolean {
  return largestGroup(topology, down, cut) >= quorumOf(sitesOfNodes(topology).length);
}

/** Sites that may be cut off, or lost, while the others go on. */
export function sparedSites(topology: Topology): string[] {
  return topology.sites.flatMap(({ name }) => (goesOn(topology, [], [name]) ? [name] : []));
}
