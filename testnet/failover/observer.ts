/**
 * When each node's head was seen to advance: every node is asked for its head every 10 ms over a kept connection, so
 * that a time is late by at most that and the answer's way.
 */
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManifestNode } from '../manifest.ts';

const PERIOD_MS = 10;
/** A node that is down or frozen is asked again after this. */
const TIMEOUT_MS = 500;
/** Commits remembered for each node: hours at the rate of a devnet. */
export const MAX_COMMITS = 20_000;

export interface SeenCommit {
  readonly height: number;
  /** By performance.now(). */
  readonly atMs: number;
}

export class HeightObserver {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  readonly #commits: ReadonlyMap<number, SeenCommit[]>;
  readonly #nodes: readonly ManifestNode[];
  #running: Promise<unknown> | undefined;
  #stopped = false;

  constructor(nodes: readonly ManifestNode[]) {
    this.#nodes = nodes;
    this.#commits = new Map(nodes.map(({ index }) => [index, []]));
  }

  start(): void {
    this.#running ??= Promise.all(this.#nodes.map((node) => this.#watch(node)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#agent.destroy();
  }

  /** Of a node; 0 before anything was seen. */
  height(index: number): number {
    return this.commits(index).at(-1)?.height ?? 0;
  }

  /** Highest that any node was seen at. */
  highest(): number {
    return Math.max(0, ...this.#nodes.map(({ index }) => this.height(index)));
  }

  commits(index: number): readonly SeenCommit[] {
    return this.#commits.get(index) ?? [];
  }

  /** For tests: as if the node had been seen at this height. */
  record(index: number, commit: SeenCommit): void {
    const commits = this.#commits.get(index);
    if (!commits || commit.height <= this.height(index)) return;
    commits.push(commit);
    if (commits.length > MAX_COMMITS) commits.splice(0, MAX_COMMITS / 2);
  }

  async #watch({ index, rpc }: ManifestNode): Promise<void> {
    while (!this.#stopped) {
      const askedAtMs = performance.now();
      const height = await this.#head(rpc);
      if (height !== undefined) this.record(index, { height, atMs: performance.now() });
      await sleep(Math.max(1, askedAtMs + PERIOD_MS - performance.now()));
    }
  }

  #head(rpc: string): Promise<number | undefined> {
    return new Promise((resolve) => {
      const request = get(`${rpc}/rpc/head`, { agent: this.#agent, timeout: TIMEOUT_MS }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => {
          resolve(response.statusCode === 200 ? (JSON.parse(text) as { height: number }).height : undefined);
        });
        response.on('error', () => {
          resolve(undefined);
        });
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => {
        resolve(undefined);
      });
    });
  }
}

/** The first commit after a moment, if it was seen. */
export function firstAfter(commits: readonly SeenCommit[], atMs: number): SeenCommit | undefined {
  return commits.find((commit) => commit.atMs > atMs);
}

/** Time between the last commit before a moment and the first one after it; undefined while one of them is missing. */
export function gapAround(commits: readonly SeenCommit[], atMs: number): number | undefined {
  const after = firstAfter(commits, atMs);
  const before = commits.findLast((commit) => commit.atMs <= atMs);
  return after && before && after.atMs - before.atMs;
}

/** Longest time without a commit that overlaps a span, up to `toMs` when none came after. */
export function worstGap(commits: readonly SeenCommit[], fromMs: number, toMs: number): number {
  const last = commits.findLast((commit) => commit.atMs <= fromMs)?.atMs ?? fromMs;
  const times = [last, ...commits.filter(({ atMs }) => atMs > fromMs && atMs <= toMs).map(({ atMs }) => atMs), toMs];
  return Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? time)));
}
