/** Where sites stand: each in a network namespace of its own, or all together on the loopback. */
import { execFileSync } from 'node:child_process';
import { NodeError } from '../../src/errors.ts';
import { HOST } from '../ports.ts';
import { processId } from '../processes.ts';
import type { IpBatch, Owner, SiteNamespace } from './namespaces.ts';
import { BLOCKS, freeBlock, placeOf, planNamespaces, setUpBatches, staleLines, tearDownLines } from './namespaces.ts';

export interface Ground {
  readonly kind: 'namespaces' | 'loopback';
  /** Why it is the loopback, when namespaces were asked for. */
  readonly obstacle: string | null;
  /** Where proxies listen for the nodes of a site. */
  proxyHost(site: string): string;
  /** Where the validator of a site listens that is at this position among those of the site, from 0. */
  host(site: string, position: number, moved: boolean): string;
  netns(site: string): string | undefined;
  /** Whether something inside a site has a route to an address. */
  hasRoute(site: string, host: string): boolean;
  close(): void;
}

/**
 * Namespaces where this process may make them, and the loopback elsewhere. They are gone when it is closed, and at the
 * latest when the process exits; what a process left that was killed is removed by the next one.
 *
 * @param namespaces false takes the loopback
 */
export function openGround(sites: readonly string[], namespaces: boolean): Ground {
  if (!namespaces) return loopback(null);
  const obstacle = obstacleToNamespaces();
  if (obstacle !== null) return loopback(obstacle);
  try {
    return openNamespaces(sites);
  } catch (error) {
    return loopback(`no namespace can be made here (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Names of all network namespaces of this machine that have one. */
export function listNamespaces(): string[] {
  // A line is NAME, or NAME (id: N).
  const lines = ip(['netns', 'list']).split('\n');
  return lines.flatMap((line) => line.split(' ').slice(0, 1)).filter((name) => name !== '');
}

function obstacleToNamespaces(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    ip(['-V']);
    return null;
  } catch {
    return 'the program `ip` (package iproute2) is missing';
  }
}

function loopback(obstacle: string | null): Ground {
  return {
    kind: 'loopback',
    obstacle,
    proxyHost: () => HOST,
    host: () => HOST,
    netns: () => undefined,
    hasRoute: () => true,
    close: () => undefined,
  };
}

function openNamespaces(names: readonly string[]): Ground {
  removeStale();
  const block = freeBlock(
    interfaces().flatMap(({ addresses }) => addresses),
    process.pid % BLOCKS,
  );
  if (block === undefined) throw new NodeError('CONFLICT', 'all addresses set apart for sites are in use');
  const sites = planNamespaces(names, self(), block);
  const remove = (): void => {
    runBatch({ netns: null, lines: tearDownLines(sites) }, true);
  };
  process.on('exit', remove);
  const close = (): void => {
    process.off('exit', remove);
    remove();
  };
  try {
    for (const batch of setUpBatches(sites)) runBatch(batch);
  } catch (error) {
    close();
    throw error;
  }
  const find = (name: string): SiteNamespace => {
    const found = sites.find(({ site }) => site === name);
    if (!found) throw new RangeError(`no site ${name}`);
    return found;
  };
  return {
    kind: 'namespaces',
    obstacle: null,
    proxyHost: (site) => find(site).hubHost,
    host: (site, position, moved) => find(site).hosts[placeOf(position, moved)] ?? '',
    netns: (site) => find(site).netns,
    hasRoute: (site, host) => {
      try {
        ip(['-n', find(site).netns, 'route', 'get', host]);
        return true;
      } catch {
        return false;
      }
    },
    close,
  };
}

function removeStale(): void {
  const names = interfaces().map(({ name }) => name);
  const lines = staleLines(listNamespaces(), names, ({ pid, startTicks }) => ticksOf(pid) === startTicks);
  if (lines.length > 0) runBatch({ netns: null, lines }, true);
}

function self(): Owner {
  const { pid } = process;
  return { pid, startTicks: ticksOf(pid) ?? '0' };
}

/** When a process started, as the last part of what tells it from others of the same id. */
function ticksOf(pid: number): string | undefined {
  return processId(pid)?.started.split('/').at(-1);
}

interface Interface {
  readonly name: string;
  readonly addresses: readonly string[];
}

function interfaces(): Interface[] {
  const json = JSON.parse(ip(['-j', 'addr', 'show'])) as {
    readonly ifname: string;
    readonly addr_info?: readonly { readonly local?: string }[];
  }[];
  return json.map(({ ifname: name, addr_info: infos = [] }) => ({
    name,
    addresses: infos.flatMap(({ local }) => local ?? []),
  }));
}

/** @param force goes on after a line that fails: what is to be removed may be gone */
function runBatch({ netns, lines }: IpBatch, force = false): void {
  const inside = netns === null ? [] : ['-n', netns];
  try {
    ip([...inside, ...(force ? ['-force'] : []), '-batch', '-'], `${lines.join('\n')}\n`);
  } catch (error) {
    if (!force) throw error;
  }
}

function ip(args: readonly string[], input = ''): string {
  return execFileSync('ip', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], timeout: 10_000 });
}
