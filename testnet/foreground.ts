/** A cluster in the foreground: reports nodes that end by themselves, and stops all on Ctrl-C. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { resignLauncher } from './lock.ts';
import type { NodeState } from './manifest.ts';
import type { Member } from './members.ts';
import { isMiner, members } from './members.ts';
import { selection } from './report.ts';

const WATCH_MS = 300;
/** npm passes a terminal's Ctrl-C on a second time; within this span it is the same one. */
const SAME_SIGNAL_MS = 1000;

/** A promise of the first request to stop, and a way to learn of the second one. */
export function onStopRequest(again: () => void): { readonly requested: Promise<void>; isRequested(): boolean } {
  let first: number | undefined;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const handle = (): void => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      resolve(undefined);
    } else if (now - first > SAME_SIGNAL_MS) {
      again();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, handle);
  return { requested: promise, isRequested: () => first !== undefined };
}

/**
 * Runs until a stop is asked for here or the cluster was brought down from elsewhere.
 *
 * @param tell writes one line for people
 */
export async function watchCluster(
  cluster: Cluster,
  stop: { readonly requested: Promise<void>; isRequested(): boolean },
  tell: (line: string) => void,
): Promise<void> {
  let known = statesOf(cluster);
  while (!stop.isRequested()) {
    await Promise.race([sleep(WATCH_MS), stop.requested]);
    if (stop.isRequested()) break;
    const all = members(cluster.read());
    for (const member of all) {
      if (known.get(member.name) !== member.state) tell(changeLine(cluster, member));
    }
    known = statesOf(cluster);
    if (all.every(({ state }) => state === 'stopped')) {
      resignLauncher(cluster.dataDir);
      return;
    }
  }
  tell('Stopping … (Ctrl-C again ends the nodes at once)');
  await cluster.down();
  tell('✓ All nodes stopped. The data stays; start again to resume the chain.');
}

function statesOf(cluster: Cluster): Map<string, NodeState> {
  return new Map(members(cluster.manifest).map(({ name, state }) => [name, state]));
}

function changeLine(cluster: Cluster, member: Member): string {
  const { name, state, pid } = member;
  if (state !== 'failed') return `  ${name} ${state}${pid === null ? '' : ` (pid ${pid})`}`;
  const ref = isMiner(member) ? name : member.index;
  return [
    `✗ ${name} ended unexpectedly: ${cluster.epitaph(member)}. Last lines of its log:`,
    ...cluster.logTail(member).map((line) => `  | ${line}`),
    `  start it again: npm run testnet -- --restart ${ref}${selection(cluster.manifest, cluster.dataDir)}`,
  ].join('\n');
}
