/**
 * Sites, the validators at each, and the links between: testnet/sites.json, of which `aitbc network new --sites` reads the
 * sites. Two sites without a link reach each other through others only.
 */
import { checkKeys, jsonArray, jsonInteger, jsonObject, jsonString } from '../../src/chain/json.ts';
import type { Json } from '../../src/chain/modules/types.ts';
import { parseSitesFile } from '../../src/cli/network/plan.ts';
import { isNodeError, NodeError } from '../../src/errors.ts';
import type { Conditions } from '../proxy/conditions.ts';
import { CLEAR } from '../proxy/conditions.ts';

/** As many as a block of addresses has room for: see namespaces.ts. */
export const MAX_SITES = 8;
export const MAX_VALIDATORS_A_SITE = 8;

const MAX_DELAY_MS = 10_000;
const MAX_MBIT_PER_S = 10_000;
const HINT = 'testnet/sites.json shows the form of a link: {"between":["at1","ns3"],"delay_ms":150}';

export interface Site {
  readonly name: string;
  readonly validators: number;
}

export interface SiteLink {
  readonly between: readonly [string, string];
  /** One way. */
  readonly delayMs: number;
  /** A piece comes by up to this earlier or later. */
  readonly jitterMs: number;
  /** Infinity: no limit. */
  readonly mbitPerS: number;
}

export interface Topology {
  readonly sites: readonly Site[];
  readonly links: readonly SiteLink[];
}

/** `{sites:[…],links:[{between:[a,b],delay_ms,jitter_ms?,mbit_per_s?}]}` @throws NodeError USAGE */
export function parseTopology(text: string, path: string): Topology {
  const sites = parseSitesFile(text, path).map(({ name, validators }) => ({ name, validators }));
  try {
    const { links = [] } = jsonObject(JSON.parse(text) as Json, 'sites file');
    const topology = { sites, links: jsonArray(links, 'links').map(readLink) };
    checkTopology(topology);
    return topology;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    throw new NodeError('USAGE', `${path}: ${error.message}`, { hint: HINT, cause: error });
  }
}

/** The same sites with other numbers of validators: `2/2/2`, in the order of the file. @throws NodeError USAGE */
export function withLayout(topology: Topology, layout: string): Topology {
  const counts = layout.split('/').map((text) => (/^\d$/.test(text) ? Number(text) : 0));
  if (counts.length !== topology.sites.length || counts.some((count) => count < 1 || count > MAX_VALIDATORS_A_SITE)) {
    throw new NodeError('USAGE', `--layout ${layout} does not say how many validators each site has`, {
      hint: `for ${topology.sites.map(({ name }) => name).join(', ')}: --layout ${topology.sites.map(() => 1).join('/')}`,
    });
  }
  const sites = topology.sites.map((site, i) => ({ ...site, validators: counts[i] ?? site.validators }));
  return { ...topology, sites };
}

/** `1/1/1` */
export function layoutOf({ sites }: Topology): string {
  return sites.map(({ validators }) => validators).join('/');
}

/** The site of each node, n1 first: all of the first site, then those of the next. */
export function sitesOfNodes({ sites }: Topology): string[] {
  return sites.flatMap(({ name, validators }) => Array.from({ length: validators }, () => name));
}

export function linkBetween({ links }: Topology, a: string, b: string): SiteLink | undefined {
  return links.find(({ between }) => between.includes(a) && between.includes(b) && a !== b);
}

/** Sites with a link to this one. */
export function neighboursOf({ links }: Topology, site: string): string[] {
  return links.flatMap(({ between: [a, b] }) => (a === site ? [b] : b === site ? [a] : []));
}

export interface SitePath {
  /** One way, all links of it. */
  readonly delayMs: number;
  /** Sites between the two, nearest first. */
  readonly via: readonly string[];
}

/** The quickest way between two sites; undefined when there is none. */
export function pathBetween(topology: Topology, from: string, to: string): SitePath | undefined {
  let reached = new Map<string, SitePath>([[from, { delayMs: 0, via: [] }]]);
  // As often as a path can have links.
  for (let step = 1; step < topology.sites.length; step++) {
    const next = new Map(reached);
    for (const [site, { delayMs, via }] of reached) {
      for (const neighbour of neighboursOf(topology, site)) {
        const total = delayMs + (linkBetween(topology, site, neighbour)?.delayMs ?? 0);
        if (total >= (next.get(neighbour)?.delayMs ?? Infinity)) continue;
        next.set(neighbour, { delayMs: total, via: site === from ? [] : [...via, site] });
      }
    }
    reached = next;
  }
  return reached.get(to);
}

/** Pairs of sites, each once. */
export function sitePairs({ sites }: Topology): [string, string][] {
  return sites.flatMap(({ name: a }, i) => sites.slice(i + 1).map(({ name: b }): [string, string] => [a, b]));
}

/** One way between the two sites that are farthest from each other, over those between. */
export function worstPathMs(topology: Topology): number {
  return Math.max(...sitePairs(topology).map(([a, b]) => pathBetween(topology, a, b)?.delayMs ?? 0));
}

export function conditionsOf({ delayMs, jitterMs, mbitPerS }: SiteLink): Conditions {
  const jitter = delayMs === 0 ? 0 : jitterMs / delayMs;
  return { ...CLEAR, delayMs, jitter, bytesPerSecond: (mbitPerS * 1_000_000) / 8 };
}

function readLink(item: Json, i: number): SiteLink {
  const entry = jsonObject(item, `links/${i}`);
  checkKeys(entry, ['between', 'delay_ms'], ['jitter_ms', 'mbit_per_s']);
  const ends = jsonArray(entry['between'], 'between').map((name) => jsonString(name, 'between'));
  const [a = '', b = ''] = ends;
  if (ends.length !== 2 || a === b) throw new NodeError('USAGE', `links/${i}: a link is between two sites`);
  const delayMs = jsonInteger(entry['delay_ms'], 'delay_ms', MAX_DELAY_MS);
  const jitterMs = jsonInteger(entry['jitter_ms'] ?? 0, 'jitter_ms', delayMs);
  const given = entry['mbit_per_s'];
  const mbitPerS = given === undefined ? Infinity : jsonInteger(given, 'mbit_per_s', MAX_MBIT_PER_S);
  if (mbitPerS === 0) throw new NodeError('USAGE', `links/${i}: mbit_per_s is at least 1`);
  return { between: [a, b], delayMs, jitterMs, mbitPerS };
}

function checkTopology(topology: Topology): void {
  const { sites, links } = topology;
  const refuse = (message: string): never => {
    throw new NodeError('USAGE', message);
  };
  if (sites.length < 2 || sites.length > MAX_SITES) refuse(`2 to ${MAX_SITES} sites can be laid out on this machine`);
  const crowded = sites.find(({ validators }) => validators > MAX_VALIDATORS_A_SITE);
  if (crowded) refuse(`${crowded.name} has more than ${MAX_VALIDATORS_A_SITE} validators`);
  const names = sites.map(({ name }) => name);
  const stray = links.flatMap(({ between }) => between).find((name) => !names.includes(name));
  if (stray !== undefined) refuse(`a link names ${stray}, which is none of the sites`);
  const twice = links.find((link) => linkBetween(topology, ...link.between) !== link);
  if (twice) refuse(`${twice.between.join(' and ')} have two links`);
  const lonely = sitePairs(topology).find(([a, b]) => !pathBetween(topology, a, b));
  if (lonely) refuse(`no links lead from ${lonely.join(' to ')}, over other sites neither`);
}
