/** Attempts at work and those a client may still come back to; what of them is kept, and for how long. */
import type { Hash, Signature } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import { receiptId } from '../../chain/market/receipt.ts';
import type { NodeError } from '../../errors.ts';
import type { Row, Rows } from '../coordinator/ports.ts';
import type { AttemptRules, AttemptTerms, Kept } from './attempt.ts';
import { isLarge, openAttempt } from './attempt.ts';
import type { Books } from './books.ts';
import { creditOf, withDue, withoutWait } from './ledger.ts';
import type { MinerMetrics } from './metrics.ts';
import type { EndedAttempt } from './restore.ts';
import { attemptRow, gone, outputRow, receiptRow, TABLE } from './rows.ts';
import type { RunModules } from './run.ts';
import { AttemptRun } from './run.ts';
import type { Slots } from './slots.ts';

/** An end waits for its acknowledgement so long; others are remembered for those who ask again. */
const KEEP_ENDED_MS = 10 * 60_000;
const KEEP_OTHERS_MS = 60_000;
export const MAX_KEPT = 1_024;
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Jobs whose highest attempt is remembered. */
export const MAX_FENCES = 8_192;

export interface RunsModules extends Pick<RunModules, 'clock' | 'executors' | 'blobs' | 'monitor'> {
  readonly rules: AttemptRules;
  readonly rows: Rows;
  readonly books: Books;
  readonly slots: Slots;
  readonly metrics: MinerMetrics;
  readonly onOver: () => void;
  readonly onFatal: (error: NodeError) => void;
}

export class Runs {
  readonly #modules: RunsModules;
  /** In the order of their beginning. */
  readonly #runs = new Map<string, AttemptRun>();
  readonly #fences = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  constructor(modules: RunsModules) {
    this.#modules = modules;
  }

  get(attempt: Hash): AttemptRun | undefined {
    return this.#runs.get(bytesKey(attempt));
  }

  get size(): number {
    return this.#runs.size;
  }

  working(): AttemptRun[] {
    return [...this.#runs.values()].filter(({ isAtWork }) => isAtWork);
  }

  /** Highest attempt of a job seen; 0: none. */
  lastAttempt(job: Hash): number {
    return this.#fences.get(bytesKey(job)) ?? 0;
  }

  /** Attempts of the job at work, under the agreement or of the job itself. */
  workingFor(job: Hash): AttemptRun[] {
    return this.working().filter(({ state }) => equalBytes(state.terms.assignment.assignment.job, job));
  }

  /** Makes the attempt the active one of its agreement, and keeps it. The slot is taken already. @throws NodeError STORAGE */
  async begin(terms: AttemptTerms): Promise<AttemptRun> {
    const { books, rows, clock } = this.#modules;
    const { agreement, baseUait, single, job, attempt } = terms.assignment.assignment;
    const ledger = books.get(agreement);
    if (ledger) {
      const active = { attempt: terms.id, dueUait: 0 };
      books.set({ ...ledger, active, isSingle: ledger.isSingle || single, lastUsedMs: clock.now() });
    }
    this.fence(job, attempt);
    const run = this.#make(openAttempt(terms, ledger ? creditOf(ledger) - baseUait : 0), []);
    await rows.persist([...books.row(agreement), ...(isLarge(terms) ? [] : [workRow(terms)])]);
    return run;
  }

  restore(ended: readonly EndedAttempt[]): void {
    for (const { state, pieces, endedAtMs } of ended) this.#make(state, pieces).overAtMs = endedAtMs;
  }

  fence(job: Hash, attempt: number): void {
    const key = bytesKey(job);
    const highest = Math.max(attempt, this.#fences.get(key) ?? 0);
    this.#fences.delete(key);
    this.#fences.set(key, highest);
    if (this.#fences.size > MAX_FENCES) this.#dropOldestFence();
  }

  /** Resolves when none of them is at work any more. */
  async over(runs: readonly AttemptRun[]): Promise<void> {
    while (runs.some(({ isAtWork }) => isAtWork)) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  /** Resolves when all that was decided is kept and sent. */
  async idle(): Promise<void> {
    await Promise.all([...this.#runs.values()].map((run) => run.idle()));
  }

  /** Forgets what was kept long enough, and the oldest where it is too much. @throws NodeError STORAGE */
  async sweep(): Promise<void> {
    const nowMs = this.#modules.clock.now();
    let bytes = 0;
    for (const { keptBytes } of this.#runs.values()) bytes += keptBytes;
    let count = this.#runs.size;
    const rows: Row[] = [];
    for (const [key, run] of this.#runs) {
      if (run.isAtWork || run.overAtMs === null) continue;
      const keepMs = run.state.phase === 'ended' ? KEEP_ENDED_MS : KEEP_OTHERS_MS;
      const isTooMuch = count > MAX_KEPT || bytes > MAX_KEPT_BYTES;
      if (!isTooMuch && nowMs - run.overAtMs < keepMs) continue;
      count -= 1;
      bytes -= run.keptBytes;
      this.#runs.delete(key);
      run.close();
      if (run.state.phase === 'ended') rows.push(gone(TABLE.ATTEMPT, run.id), gone(TABLE.OUTPUT, run.id));
    }
    if (rows.length > 0) await this.#modules.rows.persist(rows);
  }

  close(): void {
    for (const run of this.#runs.values()) run.end();
  }

  #make(state: AttemptRun['state'], pieces: Uint8Array[]): AttemptRun {
    const { rules, clock, executors, blobs, monitor, onFatal } = this.#modules;
    const modules: RunModules = {
      ...{ rules, clock, executors, blobs, monitor, onFatal },
      keep: (run, what, acknowledgement) => this.#keep(run, what, acknowledgement),
      onDue: (run, dueUait) => {
        this.#onDue(run, dueUait);
      },
      onOver: (run, dueUait, receipt) => {
        this.#onOver(run, dueUait, receipt);
      },
    };
    const run = new AttemptRun(modules, state, pieces);
    this.#runs.set(bytesKey(run.id), run);
    return run;
  }

  #onDue(run: AttemptRun, dueUait: number): void {
    const { books } = this.#modules;
    const ledger = books.get(agreementOf(run));
    if (ledger) books.set({ ...ledger, active: { attempt: run.id, dueUait } });
  }

  #onOver(run: AttemptRun, dueUait: number, receipt: Hash | null): void {
    const { books, slots, clock, metrics, onOver } = this.#modules;
    const ledger = books.get(agreementOf(run));
    if (ledger) books.set(withDue(ledger, dueUait, clock.now(), receipt));
    slots.step({ type: 'free' });
    metrics.due.inc({}, dueUait);
    metrics.outputBytes.inc({}, run.state.outputBytes);
    metrics.attempts.inc({ result: run.state.phase });
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
    onOver();
  }

  #keep(run: AttemptRun, what: Kept, acknowledgement: Signature | null): Promise<void> {
    const { rows, books } = this.#modules;
    const { terms, receipt } = run.state;
    const agreement = agreementOf(run);
    switch (what) {
      case 'work':
        return rows.persist([workRow(terms)]);
      case 'voucher':
        return rows.persist(books.row(agreement));
      case 'failure':
        return rows.persist([gone(TABLE.ATTEMPT, run.id), ...books.row(agreement)]);
      case 'end': {
        if (!receipt) return Promise.resolve();
        const phase = { name: 'ended', receipt, atMs: run.overAtMs ?? this.#modules.clock.now() } as const;
        return rows.persist([
          attemptRow({ terms, phase }),
          outputRow(run.id, run.pieces),
          ...this.#receiptRows(run, null),
          ...books.row(agreement),
        ]);
      }
      case 'acknowledgement': {
        const ledger = books.get(agreement);
        if (ledger) books.set(withoutWait(ledger));
        this.#modules.onOver();
        const over = [gone(TABLE.ATTEMPT, run.id), gone(TABLE.OUTPUT, run.id)];
        run.forgetOutput();
        return rows.persist([...over, ...this.#receiptRows(run, acknowledgement), ...books.row(agreement)]);
      }
    }
  }

  /** Nothing once its agreement is closed: it was removed with it. */
  #receiptRows(run: AttemptRun, acknowledgement: Signature | null): Row[] {
    const { books, rules } = this.#modules;
    const { receipt } = run.state;
    const agreement = agreementOf(run);
    if (!receipt) return [];
    const id = receiptId(rules.hasher, rules.chain, receipt.receipt);
    const number = books.get(agreement)?.receipts.findLastIndex((each) => equalBytes(each, id)) ?? -1;
    return number < 0 ? [] : [receiptRow(agreement, number, receipt, acknowledgement)];
  }

  #dropOldestFence(): void {
    for (const oldest of this.#fences.keys()) {
      this.#fences.delete(oldest);
      return;
    }
  }
}

function workRow(terms: AttemptTerms): Row {
  return attemptRow({ terms, phase: { name: 'work' } });
}

function agreementOf(run: AttemptRun): Hash {
  return run.state.terms.assignment.assignment.agreement;
}
