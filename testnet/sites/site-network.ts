/** A cluster laid out on sites: nodes of one site reach each other directly, those of linked sites through proxies. */
import type { ConfigValues } from '../../src/config.ts';
import type { Cluster } from '../cluster.ts';
import { chainIdsOf, nodePorts, portsOf, writePeers } from '../create.ts';
import type { Random } from '../load/random.ts';
import type { ManifestNode } from '../manifest.ts';
import { freePorts } from '../ports.ts';
import type { CutMode } from '../proxy/network.ts';
import { NOWHERE, ProxyNetwork } from '../proxy/network.ts';
import { readSettings } from '../settings.ts';
import type { Ground } from './ground.ts';
import { openGround } from './ground.ts';
import type { Topology } from './topology.ts';
import { conditionsOf, linkBetween, pathBetween, sitePairs, sitesOfNodes } from './topology.ts';

const CIRCUIT = '/p2p-circuit';

/** Clients in other namespaces count as off the machine; whoever measures asks often. */
const UNLIMITED: ConfigValues = { 'rpc.reads_per_s': 0, 'rpc.heavy_reads_per_s': 0, 'rpc.writes_per_s': 0 };

export type OneWay = 'mute' | 'deaf';

export class SiteNetwork {
  readonly topology: Topology;
  readonly ground: Ground;
  readonly network: ProxyNetwork;
  readonly #cluster: Cluster;
  readonly #siteOf: readonly string[];
  readonly #moved = new Set<number>();

  private constructor(cluster: Cluster, topology: Topology, ground: Ground, network: ProxyNetwork) {
    this.#cluster = cluster;
    this.topology = topology;
    this.ground = ground;
    this.network = network;
    this.#siteOf = sitesOfNodes(topology);
  }

  /**
   * Places every node of a cluster that does not run, and tells it of the others.
   *
   * @param namespaces false lays it out on the loopback, on which it falls back
   */
  static async open(cluster: Cluster, topology: Topology, namespaces: boolean, random: Random): Promise<SiteNetwork> {
    const siteOf = sitesOfNodes(topology);
    const ground = openGround(
      topology.sites.map(({ name }) => name),
      namespaces,
    );
    try {
      const placements = cluster.manifest.nodes.map(({ index }) => {
        const site = siteOf[index - 1] ?? '';
        const host = ground.host(site, positionOf(siteOf, index), false);
        return [index, { site, netns: ground.netns(site), host }] as const;
      });
      await cluster.place(new Map(placements));
      const { nodes } = cluster.manifest;
      const network = await ProxyNetwork.open(
        nodes.map((node) => ({
          index: node.index,
          host: hostOf(node),
          port: nodePorts(node)[0] ?? 0,
          proxyHost: ground.proxyHost(node.site ?? ''),
        })),
        random,
        (a, b) => linkBetween(topology, siteOf[a - 1] ?? '', siteOf[b - 1] ?? '') !== undefined,
      );
      const sites = new SiteNetwork(cluster, topology, ground, network);
      sites.#shape();
      for (const node of nodes) sites.#tell(node);
      return sites;
    } catch (error) {
      ground.close();
      throw error;
    }
  }

  siteOf(index: number): string {
    return this.#siteOf[index - 1] ?? '';
  }

  /** Nodes of a site. */
  nodesOf(site: string): number[] {
    return this.#siteOf.flatMap((name, i) => (name === site ? [i + 1] : []));
  }

  /** A name for people: `n1 at at1`. */
  label(index: number): string {
    return `n${index} at ${this.siteOf(index)}`;
  }

  /** Nothing passes between a site and the others. */
  cutOff(site: string, mode: CutMode): void {
    for (const [a, b] of this.#borderOf(site)) this.network.cut(a, b, mode);
  }

  /** Nothing that a site sends arrives, or nothing reaches it. */
  cutOneWay(site: string, way: OneWay): void {
    for (const [inside, outside] of this.#borderOf(site)) {
      if (way === 'mute') this.network.holdOneWay(inside, outside);
      else this.network.holdOneWay(outside, inside);
    }
  }

  heal(): void {
    this.network.heal();
  }

  /**
   * Gives a node that does not run an address that nobody has been told of: another IP address where sites have their own,
   * and another port. Clients find it where it was.
   */
  async move(index: number): Promise<string> {
    const { manifest } = this.#cluster;
    const site = this.siteOf(index);
    const position = positionOf(this.#siteOf, index);
    const port = (await freePorts(portsOf(manifest.nodes))).p2p;
    const p2p = { host: this.ground.host(site, position, true), port };
    this.#moved.add(index);
    const placement = { site, netns: this.ground.netns(site), host: this.ground.host(site, position, false), p2p };
    await this.#cluster.place(new Map([[index, placement]]));
    this.#tell(this.#cluster.node(index));
    return `${p2p.host}:${p2p.port}`;
  }

  async close(): Promise<void> {
    await this.network.close();
    this.ground.close();
  }

  #shape(): void {
    for (const [a, b] of this.network.pairs()) {
      const link = linkBetween(this.topology, this.siteOf(a), this.siteOf(b));
      if (link) this.network.shape(a, b, conditionsOf(link));
    }
  }

  /** Writes what a node needs to know of the others. */
  #tell(node: ManifestNode): void {
    const { manifest } = this.#cluster;
    const peers = manifest.nodes.flatMap((other) => (other.index === node.index ? [] : this.#waysTo(node, other)));
    const { config = {} } = readSettings(this.#cluster.dataDir);
    const isRelayed = peers.some((address) => address.includes(CIRCUIT));
    const relayed = isRelayed && { 'p2p.relays': ['peers'] };
    // No route leads to a site around the proxies; on the loopback each node could be found by what it tells of itself.
    const announce = node.netns === undefined ? [NOWHERE] : [];
    writePeers(node, chainIdsOf(manifest), peers, announce, { ...config, ...UNLIMITED, ...relayed });
  }

  #waysTo(node: ManifestNode, other: ManifestNode): string[] {
    if (node.site === other.site) return this.#moved.has(other.index) ? [] : [other.p2p];
    if (this.#areLinked(node, other)) return [this.#directWay(node, other)];
    const relays = this.#cluster.manifest.nodes.filter(
      (relay) => this.#areLinked(node, relay) && this.#areLinked(relay, other),
    );
    return relays.map((relay) => `${this.#directWay(node, relay)}${CIRCUIT}/p2p/${other.peer_id}`);
  }

  #areLinked(a: ManifestNode, b: ManifestNode): boolean {
    return linkBetween(this.topology, a.site ?? '', b.site ?? '') !== undefined;
  }

  #directWay(node: ManifestNode, other: ManifestNode): string {
    const port = this.network.port(node.index, other.index);
    return `/ip4/${this.ground.proxyHost(node.site ?? '')}/tcp/${port}/p2p/${other.peer_id}`;
  }

  /** Pairs of a node of the site and one elsewhere that have links. */
  #borderOf(site: string): [number, number][] {
    return this.network.pairs().flatMap(([a, b]): [number, number][] => {
      if (this.siteOf(a) === this.siteOf(b)) return [];
      return this.siteOf(a) === site ? [[a, b]] : this.siteOf(b) === site ? [[b, a]] : [];
    });
  }
}

/** Of a node among those of its site, from 0. */
function positionOf(siteOf: readonly string[], index: number): number {
  return siteOf.slice(0, index - 1).filter((name) => name === siteOf[index - 1]).length;
}

function hostOf({ p2p }: ManifestNode): string {
  return p2p.split('/')[2] ?? '';
}

/** Ways between sites as rows for people, those without a link too. */
export function pathRows(topology: Topology): string[][] {
  return sitePairs(topology).map(([a, b]) => {
    const link = linkBetween(topology, a, b);
    const via = pathBetween(topology, a, b)?.via ?? [];
    if (!link) return [`${a} – ${b}`, `no link: over ${via.join(' and ')}`];
    const rate = Number.isFinite(link.mbitPerS) ? `, ${link.mbitPerS} Mbit/s` : '';
    return [`${a} – ${b}`, `${link.delayMs} ms one way, ± ${link.jitterMs} ms${rate}`];
  });
}
