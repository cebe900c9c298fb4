/** What the steps of a demonstration work on, and what several of them ask. */
import type { TestBed } from '../failover/bed.ts';
import { worstGap } from '../failover/observer.ts';
import type { Bar } from '../failover/scorecard.ts';
import { Scorecard } from '../failover/scorecard.ts';
import type { SiteNetwork } from '../sites/site-network.ts';
import { worstPathMs } from '../sites/topology.ts';
import type { Polled } from './polling.ts';
import type { TimelineRecorder } from './timeline.ts';

/** What was under way when a quorum went may still decide a height. */
export const IN_FLIGHT_MS = 1000;
/** Beside an interval, for each validator whose turn may come while it is away: as the failover test has it for links without delay. */
const ABSENT_PROPOSER_MS = 1500;
/** Until its absence is noticed and another block is final: the two votes for none, and what comes then. */
const CROSSINGS = 3;

export const CATCH_UP_BAR: Bar = { limit: 5000, holds: 'worst' };
export const RESTART_BAR: Bar = { limit: 10_000, holds: 'worst' };

/** As a node sees another one that it is connected with. */
export interface PeerPath {
  readonly from: string;
  readonly to: string;
  readonly path: 'direct' | 'relay';
}

export interface Ways {
  /** Ordered pairs of sites of which the first has a route to a node of the second, as tried from inside; null on the loopback. */
  readonly routes_around: number | null;
  readonly connected: readonly PeerPath[];
}

/** How long a block needs to every site. */
export interface Comparison {
  readonly ours: { readonly blocks: number; readonly p50_ms: number; readonly p99_ms: number };
  readonly polling: Polled;
}

export interface DemoLength {
  /** Blocks with a measured transfer each. */
  readonly blocks: number;
  readonly cutMs: number;
  /** How long a chain without quorum is watched. */
  readonly haltMs: number;
}

export class Scene {
  readonly bed: TestBed;
  readonly sites: SiteNetwork;
  readonly record: TimelineRecorder;
  readonly length: DemoLength;
  /** Measurements of the step that runs. */
  card = new Scorecard();
  /** First and last height of a time in which nothing failed. */
  quietHeights: readonly [number, number] | null = null;
  comparison: Comparison | null = null;
  ways: Ways | null = null;
  /** Killed, by index, with what ends the outage in the timeline. */
  readonly down = new Map<number, () => void>();

  constructor(bed: TestBed, sites: SiteNetwork, record: TimelineRecorder, length: DemoLength) {
    this.bed = bed;
    this.sites = sites;
    this.record = record;
    this.length = length;
  }

  get topology() {
    return this.sites.topology;
  }

  get downIndexes(): number[] {
    return [...this.down.keys()];
  }

  /** Heads by site, the highest of each. */
  heads(): string {
    const { observer } = this.bed;
    return this.topology.sites
      .map(({ name }) => `${name} ${Math.max(...this.sites.nodesOf(name).map((index) => observer.height(index)))}`)
      .join('  ');
  }

  async kill(index: number): Promise<number> {
    this.down.set(index, this.record.outage(this.sites.siteOf(index), `n${index}`, 'killed'));
    return this.bed.kill([index]);
  }

  /** @returns ms from its start until it has caught up and signs, Infinity when it does not come to that */
  async restart(index: number): Promise<number> {
    const tookMs = await this.bed.restart([index]);
    this.down.get(index)?.();
    this.down.delete(index);
    if (tookMs === Infinity) this.bed.card.violate(`n${index} does not catch up and sign`);
    return tookMs;
  }

  /** The longest pause that `absent` validators may cause. */
  gapBar(absent: number): Bar {
    const each = ABSENT_PROPOSER_MS + CROSSINGS * worstPathMs(this.topology);
    return { limit: this.bed.intervalMs + absent * each, holds: 'worst' };
  }

  /** Longest time without a block at any of these nodes, and how many blocks they made, in a span. */
  paceOf(
    indexes: readonly number[],
    fromMs: number,
    toMs: number,
  ): { readonly gapMs: number; readonly blocks: number } {
    const { observer } = this.bed;
    const gapMs = Math.max(...indexes.map((index) => worstGap(observer.commits(index), fromMs, toMs)));
    const counts = indexes.map((index) => heightAt(this.bed, index, toMs) - heightAt(this.bed, index, fromMs));
    return { gapMs, blocks: Math.max(0, ...counts) };
  }

  /** Nobody without a quorum commits: else the cut did not cut, or agreement failed. */
  mustStandStill(indexes: readonly number[], fromMs: number, toMs: number): void {
    for (const index of indexes) {
      const late = heightAt(this.bed, index, toMs) > heightAt(this.bed, index, fromMs + IN_FLIGHT_MS);
      if (late) this.bed.card.violate(`n${index} committed without a quorum`);
    }
  }
}

function heightAt(bed: TestBed, index: number, atMs: number): number {
  return bed.observer.commits(index).findLast((commit) => commit.atMs <= atMs)?.height ?? 0;
}

/** `1.2 s`, `340 ms` */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return 'never';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
