/**
 * The plan of sites as network namespaces: pure. Each site is a namespace joined by a pair of virtual interfaces to the one
 * that the program runs in, where the proxies listen. A site has no route but to its own end of that pair, so whatever
 * reaches another site has gone through a proxy.
 *
 * Everything is named for the process that made it, so that what a dead one left is found by its name.
 */
import { MAX_SITES, MAX_VALIDATORS_A_SITE } from './topology.ts';

/** Set apart for measurements of networks (RFC 2544): no real network is behind these addresses. */
const BLOCK_PREFIX = '198.18';
export const BLOCKS = 256;
/** Addresses of a site within its run's block of 256. */
const SITE_SIZE = 256 / MAX_SITES;
const SITE_BITS = 32 - Math.log2(SITE_SIZE);
/** Behind the addresses of the network, of the hub, and of each validator: where one moves to. */
const FIRST_MOVED = 2 + MAX_VALIDATORS_A_SITE;

const NAMESPACE = /^aitbc-(\d{1,10})-(\d{1,20})-[a-z0-9-]{1,32}$/;

/** Who made a namespace: a process id, and the start of the process in ticks of the system's clock. */
export interface Owner {
  readonly pid: number;
  readonly startTicks: string;
}

export interface SiteNamespace {
  readonly site: string;
  readonly netns: string;
  /** The end of the pair outside, where proxies listen for this site. */
  readonly hubInterface: string;
  readonly hubHost: string;
  /** Of the validators of the site, in their order, and then of each after it has moved. */
  readonly hosts: readonly string[];
}

/** Lines for one `ip -batch`, inside a namespace or, when that is null, outside. */
export interface IpBatch {
  readonly netns: string | null;
  readonly lines: readonly string[];
}

export function planNamespaces(sites: readonly string[], owner: Owner, block: number): SiteNamespace[] {
  return sites.map((site, i) => {
    const address = (place: number): string => `${BLOCK_PREFIX}.${block}.${i * SITE_SIZE + place}`;
    return {
      site,
      netns: `aitbc-${owner.pid}-${owner.startTicks}-${site}`,
      hubInterface: `${interfacePrefix(owner.pid)}${i}`,
      hubHost: address(1),
      hosts: Array.from({ length: 2 * MAX_VALIDATORS_A_SITE }, (_, place) => address(place + 2)),
    };
  });
}

/** The place of a validator of a site among its hosts, before it moves and after. */
export function placeOf(position: number, moved: boolean): number {
  return moved ? FIRST_MOVED - 2 + position : position;
}

export function setUpBatches(sites: readonly SiteNamespace[]): IpBatch[] {
  const outside = sites.flatMap(({ netns, hubInterface, hubHost }) => [
    `netns add ${netns}`,
    `link add ${hubInterface} type veth peer name eth0 netns ${netns}`,
    `addr add ${hubHost}/${SITE_BITS} dev ${hubInterface}`,
    `link set ${hubInterface} up`,
  ]);
  const inside = sites.map(({ netns, hosts }) => ({
    netns,
    lines: ['link set lo up', ...hosts.map((host) => `addr add ${host}/${SITE_BITS} dev eth0`), 'link set eth0 up'],
  }));
  return [{ netns: null, lines: outside }, ...inside];
}

/** The interfaces first: a namespace lives on while a process in it does. */
export function tearDownLines(sites: readonly Pick<SiteNamespace, 'netns' | 'hubInterface'>[]): string[] {
  return [
    ...sites.map(({ hubInterface }) => `link del ${hubInterface}`),
    ...sites.map(({ netns }) => `netns del ${netns}`),
  ];
}

/** Undefined for what none of ours made. */
export function ownerOf(netns: string): Owner | undefined {
  const [, pid, startTicks] = NAMESPACE.exec(netns) ?? [];
  return pid === undefined || startTicks === undefined ? undefined : { pid: Number(pid), startTicks };
}

/**
 * What removes the remains of runs whose process is gone.
 *
 * @param namespaces all there are, `interfaces` as well
 */
export function staleLines(
  namespaces: readonly string[],
  interfaces: readonly string[],
  isAlive: (owner: Owner) => boolean,
): string[] {
  const stale = namespaces.filter((netns) => {
    const owner = ownerOf(netns);
    return owner !== undefined && !isAlive(owner);
  });
  const prefixes = new Set(stale.map((netns) => interfacePrefix(ownerOf(netns)?.pid ?? 0)));
  const links = interfaces.filter((name) => [...prefixes].some((prefix) => name.startsWith(prefix)));
  return [...links.map((name) => `link del ${name}`), ...stale.map((netns) => `netns del ${netns}`)];
}

/** Blocks of addresses that this machine has none of, beginning anywhere. */
export function freeBlock(addresses: readonly string[], from: number): number | undefined {
  const taken = new Set(addresses.map((address) => address.split('.').slice(0, 3).join('.')));
  const order = Array.from({ length: BLOCKS }, (_, i) => (from + i) % BLOCKS);
  return order.find((block) => !taken.has(`${BLOCK_PREFIX}.${block}`));
}

/** An interface has a name of at most 15 characters; the last one ends what may be the beginning of another id. */
function interfacePrefix(pid: number): string {
  return `aitbc${pid.toString(36)}-`;
}
