/**
 * Proxies between all nodes of a cluster. Each node dials each other one through a link of its own, so that every
 * connection between two nodes lies on one of two links, whoever dialled, and a cut applies to both.
 */
import type { Random } from '../load/random.ts';
import type { Conditions, LinkMode } from './conditions.ts';
import { CLEAR } from './conditions.ts';
import { ProxyLink } from './link.ts';

export interface ProxiedNode {
  readonly index: number;
  /** Where it listens for other nodes; on the loopback unless `host` says otherwise. */
  readonly host?: string;
  readonly port: number;
  /** Where the proxies listen that it dials; on the loopback when absent. */
  readonly proxyHost?: string;
}

/** Told to peers instead of an address that leads around the proxies; nobody listens there. */
export const NOWHERE = '/ip4/127.0.0.1/tcp/1';

export type CutMode = Extract<LinkMode, 'held' | 'reset' | 'half-open'>;

export class ProxyNetwork {
  readonly #nodes: readonly number[];
  /** By who dials and who is dialled. */
  readonly #links: ReadonlyMap<string, ProxyLink>;

  private constructor(nodes: readonly number[], links: ReadonlyMap<string, ProxyLink>) {
    this.#nodes = nodes;
    this.#links = links;
  }

  /** @param linked whether two nodes have links at all; all have when absent */
  static async open(
    nodes: readonly ProxiedNode[],
    random: Random,
    linked: (a: number, b: number) => boolean = () => true,
  ): Promise<ProxyNetwork> {
    const links = new Map<string, ProxyLink>();
    for (const { index: from, proxyHost } of nodes) {
      for (const { index: to, host, port } of nodes) {
        if (from === to || !linked(from, to)) continue;
        const ends = { targetPort: port, ...(host && { targetHost: host }), ...(proxyHost && { host: proxyHost }) };
        links.set(key(from, to), await ProxyLink.open(ends, random));
      }
    }
    return new ProxyNetwork(
      nodes.map(({ index }) => index),
      links,
    );
  }

  /** The port at which `from` finds `to`. */
  port(from: number, to: number): number {
    return this.#link(from, to).port;
  }

  /** Open connections between two nodes, whoever dialled. */
  connections(a: number, b: number): number {
    return this.#link(a, b).connections + this.#link(b, a).connections;
  }

  /** Bytes that two nodes exchanged. */
  passedBytes(a: number, b: number): number {
    return this.#link(a, b).passedBytes + this.#link(b, a).passedBytes;
  }

  shape(a: number, b: number, conditions: Conditions): void {
    this.#link(a, b).shape(conditions);
    this.#link(b, a).shape(conditions);
  }

  cut(a: number, b: number, mode: CutMode): void {
    this.#link(a, b).setMode(mode);
    this.#link(b, a).setMode(mode);
  }

  /** Nothing that `from` sends reaches `to`; the way back stays open. */
  holdOneWay(from: number, to: number): void {
    this.#link(from, to).setMode('forward-held');
    this.#link(to, from).setMode('backward-held');
  }

  /** Cuts every pair of nodes in different groups; who is in no group is alone. */
  partition(groups: readonly (readonly number[])[], mode: CutMode): void {
    for (const [a, b] of this.pairs()) {
      if (!groups.some((group) => group.includes(a) && group.includes(b))) this.cut(a, b, mode);
    }
  }

  /** Opens all links; their shape stays. */
  heal(): void {
    for (const link of this.#links.values()) link.setMode('open');
  }

  clear(): void {
    for (const link of this.#links.values()) link.shape(CLEAR);
  }

  /** Nodes with links between them. */
  pairs(): [number, number][] {
    const all = this.#nodes.flatMap((a) => this.#nodes.filter((b) => b > a).map((b): [number, number] => [a, b]));
    return all.filter(([a, b]) => this.#links.has(key(a, b)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  #link(from: number, to: number): ProxyLink {
    const link = this.#links.get(key(from, to));
    if (!link) throw new RangeError(`no link from ${from} to ${to}`);
    return link;
  }
}

function key(from: number, to: number): string {
  return `${from}>${to}`;
}
