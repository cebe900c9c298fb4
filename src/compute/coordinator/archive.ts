/** Jobs that have ended, kept for those who ask: a bounded number, for a bounded time, with a bounded amount of output. */
import type { Job } from './job.ts';
import { OutputLog } from './output-log.ts';
import type { CoordinatorLimits } from './limits.ts';
import type { Row } from './ports.ts';
import { drop, TABLE } from './rows.ts';

/** A list of which the first ones are taken away. */
class Line {
  #items: (Job | undefined)[] = [];
  #head = 0;

  get first(): Job | undefined {
    return this.#items[this.#head];
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(job: Job): void {
    this.#items.push(job);
  }

  shift(): void {
    // Nothing holds what was taken away.
    this.#items[this.#head] = undefined;
    this.#head++;
    if (this.#head < 1_024 || this.#head * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}

export class Archive {
  readonly #limits: CoordinatorLimits;
  readonly #ended = new Line();
  /** In the order of the others. */
  readonly #withOutput = new Line();
  #outputBytes = 0;

  constructor(limits: CoordinatorLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#ended.size;
  }

  get withOutput(): number {
    return this.#withOutput.size;
  }

  get outputBytes(): number {
    return this.#outputBytes;
  }

  add(job: Job): void {
    this.#ended.push(job);
    if (job.output.length === 0) return;
    this.#outputBytes += job.output.length;
    this.#withOutput.push(job);
  }

  /** @returns jobs that are kept no longer, and the rows that go with them and with outputs */
  prune(nowMs: number): { readonly gone: Job[]; readonly rows: Row[] } {
    const { maxEndedJobs, endedKeptMs, maxEndedOutputBytes } = this.#limits;
    const gone: Job[] = [];
    const rows: Row[] = [];
    for (
      let job = this.#withOutput.first;
      job && this.#outputBytes > maxEndedOutputBytes;
      job = this.#withOutput.first
    ) {
      this.#withOutput.shift();
      this.#dropOutput(job, rows);
    }
    for (let job = this.#ended.first; job !== undefined; job = this.#ended.first) {
      const isOld = nowMs - (job.endedAtMs ?? nowMs) > endedKeptMs;
      if (!isOld && this.#ended.size <= maxEndedJobs) break;
      this.#ended.shift();
      if (this.#withOutput.first === job) this.#withOutput.shift();
      gone.push(job);
      this.#dropOutput(job, rows);
      rows.push(...[TABLE.job, TABLE.progress, TABLE.result, TABLE.content].map((table) => drop(table, job.id)));
    }
    return { gone, rows };
  }

  #dropOutput(job: Job, rows: Row[]): void {
    if (job.isOutputDropped || job.output.length === 0) return;
    this.#outputBytes -= job.output.length;
    job.output = new OutputLog();
    job.isOutputDropped = true;
    rows.push(drop(TABLE.output, job.id));
  }
}
