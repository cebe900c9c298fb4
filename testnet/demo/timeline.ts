/**
 * What happened in a run, for programs that draw it: heights and rounds by node, outages by site. The form is a contract,
 * explained in testnet/README.md; `version` changes when a reader would misread a newer file.
 */
import type { SeenCommit } from '../failover/observer.ts';
import type { Topology } from '../sites/topology.ts';

export const TIMELINE_VERSION = 1;

export type OutageKind = 'killed' | 'cut' | 'mute' | 'deaf' | 'moved';

export interface Outage {
  readonly site: string;
  /** null: the whole site. */
  readonly node: string | null;
  readonly kind: OutageKind;
  readonly from_ms: number;
  /** null: it lasted until the end. */
  to_ms: number | null;
}

export interface TimelineStep {
  readonly name: string;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly ok: boolean;
  readonly verdict: string;
}

/** Times are in ms since `started_at`. */
export interface Timeline {
  readonly version: typeof TIMELINE_VERSION;
  readonly kind: 'aitbc-timeline';
  /** ISO 8601, UTC. */
  readonly started_at: string;
  readonly chain_id: string;
  readonly genesis_hash: string;
  readonly ground: 'namespaces' | 'loopback';
  readonly quorum: number;
  readonly interval_ms: number;
  readonly sites: readonly { readonly name: string; readonly nodes: readonly string[] }[];
  readonly links: readonly {
    readonly between: readonly [string, string];
    readonly delay_ms: number;
    readonly jitter_ms: number;
    /** null: no limit. */
    readonly mbit_per_s: number | null;
  }[];
  readonly steps: readonly TimelineStep[];
  readonly outages: readonly Outage[];
  /** By node: [height, when its head was first seen at it or above]. Heights may be skipped. */
  readonly heights: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  /** Of every block: [height, round it was decided in, site of its proposer]. */
  readonly rounds: readonly (readonly [number, number, string])[];
}

/** Collects outages and steps as they happen. */
export class TimelineRecorder {
  readonly startedAt = new Date();
  readonly #startMs = performance.now();
  readonly #outages: Outage[] = [];
  readonly #steps: TimelineStep[] = [];

  /** @param at by performance.now() @returns ms since the start, whole */
  since(at: number): number {
    return Math.round(at - this.#startMs);
  }

  /** @returns ends it */
  outage(site: string, node: string | null, kind: OutageKind): () => void {
    const outage: Outage = { site, node, kind, from_ms: this.since(performance.now()), to_ms: null };
    this.#outages.push(outage);
    return () => {
      outage.to_ms ??= this.since(performance.now());
    };
  }

  step(step: TimelineStep): void {
    this.#steps.push(step);
  }

  get steps(): readonly TimelineStep[] {
    return this.#steps;
  }

  finish(
    facts: Pick<Timeline, 'chain_id' | 'genesis_hash' | 'ground' | 'quorum' | 'interval_ms' | 'rounds'>,
    topology: Topology,
    nodesOf: (site: string) => readonly number[],
    commits: (index: number) => readonly SeenCommit[],
  ): Timeline {
    const sites = topology.sites.map(({ name }) => ({ name, nodes: nodesOf(name).map((index) => `n${index}`) }));
    const indexes = topology.sites.flatMap(({ name }) => nodesOf(name));
    return {
      version: TIMELINE_VERSION,
      kind: 'aitbc-timeline',
      started_at: this.startedAt.toISOString(),
      ...facts,
      sites,
      links: topology.links.map(({ between, delayMs, jitterMs, mbitPerS }) => ({
        between,
        delay_ms: delayMs,
        jitter_ms: jitterMs,
        mbit_per_s: Number.isFinite(mbitPerS) ? mbitPerS : null,
      })),
      steps: this.#steps,
      outages: this.#outages,
      heights: Object.fromEntries(
        indexes.map((index) => [
          `n${index}`,
          commits(index).map(({ height, atMs }): [number, number] => [height, this.since(atMs)]),
        ]),
      ),
    };
  }
}
