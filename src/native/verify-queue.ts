/** Batches that wait for a verification thread, cut and joined into jobs of a good size. */
import type { SignatureCheck } from '../chain/crypto/types.ts';
import { checkBytes } from './verify-message.ts';

/** One caller's batch. Threads fill in `results`; `settle` is called once, when the last answer or an error is there. */
export interface Batch {
  readonly checks: readonly SignatureCheck[];
  readonly bytes: number;
  readonly results: boolean[];
  /** Checks not answered yet. */
  open: number;
  readonly settle: (error?: Error) => void;
  failed: boolean;
}

/** `count` checks of a batch from `from` on. */
export interface Span {
  readonly batch: Batch;
  readonly from: number;
  readonly count: number;
}

/** What a thread gets in one message. */
export interface Job {
  readonly spans: readonly Span[];
  readonly attempt: number;
}

export function createBatch(checks: readonly SignatureCheck[], settle: Batch['settle']): Batch {
  return {
    checks,
    bytes: checks.reduce((sum, check) => sum + checkBytes(check), 0),
    results: new Array<boolean>(checks.length).fill(false),
    open: checks.length,
    settle,
    failed: false,
  };
}

export function jobChecks(job: Job): SignatureCheck[] {
  return job.spans.flatMap(({ batch, from, count }) => batch.checks.slice(from, from + count));
}

/** First in, first out, bounded in checks and in bytes; a batch counts until it is answered. */
export class BatchLane {
  readonly #maxChecks: number;
  readonly #maxBytes: number;
  #queue: Batch[] = [];
  #head = 0;
  /** First check of the head batch that no job holds yet. */
  #cursor = 0;
  #checks = 0;
  #bytes = 0;

  constructor(maxChecks: number, maxBytes: number) {
    this.#maxChecks = maxChecks;
    this.#maxBytes = maxBytes;
  }

  /** Checks waiting or in work. */
  get pendingChecks(): number {
    return this.#checks;
  }

  /** @returns false when the lane has no room for it */
  push(batch: Batch): boolean {
    if (this.#checks + batch.checks.length > this.#maxChecks || this.#bytes + batch.bytes > this.#maxBytes)
      return false;
    this.#checks += batch.checks.length;
    this.#bytes += batch.bytes;
    this.#queue.push(batch);
    return true;
  }

  /** Frees the room of a batch that was settled. */
  release(batch: Batch): void {
    this.#checks -= batch.checks.length;
    this.#bytes -= batch.bytes;
  }

  /** The next job of up to `maxChecks` checks, joined of small batches or cut of a large one. */
  take(maxChecks: number): Job | undefined {
    const spans: Span[] = [];
    let room = maxChecks;
    for (let batch = this.#queue[this.#head]; batch && room > 0; batch = this.#queue[this.#head]) {
      const count = batch.failed ? 0 : Math.min(room, batch.checks.length - this.#cursor);
      if (count > 0) spans.push({ batch, from: this.#cursor, count });
      room -= count;
      this.#cursor += count;
      if (batch.failed || this.#cursor === batch.checks.length) this.#advance();
    }
    return spans.length > 0 ? { spans, attempt: 1 } : undefined;
  }

  #advance(): void {
    this.#cursor = 0;
    this.#head += 1;
    if (this.#head >= 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** One lane for each chain, served in turn: what one has waiting delays another's next batch by one job. */
export class FairLanes {
  readonly #lanes = new Map<string, BatchLane>();
  readonly #create: () => BatchLane;
  /** Whose turn it is last. */
  #served = '';

  constructor(create: () => BatchLane) {
    this.#create = create;
  }

  of(name: string): BatchLane {
    const lane = this.#lanes.get(name) ?? this.#create();
    this.#lanes.set(name, lane);
    return lane;
  }

  get pendingChecks(): number {
    let checks = 0;
    for (const lane of this.#lanes.values()) checks += lane.pendingChecks;
    return checks;
  }

  take(maxChecks: number): Job | undefined {
    const names = [...this.#lanes.keys()];
    const after = names.indexOf(this.#served) + 1;
    for (let i = 0; i < names.length; i++) {
      const name = names[(after + i) % names.length] ?? '';
      const job = this.#lanes.get(name)?.take(maxChecks);
      if (!job) continue;
      this.#served = name;
      return job;
    }
    return undefined;
  }
}
