/**
 * Delta debugging of a failing run: leaves out ever more faults, and ends it at ever fewer heights, as long as the same
 * kind of promise is broken.
 */
import type { Job } from './job.ts';
import type { Outcome } from './simulation.ts';

/** A run that ended before its faults struck is tried with so many times the heights. */
const LONGER = 2;

export interface ShrinkOptions {
  readonly run: (job: Job) => Promise<Outcome | null>;
  /** Bounds the runs. */
  readonly maxRuns: number;
  readonly onProgress?: (runs: number, faults: number) => void;
}

export interface Shrunk {
  /** The smallest run found that fails. */
  readonly job: Job;
  readonly outcome: Outcome;
  readonly runs: number;
}

/** What comes before the first colon: "agreement", "liveness", "double sign", … */
export function kindOf({ violations }: Outcome): string {
  return violations[0]?.split(':')[0] ?? '';
}

/** @param outcome of the job, which fails */
export async function shrink(job: Job, outcome: Outcome, options: ShrinkOptions): Promise<Shrunk> {
  const search = new Search(job, outcome, options);
  await search.leaveOutFaults();
  await search.endEarlier();
  await search.leaveOutFaults();
  return { job: search.job, outcome: search.outcome, runs: search.runs };
}

class Search {
  job: Job;
  outcome: Outcome;
  runs = 0;
  readonly #kind: string;
  readonly #options: ShrinkOptions;

  constructor(job: Job, outcome: Outcome, options: ShrinkOptions) {
    this.job = job;
    this.outcome = outcome;
    this.#kind = kindOf(outcome);
    this.#options = options;
  }

  get #items(): string[] {
    return this.outcome.struck.map(({ name }) => name);
  }

  /** Heights after which the smallest run ends. */
  get #heights(): number {
    return this.job.heights ?? this.outcome.plan.heights;
  }

  /** Ends it at the height it fails at, which leaves less to read. */
  async endEarlier(): Promise<void> {
    for (const heights of [this.outcome.heights, this.outcome.heights + 1]) {
      if (heights < 1 || heights >= this.#heights) continue;
      if ((await this.#try({ ...this.job, heights })) === 'fails') return;
    }
  }

  /** Halves, then quarters and so on: what is not needed goes first in large parts, then in small ones. */
  async leaveOutFaults(): Promise<void> {
    if (this.#items.length === 0 || (await this.#keep([]))) return;
    for (let parts = 2; ; ) {
      const items = this.#items;
      if (items.length < 2) return;
      parts = Math.min(parts, items.length);
      const fewer = await this.#withoutOnePart(items, parts);
      if (this.#isSpent()) return;
      if (fewer) parts = Math.max(2, parts - 1);
      else if (parts === items.length) return;
      else parts *= 2;
    }
  }

  async #withoutOnePart(items: readonly string[], parts: number): Promise<boolean> {
    for (let i = 0; i < parts && !this.#isSpent(); i++) {
      const [from, to] = [Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)];
      if (await this.#keep([...items.slice(0, from), ...items.slice(to)])) return true;
    }
    return false;
  }

  /**
   * With fewer faults a run has its heights sooner, and may end before those that are left have struck. Then it is given
   * more heights: else every fault would be needed that does nothing but delay the end.
   */
  async #keep(items: readonly string[]): Promise<boolean> {
    const job: Job = { ...this.job, filter: { kind: 'only', items } };
    const verdict = await this.#try(job);
    if (verdict !== 'ends early') return verdict === 'fails';
    return (await this.#try({ ...job, heights: LONGER * this.#heights })) === 'fails';
  }

  /** A run that breaks the same promise is the smallest known from then on. */
  async #try(job: Job): Promise<'fails' | 'passes' | 'ends early'> {
    if (this.#isSpent()) return 'passes';
    this.runs++;
    const outcome = await this.#options.run(job);
    if (!outcome) return 'passes';
    // What is named and did not strike before the end is not needed either.
    const items = outcome.struck.map(({ name }) => name);
    if (kindOf(outcome) !== this.#kind) {
      return outcome.violations.length === 0 && items.length < (job.filter?.items.length ?? 0)
        ? 'ends early'
        : 'passes';
    }
    this.job = job.filter ? { ...job, filter: { kind: 'only', items } } : job;
    this.outcome = outcome;
    this.#options.onProgress?.(this.runs, items.length);
    return 'fails';
  }

  #isSpent(): boolean {
    return this.runs >= this.#options.maxRuns;
  }
}
